"""SIGTERM, SIGUSR1 and Ctrl-C end a training in order: this step, a save, and out."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan.module import MultiTaskGAN

HEARD = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopSignals(Callback):
    """Turns signals into a note that travels with the next gradients, so that all ranks stop at one step.

    One rank that hears is enough. A second Ctrl-C ends the process at once.
    """

    def __init__(self) -> None:
        self._training = False
        self._module: MultiTaskGAN | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen. Lightning has put its own handlers in place before, and takes all away at the end.

        Lightning's handler of SIGTERM starts a collective wherever the program happens to be, and its
        loop broadcasts a flag in every step and waits for the device to read it; both go.
        """
        assert isinstance(pl_module, MultiTaskGAN)
        self._module, self._training = pl_module, True
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            for signum in HEARD:
                signal.signal(signum, self._hear)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last state is saved: from here on there is nothing to wait for."""
        self._training = False
        assert isinstance(pl_module, MultiTaskGAN)
        if pl_module.asked_to_stop is not None:
            pl_module.stop_in_order()

    def _hear(self, signum: int, frame: FrameType | None) -> Any:
        assert self._module is not None
        if signum == signal.SIGINT and self._module.asked_to_stop == signal.SIGINT:
            signal.default_int_handler(signum, frame)
        self._module.asked_to_stop = signum
        if not self._training:
            self._module.stop_in_order()
