"""Enhance and recognise side by side: two branches that share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.feature_wise import FeatureWise, FeatureWiseBlock
from lightning_mtgan.networks.filling import filled
from lightning_mtgan.networks.halving import Halving
from lightning_mtgan.networks.joint_network import JointNetwork
from lightning_mtgan.networks.r3gan import initialized
from lightning_mtgan.networks.residual_translator import GrowingLayer
from lightning_mtgan.networks.sharing.sharing import Column, Sharing
from lightning_mtgan.networks.widths import SMALLEST
from lightning_mtgan.types import DataSpec

ENHANCEMENT, RECOGNITION = "enhancement", "recognition"
"""Names of the branches."""


class ResidualDecoder(nn.Module):
    """From a map at the lowest resolution to what must be added to an image, which is 0 at first.

    The way back of ``ResidualTranslator``: blocks, and a layer for each doubling, which a condition steers.

    Args:
        widths: Channels of the maps, from the full resolution down.
        num_channels: Channels of the images.
        condition_dim: Length of the condition vector; 0 for none.
        num_blocks: Residual blocks at the lowest resolution.
    """

    def __init__(self, widths: Sequence[int], num_channels: int, condition_dim: int, num_blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FeatureWiseBlock(widths[-1], condition_dim) for _ in range(num_blocks))
        self.up = nn.ModuleList(GrowingLayer(below, above, condition_dim) for below, above in pairwise(widths[::-1]))
        self.last = FeatureWise(widths[0], condition_dim)
        self.to_image = initialized(nn.Conv2d(widths[0], num_channels, 3, padding=1), gain=0.0)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(N, widths[-1], h, w) and conditions (N, condition_dim) to (N, C, 2^l h, 2^l w) after l doublings."""
        for layer in (*self.blocks, *self.up):
            features = layer(features, condition)
        return self.to_image(leaky_relu(self.last(features, condition), 0.2))


class ParallelNetwork(JointNetwork):
    """Two branches that share by any structure: one is brought back to an image, the other one gathered to features.

    Each branch is a convolutional encoder without normalisation, which reads the ``filled`` image and what is
    known of it. Nothing by-passes it but the image itself, to which the branch of the enhancement adds a residual.

    Args:
        spec: Channels of the images.
        condition_dim: Length of the condition vector, what to restore; only the way back to an image is told.
        sharing: From a function that makes a column, and the names of the branches, to what they share.
        width: Channels at full resolution; doubled at each halving.
        num_features: Length of the feature vector.
        num_halvings: How often height and width are halved.
        num_blocks: Residual blocks of the enhancement at the lowest resolution.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        sharing: Callable[[Callable[[], Column], Sequence[str]], Sharing],
        width: int = 16,
        num_features: int = 128,
        num_halvings: int = 2,
        num_blocks: int = 2,
    ) -> None:
        super().__init__(num_features)
        _require_numbers(width, num_features, num_halvings, num_blocks)
        widths = [width << level for level in range(num_halvings + 1)]
        self.sharing = sharing(lambda: _column(spec.num_channels + 1, widths), (ENHANCEMENT, RECOGNITION))
        self.decoder = ResidualDecoder(widths, spec.num_channels, condition_dim, num_blocks)
        self.gather = nn.Linear(widths[-1] * SMALLEST**2, num_features)

    def penalties(self) -> dict[str, Tensor]:
        """Those of the structure."""
        return self.sharing.penalties()

    def forward(
        self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See JointNetwork."""
        base = filled(image, known) if base is None else base
        maps = self._maps(base, known)
        pooled = adaptive_avg_pool2d(maps[RECOGNITION], SMALLEST)
        features = leaky_relu(self.gather(pooled.flatten(1)), 0.2)
        return self._restored(image, known, condition, base, maps), features

    def enhance(self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None) -> Tensor:
        """See JointNetwork."""
        base = filled(image, known) if base is None else base
        return self._restored(image, known, condition, base, self._maps(base, known))

    def _maps(self, base: Tensor, known: Tensor) -> dict[str, Tensor]:
        return self.sharing(torch.cat([base, known.to(base.dtype)], dim=1))

    def _restored(
        self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor, maps: dict[str, Tensor]
    ) -> Tensor:
        height, width = image.shape[2:]
        residual = self.decoder(maps[ENHANCEMENT], condition)[:, :, :height, :width]  # odd sizes are halved upwards
        return torch.where(known >= 1, image, base + residual)


def _require_numbers(width: int, num_features: int, num_halvings: int, num_blocks: int) -> None:
    numbers = {"width": (width, 1), "num_features": (num_features, 1)}
    for name, (number, least) in {**numbers, "num_halvings": (num_halvings, 0), "num_blocks": (num_blocks, 0)}.items():
        if number < least:
            raise UserError(f"model.game.network.{name} is {number}; use {least} or more")


def _column(in_channels: int, widths: Sequence[int]) -> Column:
    """A convolution at full resolution, then halvings."""
    first = initialized(nn.Conv2d(in_channels, widths[0], 3, padding=1))
    stages = [nn.Sequential(first, nn.LeakyReLU(0.2)), *(Halving(above, below) for above, below in pairwise(widths))]
    return Column(in_channels, stages, widths)
