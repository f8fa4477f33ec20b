"""Histograms of the luminance, in 256 levels, and tables that say how much to change each level."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.transforms.grid import Grid
from lightning_mtgan.transforms.luminance import luminance
from lightning_mtgan.transforms.strips import strips

NUM_LEVELS = 256


def levels(image: Tensor) -> Tensor:
    """The luminance of images (N, C, H, W) in [-1, 1], in 8 bits: int64 (N, H, W), 0 to 255.

    Colours of 8 bits have luminances of whole thousandths of a level. Rounding up from .4995 on lies between two of
    them, so that the error of floating-point numbers, of whatever type, decides over none.
    """
    wide = image.to(torch.promote_types(image.dtype, torch.float32))
    return ((luminance(wide)[:, 0] + 1) * 127.5 + 0.5005).floor().clamp(0, NUM_LEVELS - 1).long()


def counts(image: Tensor, grid: Grid, first: int = 0) -> Tensor:
    """How many pixels have each level, in each cell of a grid, int64 (N, grid.num_cells, 256).

    Args:
        image: Some rows of images, (N, C, h, W) in [-1, 1].
        grid: The grid over the whole of them.
        first: The index of the first of the rows.
    """
    number = torch.arange(len(image), device=image.device)[:, None, None] * grid.num_cells
    bins = (number + grid.cells(first, image.shape[2], image.device)) * NUM_LEVELS + levels(image)
    size = len(image) * grid.num_cells * NUM_LEVELS
    return bins.flatten().bincount(minlength=size).view(len(image), grid.num_cells, NUM_LEVELS)


def counts_of(pixels: Tensor, grid: Grid) -> Tensor:
    """The same of a large image, uint8 (C, H, W): int64 (1, grid.num_cells, 256)."""
    total = pixels.new_zeros(1, grid.num_cells, NUM_LEVELS, dtype=torch.int64)
    for rows, first, _ in strips(pixels):
        total += counts(rows, grid, first)
    return total


def changes(table: Tensor) -> Tensor:
    """From what each level becomes, 0 to 255, (..., 256), to what is added to it in the units of [-1, 1], float32."""
    return ((table - torch.arange(NUM_LEVELS, device=table.device)) / 127.5).float()
