"""Contrast."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.transforms.luminance import luminance, means, means_of
from lightning_mtgan.transforms.transform import Adjustable, Strip


class Contrast(Adjustable):
    """m + a (x - m) for each channel, m the mean luminance of the image: brightness stays, on average.

    Args:
        amount: The factor a, from 0 (all grey) to 4; 1 changes nothing.

    Raises:
        UserError: If it is out of range.
    """

    name: ClassVar[str] = "contrast"
    least, most, neutral = 0.0, 4.0, 1.0

    def __init__(self, amount: float = 1.3) -> None:
        super().__init__(amount)

    def adjusted(self, image: Tensor, amount: Tensor) -> Tensor:
        """See Adjustable."""
        return _spread(image, luminance(means(image)).to(image.dtype), amount[:, None, None, None])

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        mean = luminance(means_of(pixels))
        return lambda rows, first: _spread(rows, mean.to(rows.dtype), self.amount)


def _spread(image: Tensor, mean: Tensor, amount: Tensor | float) -> Tensor:
    return (image + (amount - 1) * (image - mean)).clamp(-1, 1)
