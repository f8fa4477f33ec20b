"""Histogram equalisation."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.transforms.grid import Grid
from lightning_mtgan.transforms.histogram import NUM_LEVELS, changes, counts, counts_of, levels
from lightning_mtgan.transforms.luminance import relit
from lightning_mtgan.transforms.transform import Strip, Transform


class HistogramEqualisation(Transform):
    """T(k) = round((L - 1) CDF(k)), Gonzalez and Woods, Digital Image Processing, section 3.3; L = 256.

    Of the luminance in 8 bits: of all levels about as many pixels. Its change is added to all channels, which keeps the
    colour. An image of one level becomes white, by the formula. The gradient is that of the identity.
    """

    name: ClassVar[str] = "equalise"

    def __call__(self, image: Tensor) -> Tensor:
        """See Transform."""
        grid = Grid(*image.shape[2:])
        return _equalised(image, grid, _table(counts(image, grid)))

    def look(self, pixels: Tensor) -> Strip:
        """See Transform."""
        grid = Grid(*pixels.shape[1:])
        table = _table(counts_of(pixels, grid))
        return lambda rows, first: _equalised(rows, grid, table, first)


def _table(counted: Tensor) -> Tensor:
    share = counted.double().cumsum(-1) / counted.sum(-1, keepdim=True)
    return changes(((NUM_LEVELS - 1) * share).round())


def _equalised(image: Tensor, grid: Grid, table: Tensor, first: int = 0) -> Tensor:
    return relit(image, grid.looked_up(table, levels(image), first))
