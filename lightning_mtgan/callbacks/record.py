"""The training figures, written at intervals: a step itself never waits for the device."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan import distributed
from lightning_mtgan.module import MultiTaskGAN


class Record(Callback):
    """Logs losses, kimg and images per second every ``trainer.log_every_n_steps`` batches.

    The losses stay on the device until then; what is logged is their mean over all ranks.
    """

    def __init__(self) -> None:
        self._started = self._mark = self._paused_at_mark = 0.0
        self._first_step = self._mark_step = 0
        self._before = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The time of the training so far, in seconds."""
        return {"seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the time of the run that was stopped."""
        self._before = state_dict["seconds"]

    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        assert isinstance(pl_module, MultiTaskGAN)
        self._started = self._mark = time.perf_counter()
        self._first_step = self._mark_step = trainer.global_step
        pl_module.paused_seconds = self._paused_at_mark = 0.0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Write when it is time."""
        if is_time(trainer):
            assert isinstance(pl_module, MultiTaskGAN)
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, module: MultiTaskGAN) -> None:
        losses, observed = _means(module)
        now, step = time.perf_counter(), trainer.global_step
        elapsed = now - self._mark - (module.paused_seconds - self._paused_at_mark)
        rate = (step - self._mark_step) * module.batch_size / max(elapsed, 1e-9)
        self._mark, self._mark_step, self._paused_at_mark = now, step, module.paused_seconds
        figures = losses | observed | {"images_per_second": rate, "kimg": module.kimg, "seconds": self._seconds()}
        module.watch.read()
        for phase, count in module.watch.skipped.items():
            if trainer.is_global_zero and count > module.recent.get(f"skipped/{phase}", count):
                print(f"step {step}: {count} steps of phase {phase} left out so far, as their numbers were not finite")
            figures[f"skipped/{phase}"] = float(count)
        module.recent = figures
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Sum up the time, without what callbacks took of it in the throughput."""
        assert isinstance(pl_module, MultiTaskGAN)
        elapsed = time.perf_counter() - self._started
        num_images = (trainer.global_step - self._first_step) * pl_module.batch_size
        pl_module.figures |= {
            "kimg": pl_module.kimg,
            "images_per_second": num_images / max(elapsed - pl_module.paused_seconds, 1e-9),
            "seconds": self._seconds(),
            "peak_memory_mib": peak_memory_mib(pl_module.device),
        }


def _means(module: MultiTaskGAN) -> tuple[dict[str, float], dict[str, float]]:
    """The last losses, and what was observed since the last time, over all ranks in one all-reduce."""
    every = [value.view(1) for value in module.losses.values()] + list(module.observed.values())
    local = [value.to(module.device).to(module.dtype) for value in every]
    numbers = distributed.average(torch.cat(local)).tolist()
    losses = {f"loss/{name}": numbers[index] for index, name in enumerate(module.losses)}
    sums = iter(numbers[len(losses) :])
    observed = {name: (next(sums), next(sums)) for name in module.observed}
    module.observed = {}
    return losses, {name: total / weight for name, (total, weight) in observed.items() if weight > 0}


def is_time(trainer: Trainer) -> bool:
    """Whether training figures are written after this step: at every interval and at the last step."""
    interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return bool(interval) and (trainer.global_step % interval == 0 or trainer.global_step == trainer.max_steps)


def peak_memory_mib(device: torch.device) -> float:
    """The most memory taken so far, in MiB: of the GPU, or of this process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
