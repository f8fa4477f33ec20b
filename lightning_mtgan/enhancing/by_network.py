"""Photographs made better by a trained generator."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.enhancing.enhancer import Enhancer
from lightning_mtgan.enhancing.tiles import TILE, Tile, tiles
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import ImageGame
from lightning_mtgan.restoring import chosen, require_small
from lightning_mtgan.transforms.transform import Strip

DEFAULT = "enhancement"
"""What a generator does that is not told."""


class ByNetwork(Enhancer):
    """A Game's generator, which restores photographs from what it was trained to restore.

    Args:
        game: The Game, in evaluation mode.
        task: What happened to the photographs; None for ``enhancement``, or for the only thing that the Game knows.
        tile: Height and width of a tile, in pixels.

    Raises:
        UserError: If the Game knows no such thing, or does anything else than to change each pixel.
    """

    def __init__(self, game: ImageGame, task: str | None, tile: int = TILE) -> None:
        default = DEFAULT if DEFAULT in game.corruptions else None
        self.name = chosen(game, task if task is not None else default, "--task")
        self.channels = game.spec.num_channels
        if self.channels not in (1, 3):
            raise UserError(
                f"--checkpoint is of images with {self.channels} channels, but photographs have 1 or 3; use another one"
            )
        self.game, self._corruption, self._tile = game, game.corruptions[self.name], tile
        probe = torch.zeros(1, self.channels, 8, 8)
        prepared = self._corruption.prepared(probe, torch.ones_like(probe[:, :1]))
        if prepared.image.shape != probe.shape or prepared.known.any():
            raise UserError(
                f"--task {self.name} fills holes or enlarges, which is no enhancement; use the command generate with "
                f"--images and --restore {self.name}"
            )

    def tiles(self, height: int, width: int) -> list[Tile]:
        """See Enhancer."""
        margin = self.game.margin
        if margin is None:
            return tiles(height, width, 0, max(height, width))
        return tiles(height, width, margin, self._tile)

    def look(self, pixels: Tensor) -> Strip:
        """See Enhancer; nothing is to be found out."""
        return self._restored

    @torch.no_grad()
    def _restored(self, part: Tensor, first: int) -> Tensor:
        image = part.to(self.game.device, self.game.dtype)
        damaged = self._corruption.prepared(image, torch.ones_like(image[:, :1]))
        return self.game.restore(damaged, [self.name], damaged.image)  # nothing is known, so there are no holes

    def require_possible(self, file: str, height: int, width: int) -> None:
        """See Enhancer; only some must see a whole image."""
        if self.game.margin is None:
            require_small(file, height, width)
