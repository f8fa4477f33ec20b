"""The progress bar."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from lightning_mtgan.callbacks.record import is_time
from lightning_mtgan.module import MultiTaskGAN


class Progress(ProgressBar):
    """Shows step, kimg, images per second, the adversarial losses and the last FID.

    It moves when figures are written, so it costs nothing in between, and where standard error is
    no terminal it prints one line at each evaluation instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._enabled = True
        self._fid: float | None = None

    def disable(self) -> None:
        """Show nothing."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the bar."""
        assert isinstance(pl_module, MultiTaskGAN)
        if self._enabled and trainer.is_global_zero:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            quiet = not sys.stderr.isatty()
            self._fid = pl_module.figures.get("fid")  # a resumed run has printed it
            self._bar = tqdm(total=total, initial=trainer.global_step, unit="batch", disable=quiet, dynamic_ncols=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Move the bar when figures have been written."""
        assert isinstance(pl_module, MultiTaskGAN)
        if self._bar is None:
            return
        if is_time(trainer):
            self._bar.set_postfix(self._shown(pl_module), refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)
        if self._bar.disable and pl_module.figures.get("fid") != self._fid:
            self._fid = pl_module.figures.get("fid")
            print(f"step {trainer.global_step}: {', '.join(f'{k} {v}' for k, v in self._shown(pl_module).items())}")

    def _shown(self, module: MultiTaskGAN) -> dict[str, str]:
        recent = module.recent
        shown = {"kimg": f"{module.kimg:.1f}", "img/s": f"{recent.get('images_per_second', 0):.0f}"}
        shown |= {
            name.removeprefix("loss/").removesuffix("/adversarial"): f"{value:.2f}"
            for name, value in recent.items()
            if name.endswith("/adversarial")
        }
        return shown | {name: f"{module.figures[name]:.2f}" for name in ("fid",) if name in module.figures}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
