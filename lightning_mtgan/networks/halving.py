"""The stage that encoders are made of, which halves a map."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class Halving(nn.Module):
    """A convolution of stride 2 and a residual one behind it, as in ``ConvTrunk``; 5 pixels become 3.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the next.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.refine = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        features = leaky_relu(self.shrink(features), 0.2)
        return (features + leaky_relu(self.refine(features), 0.2)) * math.sqrt(0.5)
