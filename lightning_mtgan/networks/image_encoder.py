"""Encoders: the first layers of networks that take images, which generator and discriminator may share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class ImageEncoder(nn.Module, ABC):
    """From images (N, C, H, W) to feature maps, each of half the height and width of the one before.

    Args:
        widths: Channels of the maps, from the full resolution down.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)

    @property
    def multiple(self) -> int:
        """Height and width of images must be multiples of this."""
        return 2 ** (len(self.widths) - 1)

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) to maps (N, widths[l], H / 2^l, W / 2^l)."""
