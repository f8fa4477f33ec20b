"""Sharpening by an unsharp mask."""

from __future__ import annotations

import math
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms.transform import Adjustable, Strip


class UnsharpMask(Adjustable):
    """x + a (x - blur(x)), the blur a Gaussian, out to 3 sigma, reflected at the border.

    kornia's ``unsharp_mask`` has no a but 1.

    Args:
        amount: a, from -1, which is the blur itself, to 4; 0 changes nothing.
        sigma: Standard deviation of the blur, in pixels, above 0, up to 20.

    Raises:
        UserError: If an argument is out of range.
    """

    name: ClassVar[str] = "unsharp"
    least, most, neutral = -1.0, 4.0, 0.0

    def __init__(self, amount: float = 1.0, sigma: float = 1.0) -> None:
        super().__init__(amount)
        if not 0 < sigma <= 20:
            raise UserError(f"UnsharpMask.sigma is {sigma}; use a standard deviation in pixels, above 0, up to 20")
        self.sigma = sigma

    @property
    def margin(self) -> int:
        """See Transform."""
        return math.ceil(3 * self.sigma)

    def adjusted(self, image: Tensor, amount: Tensor) -> Tensor:
        """See Adjustable."""
        return self._sharpened(image, image.shape[2], amount[:, None, None, None])

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        height = pixels.shape[1]
        return lambda rows, first: self._sharpened(rows, height, self.amount)

    def _sharpened(self, image: Tensor, height: int, amount: Tensor | float) -> Tensor:
        """Rows of an image of that height: in a low one the blur reaches only as far as it can be reflected."""
        down, across = min(self.margin, height - 1), min(self.margin, image.shape[3] - 1)
        blurred = self._blurred(pad(image, (across, across, 0, 0), mode="reflect"), 3, across)
        blurred = self._blurred(pad(blurred, (0, 0, down, down), mode="reflect"), 2, down)
        return (image + amount * (image - blurred)).clamp(-1, 1)

    def _blurred(self, wide: Tensor, side: int, radius: int) -> Tensor:
        """Along one side, which becomes shorter by the radius at either end.

        As a sum of shifted images, not as a convolution: each pixel's value is then the same to the last bit in a strip
        and in the whole, and no GPU rounds it to TF32.
        """
        weights = [math.exp(-((place / self.sigma) ** 2) / 2) for place in range(-radius, radius + 1)]
        length = wide.shape[side] - 2 * radius
        parts = (weight / sum(weights) * wide.narrow(side, shift, length) for shift, weight in enumerate(weights))
        return reduce(torch.add, parts)
