"""A head that draws a map from a vector of features."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from lightning_mtgan.networks.widths import SMALLEST, widths


class MapHead(nn.Module):
    """From features (N, F) to logits of a map, (N, channels * resolution^2), by doubling a 4 x 4 map.

    Args:
        num_features: Length F of the features.
        channels: Channels of the map.
        resolution: Height and width of the map, in pixels: 4, 8, 16 ...
        width: Channels of the layers within.
    """

    def __init__(self, num_features: int, channels: int, resolution: int, width: int = 32) -> None:
        super().__init__()
        num_doublings = len(widths(resolution, width)) - 1
        self.lift = nn.Linear(num_features, width * SMALLEST**2)
        self.refine = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(num_doublings))
        self.to_map = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, F) to logits (N, channels * resolution^2)."""
        maps = leaky_relu(self.lift(features), 0.2).unflatten(1, (-1, SMALLEST, SMALLEST))
        for refine in self.refine:
            maps = interpolate(maps, scale_factor=2.0)
            maps = (maps + leaky_relu(refine(maps), 0.2)) * math.sqrt(0.5)
        return self.to_map(maps).flatten(1)
