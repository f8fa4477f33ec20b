"""What makes photographs better, a tile at a time: a network or a fixed rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from lightning_mtgan.enhancing.tiles import Tile
from lightning_mtgan.transforms.strips import from_pixels, to_pixels
from lightning_mtgan.transforms.transform import Strip


class Enhancer(ABC):
    """Makes photographs of 8 bits better; only a tile at a time stands in memory as floating-point numbers."""

    name: str
    """What it does, as a person calls it."""

    channels: int | None
    """1 or 3 if photographs must be grey or coloured, None if it takes both."""

    @abstractmethod
    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of an image, in which it is worked on."""

    @abstractmethod
    def look(self, pixels: Tensor) -> Strip:
        """What is to be done to the parts of an image, uint8 (C, H, W), after one look at it."""

    def __call__(self, pixels: Tensor, told: Callable[[], None]) -> Tensor:
        """An image, uint8 (C, H, W), made better, of the same shape.

        Args:
            pixels: The image.
            told: Called after each tile.
        """
        make, enhanced = self.look(pixels), torch.empty_like(pixels)
        for tile in self.tiles(*pixels.shape[1:]):
            part = from_pixels(pixels[None, :, *tile.seen])
            enhanced[:, *tile.place] = to_pixels(make(part, tile.seen[0].start)[0, :, *tile.inner])
            told()
        return enhanced

    def require_possible(self, file: str, height: int, width: int) -> None:  # noqa: B027 - most can do all
        """Refuse an image that cannot be worked on.

        Args:
            file: How a person calls it.
            height: In pixels.
            width: In pixels.

        Raises:
            UserError: With the reason, and what would go.
        """
