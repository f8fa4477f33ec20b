"""Saturation."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.transforms.luminance import luminance
from lightning_mtgan.transforms.transform import Adjustable, Strip


class Saturation(Adjustable):
    """Y + a (x - Y) for each channel, Y the pixel's luminance, which stays unless a channel is clamped.

    Grey images stay as they are.

    Args:
        amount: The factor a, from 0 (no colour) to 4; 1 changes nothing.

    Raises:
        UserError: If it is out of range.
    """

    name: ClassVar[str] = "saturation"
    least, most, neutral = 0.0, 4.0, 1.0

    def __init__(self, amount: float = 1.3) -> None:
        super().__init__(amount)

    def adjusted(self, image: Tensor, amount: Tensor) -> Tensor:
        """See Adjustable."""
        return _coloured(image, amount[:, None, None, None])

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        return lambda rows, first: _coloured(rows, self.amount)


def _coloured(image: Tensor, amount: Tensor | float) -> Tensor:
    if image.shape[1] == 1:
        return image
    return (image + (amount - 1) * (image - luminance(image))).clamp(-1, 1)
