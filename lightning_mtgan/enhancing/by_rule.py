"""Photographs made better by the rule that a trained generator finds for each of them."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.enhancing.by_network import ByNetwork
from lightning_mtgan.enhancing.by_transform import ByTransform
from lightning_mtgan.enhancing.tiles import Tile
from lightning_mtgan.transforms import Strip, Transform


class ByRule(ByNetwork):
    """A generator that sees the whole photograph, made small, and says which transforms it needs, and how much.

    Arguments and errors are those of ByNetwork; see ``has_rule``.
    """

    def tiles(self, height: int, width: int) -> list[Tile]:
        """See Enhancer: strips, whose margin is that of any image's rule."""
        return ByTransform(self._rule(_blank(self.game.spec.num_channels))).tiles(height, width)

    def look(self, pixels: Tensor) -> Strip:
        """See Enhancer."""
        return self._rule(pixels).look(pixels)

    def require_possible(self, file: str, height: int, width: int) -> None:
        """See Enhancer: any size is possible."""

    def _rule(self, pixels: Tensor) -> Transform:
        rule = self.game.rule(pixels.to(self.game.device), self.name)
        assert rule is not None
        return rule


def has_rule(network: ByNetwork) -> bool:
    """Whether the generator restores photographs by a rule, which can be followed in strips."""
    game = network.game
    return game.rule(_blank(game.spec.num_channels).to(game.device), network.name) is not None


def _blank(num_channels: int) -> Tensor:
    return torch.zeros(num_channels, 8, 8, dtype=torch.uint8)
