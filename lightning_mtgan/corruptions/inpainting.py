"""Inpainting: parts of the image are lost, and it is known which."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.corruption import Corruption, Damaged


class Inpainting(Corruption):
    """Holes in the image, filled with mid-grey (0); all around them stays as it is, bit by bit.

    Args:
        probability: See Corruption.
    """

    @abstractmethod
    def lost(self, image: Tensor, chances: Chances) -> Tensor:
        """Which pixels of images (N, C, H, W) are lost, bool (N, 1, H, W), at least one of each."""

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption."""
        return _with_holes(image, self.lost(image, chances))

    def prepared(self, image: Tensor, opaque: Tensor) -> Damaged:
        """See Corruption; known is what is opaque, the whole image where nobody made it transparent."""
        return _with_holes(image, opaque == 0)


def _with_holes(image: Tensor, is_lost: Tensor) -> Damaged:
    return Damaged(image.masked_fill(is_lost, 0), (~is_lost).to(image.dtype))
