"""Cutout: a square of each image hidden, always or now and then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.chances import Chances, per_image, whole_number
from lightning_mtgan.augment.pipe import PixelPart
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change

RATIO = 0.5
"""Side of the square as a share of the image's, in both papers."""


class Cutout(Augmentation):
    """A square of zeros in each image, all of one size, Zhao et al. 2020 (arXiv:2006.10738).

    Its centre may lie anywhere in the image, so that it is cut off at the edges.

    Args:
        ratio: Side of the square as a share of the image's, in [0, 1]; 0 changes nothing.

    Raises:
        UserError: If the ratio is out of range.
    """

    def __init__(self, ratio: float = RATIO) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise UserError(f"{type(self).__name__}.ratio is {ratio}; use 0 for no square, up to 1 for a whole side")
        self.ratio = ratio

    @property
    def changes(self) -> frozenset[Change]:
        """Hidden parts."""
        return frozenset({Change.CUTOUT} if self.ratio > 0 else ())

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """See Augmentation."""
        return image.masked_fill(square(image, Chances.of(image, draws, purpose), self.ratio), 0)


@dataclass(frozen=True)
class OccasionalCutout(PixelPart):
    """ADA's cutout, Karras et al. 2020 (arXiv:2006.06676), appendix B: as ``Cutout``, of some images.

    Args:
        cutout: Its probability, as a share of the pipe's.

    Raises:
        UserError: If the share is not in [0, 1].
    """

    cutout: float = 1.0
    does: ClassVar[Mapping[str, Change]] = {"cutout": Change.CUTOUT}

    def change(self, image: Tensor, chances: Chances, probability: Tensor) -> Tensor:
        """See PixelPart."""
        (is_hit,) = chances.happen(probability * self.cutout)
        return image.masked_fill(square(image, chances, RATIO) & per_image(is_hit), 0)


def square(image: Tensor, chances: Chances, ratio: float) -> Tensor:
    """A square at a random place in each image, bool (N, 1, H, W)."""
    sides = zip(chances.uniform(2), image.shape[2:], strict=True)
    rows, columns = (_stretch(share, length, int(length * ratio + 0.5)) for share, length in sides)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _stretch(share: Tensor, length: int, size: int) -> Tensor:
    """Which pixels of one side are in the square, bool (N, length): all places of its centre are equally likely.

    A square of an even number of pixels is centred between two of them, at one of length + 1 places.
    """
    first = whole_number(share, length + (1 - size % 2)) - size // 2
    pixel = torch.arange(length, device=share.device)
    return (pixel >= first[:, None]) & (pixel < first[:, None] + size)
