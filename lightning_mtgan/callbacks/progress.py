"""The progress bar and the training figures, both at intervals: a step itself never waits."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from lightning_mtgan import distributed
from lightning_mtgan.module import MultiTaskGAN


class Progress(ProgressBar):
    """Shows step, kimg, images per second, losses and the last FID; logs the same figures.

    Both happen every ``trainer.log_every_n_steps`` batches, from values that stay on the device
    until then, as means over all ranks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._enabled = True
        self.started = 0.0
        self._mark, self._mark_step = 0.0, 0
        self.first_step = 0

    def disable(self) -> None:
        """Show nothing."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock and the bar."""
        assert isinstance(pl_module, MultiTaskGAN)
        self.started = self._mark = time.perf_counter()
        self.first_step = self._mark_step = trainer.global_step
        pl_module.paused_seconds = 0.0
        self._paused_at_mark = 0.0
        if self._enabled and trainer.is_global_zero:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            self._bar = tqdm(
                total=total,
                initial=trainer.global_step,
                unit="batch",
                disable=not sys.stderr.isatty(),
                dynamic_ncols=True,
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Report at every ``log_every_n_steps``-th batch."""
        step = trainer.global_step
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if interval and (step % interval == 0 or step == trainer.max_steps):
            assert isinstance(pl_module, MultiTaskGAN)
            self._report(trainer, pl_module, step)

    def _report(self, trainer: Trainer, module: MultiTaskGAN, step: int) -> None:
        names = list(module.losses)
        values = torch.stack([value.double() for value in module.losses.values()])
        losses = dict(zip(names, distributed.average(values).tolist(), strict=True))
        now = time.perf_counter()
        elapsed = now - self._mark - (module.paused_seconds - self._paused_at_mark)
        rate = (step - self._mark_step) * module.batch_size / max(elapsed, 1e-9)
        self._mark, self._mark_step, self._paused_at_mark = now, step, module.paused_seconds
        module.figures |= {"images_per_second": rate, "kimg": module.kimg, "seconds": now - self.started}
        figures = {f"loss/{name}": value for name, value in losses.items()}
        figures |= {"images_per_second": rate, "kimg": module.kimg, "seconds": now - self.started}
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=step)
        if self._bar is not None:
            shown = {"kimg": f"{module.kimg:.1f}", "img/s": f"{rate:.0f}"}
            shown |= {
                name.replace("/adversarial", ""): f"{v:.2f}" for name, v in losses.items() if "/adversarial" in name
            }
            if "fid" in module.figures:
                shown["fid"] = f"{module.figures['fid']:.2f}"
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(step - self._bar.n)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar and sum up the throughput."""
        assert isinstance(pl_module, MultiTaskGAN)
        elapsed = time.perf_counter() - self.started
        trained = max(elapsed - pl_module.paused_seconds, 1e-9)
        num_images = (trainer.global_step - self.first_step) * pl_module.batch_size
        pl_module.figures |= {
            "images_per_second": num_images / trained,
            "kimg": pl_module.kimg,
            "seconds": elapsed,
            "peak_memory_mib": peak_memory_mib(pl_module.device),
        }
        if self._bar is not None:
            self._bar.close()


def peak_memory_mib(device: torch.device) -> float:
    """The most memory taken so far, in MiB: of the GPU, or of this process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
