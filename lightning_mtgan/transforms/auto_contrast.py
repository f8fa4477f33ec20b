"""Contrast that fills the whole range."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms.grid import Grid
from lightning_mtgan.transforms.histogram import NUM_LEVELS, counts, counts_of
from lightning_mtgan.transforms.transform import Strip, Transform


class AutoContrast(Transform):
    """The darkest luminance becomes black and the brightest white, but for a few pixels.

    All channels are stretched alike, so that no colour is favoured. An image of one level stays as it is. Levels are
    those of 8 bits, and constants where this is differentiated.

    Args:
        low: Share of the pixels that may lie below the level that becomes black, and above that which becomes white.

    Raises:
        UserError: If it is out of range.
    """

    name: ClassVar[str] = "auto_contrast"

    def __init__(self, low: float = 0.01) -> None:
        if not 0 <= low < 0.5:
            raise UserError(f"AutoContrast.low is {low}; use a share of the pixels from 0 to below 0.5, such as 0.01")
        self.low = low

    def __call__(self, image: Tensor) -> Tensor:
        """See Transform."""
        return _stretched(image, self._ends(counts(image, Grid(*image.shape[2:]))))

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        ends = self._ends(counts_of(pixels, Grid(*pixels.shape[1:])))
        return lambda rows, first: _stretched(rows, ends)

    def _ends(self, counted: Tensor) -> Tensor:
        """The two levels, 0 to 255, int64 (N, 2), from the counts (N, 1, 256)."""
        below = counted[:, 0].cumsum(-1)
        total = below[:, -1:]
        black = (below <= self.low * total).sum(-1)
        white = NUM_LEVELS - 1 - (total - below + counted[:, 0] <= self.low * total).sum(-1)
        return torch.stack([black, white], dim=-1)


def _stretched(image: Tensor, ends: Tensor) -> Tensor:
    black, white = (ends.to(image.dtype) / 127.5 - 1)[:, :, None, None, None].unbind(1)
    is_flat = white <= black
    stretched = 2 * (image - black) / (white - black).masked_fill(is_flat, 1) - 1
    return torch.where(is_flat, image, stretched.clamp(-1, 1))
