"""The run's ``index.html``, for people without a dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.module import MultiTaskGAN
from lightning_mtgan.page import write_page


class PageWriter(Callback):
    """Writes the page after each measurement and at the end: curves, samples, verdicts, figures in one file."""

    def __init__(self) -> None:
        self._seen: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What was measured before is not new."""
        assert isinstance(pl_module, MultiTaskGAN)
        self._seen = pl_module.figures

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Write when something was measured."""
        assert isinstance(pl_module, MultiTaskGAN)
        if pl_module.figures is not self._seen:
            self._seen = pl_module.figures
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the final figures."""
        assert isinstance(pl_module, MultiTaskGAN)
        self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, module: MultiTaskGAN) -> None:
        folder = run_folder(trainer)
        if trainer.is_global_zero and folder is not None:
            with module.paused():
                write_or_say(folder)


def write_or_say(folder: Path) -> None:
    """Write the page; a page that cannot be written is no reason to end a training."""
    try:
        write_page(folder)
    except Exception as error:
        print(f"{folder / 'index.html'} cannot be written ({error}); the run goes on")
