"""White balance."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.transforms.luminance import means, means_of
from lightning_mtgan.transforms.transform import Adjustable, Strip

DARKEST = 1 / 255
"""Channels are not brighter than if their mean were this, in [0, 1]: one that is missing has nothing to bring back."""


class WhiteBalance(Adjustable):
    """Grey world, Buchsbaum 1980: in the mean over an image there is no colour, so channels are scaled to equal means.

    A channel of mean m_c in [0, 1] is multiplied by 1 + a (m / m_c - 1), m the mean of the three: its mean becomes
    m_c + a (m - m_c), unless it is clamped. Grey images stay as they are.

    Args:
        amount: The strength a, from 0, which changes nothing, to 1.

    Raises:
        UserError: If it is out of range.
    """

    name: ClassVar[str] = "white_balance"
    least, most, neutral = 0.0, 1.0, 0.0

    def __init__(self, amount: float = 1.0) -> None:
        super().__init__(amount)

    def adjusted(self, image: Tensor, amount: Tensor) -> Tensor:
        """See Adjustable."""
        return _balanced(image, _lacking(means(image)), amount[:, None, None, None])

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        lacking = _lacking(means_of(pixels))
        return lambda rows, first: _balanced(rows, lacking, self.amount)


def _lacking(mean: Tensor) -> Tensor:
    """What each channel lacks, as a share of itself, (N, C, 1, 1), from its mean in [-1, 1]."""
    value = ((mean + 1) / 2).clamp(min=DARKEST)
    return value.mean(1, keepdim=True) / value - 1


def _balanced(image: Tensor, lacking: Tensor, amount: Tensor | float) -> Tensor:
    if image.shape[1] == 1:
        return image
    return (image + amount * lacking.to(image.dtype) * (image + 1)).clamp(-1, 1)
