"""Inpainting of strokes, as of a brush."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.inpainting import Inpainting
from lightning_mtgan.corruptions.strengths import between, require_range
from lightning_mtgan.errors import UserError

SEGMENTS = 4
"""Straight parts of a stroke."""
LONGEST = 0.25
"""Largest length of a part as a share of the image's diagonal."""
SHARPEST = 2 * math.pi / 3
"""Largest turn from one part to the next."""


class FreeFormInpainting(Inpainting):
    """Crooked strokes of each image are lost, after Yu et al. 2019 (arXiv:1806.03589), "Free-Form Mask Generation".

    As there, a stroke starts anywhere and goes on in parts of random directions and lengths, with round ends
    and joints; what leaves the image is cut off. The numbers are this project's own. With those given below
    10% of a square image is lost on average, 5% to 16% of nine images of ten.

    Args:
        strokes: Strokes in each image.
        thickness: Smallest and largest thickness of a stroke as a share of the image's shorter side, in (0, 1];
            at least one pixel.
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "free_form_inpainting"

    def __init__(
        self, strokes: int = 3, thickness: tuple[float, float] = (0.04, 0.10), probability: float = 1.0
    ) -> None:
        super().__init__(probability)
        if strokes < 1:
            raise UserError(f"FreeFormInpainting.strokes is {strokes}; use 1 or more")
        require_range(self, "thickness", thickness, 0.001, 1, "share of the shorter side")
        self.strokes, self.thickness = strokes, thickness

    def lost(self, image: Tensor, chances: Chances) -> Tensor:
        """See Inpainting: all pixels that are nearer to a part than half the stroke's thickness."""
        height, width = image.shape[2:]
        y = torch.arange(height, device=image.device)[:, None]
        x = torch.arange(width, device=image.device)
        is_lost = torch.zeros(len(image), height, width, dtype=torch.bool, device=image.device)
        shares = iter(chances.uniform(self.strokes * (3 + 2 * SEGMENTS)))
        for _ in range(self.strokes):
            radius = (between(next(shares), self.thickness) * min(height, width)).clamp(min=1) / 2
            # At the centre of a pixel, so that the thinnest stroke hits at least that one.
            from_y, from_x = (next(shares) * height).floor(), (next(shares) * width).floor()
            direction = 2 * math.pi * next(shares)
            for segment in range(SEGMENTS):
                if segment:
                    direction = direction + SHARPEST * (2 * next(shares) - 1)
                length = LONGEST * math.hypot(height, width) * next(shares)
                by_y, by_x = length * direction.sin(), length * direction.cos()
                down, across = y - from_y[:, None, None], x - from_x[:, None, None]
                is_lost |= _distance_squared(down, across, by_y, by_x) <= radius.square()[:, None, None]
                from_y, from_x = from_y + by_y, from_x + by_x
        return is_lost[:, None]


def _distance_squared(down: Tensor, across: Tensor, by_y: Tensor, by_x: Tensor) -> Tensor:
    """From each pixel to the nearest point of a segment, squared, (N, H, W), in pixels.

    Args:
        down: Rows from the segment's start, (N, H, 1).
        across: Columns from it, (N, 1, W).
        by_y: Rows from its start to its end, (N,).
        by_x: Columns from its start to its end, (N,).
    """
    by_y, by_x = by_y[:, None, None], by_x[:, None, None]
    squared = (by_y.square() + by_x.square()).clamp(min=1e-6)  # a part may have no length
    along = (down * (by_y / squared) + across * (by_x / squared)).clamp_(0, 1)
    rows = (along * by_y).sub_(down).square_()  # in place: these are as large as the images, for each part
    columns = along.mul_(by_x).sub_(across).square_()
    return rows.add_(columns)
