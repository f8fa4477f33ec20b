"""Trunks: the shared part of a discriminator, from an image to a vector of features."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec


class Trunk(nn.Module):
    """A network from images (N, C, H, W) in [-1, 1] to features (N, num_features).

    Args:
        num_features: Length of the feature vector that all heads read.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


class ConvTrunk(Trunk):
    """A convolutional trunk without normalisation layers, so that R1 and R2 are exact per image.

    Args:
        spec: Size and channels of the images.
        width: Channels at full resolution; doubled at each halving.
        num_features: Length of the feature vector.
    """

    def __init__(self, spec: DataSpec, width: int = 32, num_features: int = 128) -> None:
        super().__init__(num_features)
        channels = widths(spec.image_size, width)
        self.from_image = nn.Conv2d(spec.num_channels, channels[0], 3, padding=1)
        self.shrink = nn.ModuleList(
            nn.Conv2d(above, below, 3, stride=2, padding=1) for above, below in pairwise(channels)
        )
        self.refine = nn.ModuleList(nn.Conv2d(below, below, 3, padding=1) for below in channels[1:])
        self.gather = nn.Linear(channels[-1] * SMALLEST**2, num_features)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features)."""
        features = leaky_relu(self.from_image(image), 0.2)
        for shrink, refine in zip(self.shrink, self.refine, strict=True):
            features = leaky_relu(shrink(features), 0.2)
            features = (features + leaky_relu(refine(features), 0.2)) * math.sqrt(0.5)
        return leaky_relu(self.gather(features.flatten(1)), 0.2)
