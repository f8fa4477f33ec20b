"""Real numbers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from lightning_mtgan.tasks.task import Numbers
from lightning_mtgan.types import TaskSpec

NUM_QUANTILES = 17
"""Equally spaced quantiles that describe the distribution of a number in a TaskSpec."""


def quantiles(values: Tensor) -> tuple[tuple[float, ...], ...]:
    """The prior of a number: ``NUM_QUANTILES`` equally spaced quantiles of each column of (N, size), without NaN."""
    levels = torch.linspace(0, 1, NUM_QUANTILES, dtype=torch.float64)
    table = torch.nanquantile(values.double(), levels, dim=0)
    return tuple(tuple(column) for column in table.T.tolist())


class Regression(Numbers):
    """Real numbers, by the smooth L1 loss of standardised numbers; NaN where a number is unknown."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__(spec)
        table = torch.tensor(spec.prior or ((-1.0, 1.0),) * spec.size, dtype=torch.float64)
        self._mean, self._std = table.mean(1), table.std(1).clamp(min=1e-6)
        self._moments: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def code(self, target: Tensor) -> Tensor:
        """Numbers (N, size) with mean 0 and deviation 1 over the data."""
        key = (target.device, target.dtype)
        if key not in self._moments:  # a copy to the device in every step would wait for it
            self._moments[key] = (self._mean.to(target), self._std.to(target))
        mean, std = self._moments[key]
        return (target - mean) / std

    def is_known(self, target: Tensor) -> Tensor:
        """Each number by itself, (N, size)."""
        return ~target.isnan()

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Smooth L1 of a head's standardised numbers (N, size) against numbers in their own unit, each by itself."""
        code = self.code(target)
        if not self.spec.is_complete:
            code = code.nan_to_num(0.0)
        return smooth_l1_loss(prediction.to(code.dtype), code, reduction="none")

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Numbers (N, size), independent, by the inverse of each one's distribution function."""
        table = self._prior_on(device, ((-1.0, 1.0),) * self.spec.size)
        steps = table.shape[1] - 1
        where = torch.rand(num_images, self.spec.size, generator=generator, device=device, dtype=torch.float32) * steps
        below = where.long().clamp(max=steps - 1)
        rows = torch.arange(self.spec.size, device=device)
        low, high = table[rows, below], table[rows, below + 1]
        return low + (high - low) * (where - below)

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Mean absolute error, in the task's own unit."""
        return f"task_error/{self.name}", (prediction - target).abs()[self._counts(target)].double().mean().item()
