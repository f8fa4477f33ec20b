"""SIGTERM, SIGUSR1 and Ctrl-C end a training in order: this step, a save, and out."""

from __future__ import annotations

import signal
import subprocess
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
        self._module: MultiTaskGAN | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen, in the place of Lightning, which puts back at the end what it finds now.

        Lightning's handler of SIGTERM starts a collective wherever the program happens to be, and its
        loop broadcasts a flag in every step and waits for the device to read it.
        """
        assert isinstance(pl_module, MultiTaskGAN)
        self._module = pl_module
        self._children = getattr(trainer.strategy.launcher, "procs", [])
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        connector = trainer._signal_connector
        connector._original_handlers = connector._get_current_signal_handlers()
        connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            for signum in HEARD:
                signal.signal(signum, self._hear)

    def _hear(self, signum: int, frame: FrameType | None) -> Any:
        assert self._module is not None
        if signum == signal.SIGINT and self._module.asked_to_stop == signal.SIGINT:
            signal.default_int_handler(signum, frame)
        if self._module.asked_to_stop is None and signum != signal.SIGINT:  # a terminal tells them all
            for child in self._children:
                child.send_signal(signum)
        self._module.asked_to_stop = signum
