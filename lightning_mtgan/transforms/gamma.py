"""Gamma correction."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.transforms.transform import Adjustable, Strip

FIRST_LEVEL = 1 / 255
"""The darkest level of 8 bits that is not black."""


class Gamma(Adjustable):
    """x^a of values in [0, 1]: black and white stay, and what is between becomes brighter (a < 1) or darker.

    Below the first level of 8 bits it is a straight line to black, unlike kornia's ``adjust_gamma``, of which the
    gradient is infinite there.

    Args:
        amount: The exponent a, from 0.25 to 4; 1 changes nothing.

    Raises:
        UserError: If it is out of range.
    """

    name: ClassVar[str] = "gamma"
    least, most, neutral = 0.25, 4.0, 1.0

    def __init__(self, amount: float = 0.7) -> None:
        super().__init__(amount)

    def adjusted(self, image: Tensor, amount: Tensor) -> Tensor:
        """See Adjustable."""
        return _bent(image, amount[:, None, None, None])

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        return lambda rows, first: _bent(rows, self.amount)


def _bent(image: Tensor, amount: Tensor | float) -> Tensor:
    value = ((image + 1) / 2).clamp(0, 1)
    base = value.clamp(min=FIRST_LEVEL)
    return (2 * base**amount * (value / base) - 1).clamp(-1, 1)
