"""Numbers that a fixed function measures on the image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lightning_mtgan.tasks.regression import Regression
from lightning_mtgan.types import Batch, Measure, TaskSpec


@dataclass(frozen=True)
class MeanColour(Measure):
    """The mean of each channel: a colour constraint, values in [-1, 1]."""

    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to means (N, C)."""
        return image.mean(dim=(2, 3))

    def size(self, num_channels: int) -> int:
        """One number for each channel."""
        return num_channels


@dataclass(frozen=True)
class TextureEnergy(Measure):
    """The mean squared difference of neighbouring pixels in each channel: a texture constraint."""

    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to energies (N, C), at least 0."""
        across = image.diff(dim=3).square().mean(dim=(2, 3))
        down = image.diff(dim=2).square().mean(dim=(2, 3))
        return across + down

    def size(self, num_channels: int) -> int:
        """One number for each channel."""
        return num_channels


class Constraint(Regression):
    """Numbers that a fixed function measures on the image: no head, the loss is on the measure."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__(spec)
        assert spec.measure is not None
        self.measure = spec.measure

    def target(self, batch: Batch) -> Tensor:
        """The measure of the real images."""
        return self.measure(batch["image"])

    def image_loss(self, image: Tensor, target: Tensor) -> Tensor:
        """Smooth L1 between the standardised measure of generated images and what was asked for."""
        return self.loss(self.code(self.measure(image)), target)
