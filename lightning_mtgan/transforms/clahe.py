"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms.grid import Grid
from lightning_mtgan.transforms.histogram import NUM_LEVELS, changes, counts, counts_of, levels
from lightning_mtgan.transforms.luminance import relit
from lightning_mtgan.transforms.transform import Strip, Transform


class CLAHE(Transform):
    """Equalises each region by itself, with limited contrast, Zuiderveld 1994 (Graphics Gems IV, chapter VIII.5).

    Each cell of a grid has a table: no level counts more than ``clip_limit`` times the mean of all levels, what is cut
    off is spread evenly over them, and T(k) = 255 CDF(k) of that. A pixel has its value from the tables of the four
    nearest cells, interpolated bilinearly. Of the luminance in 8 bits; its change is added to all channels, which keeps
    the colour. Unlike in OpenCV and kornia, nothing is rounded: they give the remainder of what is cut off to the
    lowest levels, which makes images with small cells brighter. The gradient is that of the identity.

    Args:
        clip_limit: Most that a level counts, in means over all levels: about the largest factor of the contrast.
        grid: Cells along each side; one for each pixel where there are fewer pixels.

    Raises:
        UserError: If an argument is out of range.
    """

    name: ClassVar[str] = "clahe"

    def __init__(self, clip_limit: float = 2.0, grid: int = 8) -> None:
        if not clip_limit >= 1:
            raise UserError(f"CLAHE.clip_limit is {clip_limit}; use 1 for hardly any change, 2 to 4 for more, or more")
        if not 1 <= grid <= 64:
            raise UserError(f"CLAHE.grid is {grid}; use 1 to 64 cells along each side")
        self.clip_limit, self.grid = clip_limit, grid

    def __call__(self, image: Tensor) -> Tensor:
        """See Transform."""
        grid = Grid(image.shape[2], image.shape[3], self.grid)
        return _relit(image, grid, self._tables(counts(image, grid)))

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        grid = Grid(pixels.shape[1], pixels.shape[2], self.grid)
        tables = self._tables(counts_of(pixels, grid))
        return lambda rows, first: _relit(rows, grid, tables, first)

    def _tables(self, counted: Tensor) -> Tensor:
        """By how much each level changes, from its counts in each cell, both (N, num_cells, 256)."""
        total = counted.sum(-1, keepdim=True).double()
        kept = counted.double().minimum(self.clip_limit * total / NUM_LEVELS)
        even = (total - kept.sum(-1, keepdim=True)) / NUM_LEVELS
        return changes((NUM_LEVELS - 1) * (kept + even).cumsum(-1) / total)


def _relit(image: Tensor, grid: Grid, tables: Tensor, first: int = 0) -> Tensor:
    return relit(image, grid.looked_up(tables, levels(image), first))
