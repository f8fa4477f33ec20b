"""A grid of cells over an image, and bilinear interpolation between what belongs to each cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Cells of equal height and width, to a pixel, that cover an image without padding.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        most: Cells along each side; less where there are fewer pixels.
    """

    height: int
    width: int
    most: int = 1

    @property
    def num_rows(self) -> int:
        """Cells from top to bottom."""
        return min(self.most, self.height)

    @property
    def num_columns(self) -> int:
        """Cells from left to right."""
        return min(self.most, self.width)

    @property
    def num_cells(self) -> int:
        """All of them; they are counted row by row."""
        return self.num_rows * self.num_columns

    def cells(self, first: int, num_rows: int, device: torch.device) -> Tensor:
        """In which cell each pixel of some rows lies, int64 (num_rows, W).

        Args:
            first: The index of the first of the rows.
            num_rows: How many rows of pixels.
            device: Where the result is wanted.
        """
        row = torch.arange(first, first + num_rows, device=device) * self.num_rows // self.height
        column = torch.arange(self.width, device=device) * self.num_columns // self.width
        return row[:, None] * self.num_columns + column

    def looked_up(self, tables: Tensor, levels: Tensor, first: int = 0) -> Tensor:
        """What the tables of the four nearest cells have for each pixel, between them, (N, h, W).

        Beyond the centres of the outermost cells the nearest two, or one, count alone.

        Args:
            tables: Of each cell, floating-point (N, num_cells, K).
            levels: Which entry each pixel asks for, int64 (N, h, W), 0 to K - 1.
            first: The index of the first of the h rows.
        """
        num_images, height = levels.shape[:2]
        entries, flat = tables.shape[2], tables.flatten()
        number = torch.arange(num_images, device=levels.device)[:, None, None] * self.num_cells
        lines = torch.arange(first, first + height, device=levels.device)
        (top, bottom), down = _between(lines, self.height, self.num_rows)
        columns = torch.arange(self.width, device=levels.device)
        (left, right), across = _between(columns, self.width, self.num_columns)
        down, across = down[:, None].to(tables.dtype), across.to(tables.dtype)

        def row(above: Tensor) -> Tensor:
            start = number + above[:, None] * self.num_columns
            one, other = (flat[(start + column) * entries + levels] for column in (left, right))
            return torch.lerp(one, other, across)

        return torch.lerp(row(top), row(bottom), down)


def _between(places: Tensor, length: int, num_cells: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """For pixels along one side: the cells before and behind, and how far from the first to the second they are."""
    place = ((places.double() + 0.5) * num_cells / length - 0.5).clamp(0, num_cells - 1)
    before = place.floor().long()
    return (before, (before + 1).clamp(max=num_cells - 1)), place - before
