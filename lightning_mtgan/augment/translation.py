"""DiffAugment's translation."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.chances import Chances, whole_number
from lightning_mtgan.augment.sampling import pick
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change


class Translation(Augmentation):
    """Each image moved by whole pixels, with zeros where it was, Zhao et al. 2020 (arXiv:2006.10738).

    Args:
        ratio: The farthest move along each side as a share of its length, in [0, 1]; 0 changes nothing.

    Raises:
        UserError: If the ratio is out of range.
    """

    def __init__(self, ratio: float = 0.125) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise UserError(f"{type(self).__name__}.ratio is {ratio}; use 0 for no move, up to 1 for a whole side")
        self.ratio = ratio

    @property
    def changes(self) -> frozenset[Change]:
        """The place."""
        return frozenset({Change.SHIFT} if self.ratio > 0 else ())

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """See Augmentation."""
        shares = Chances.of(image, draws, purpose).uniform(2)
        row, column = (
            _sources(share, length, int(length * self.ratio + 0.5))
            for share, length in zip(shares, image.shape[2:], strict=True)
        )
        height, width = image.shape[2:]
        row, column = row[:, :, None], column[:, None, :]
        is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        moved = pick(image, row.clamp(0, height - 1), column.clamp(0, width - 1))
        return moved.where(is_inside[:, None], 0)


def _sources(share: Tensor, length: int, most: int) -> Tensor:
    """Where the pixels of one side come from, int64 (N, length), for moves of -most to most pixels."""
    move = whole_number(share, 2 * most + 1).long() - most
    return torch.arange(length, device=share.device) - move[:, None]
