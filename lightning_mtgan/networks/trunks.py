"""Trunks: the shared part of a discriminator, from an image to a vector of features."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.mixing import MinibatchDeviation
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
    """A convolutional trunk; without normalisation, as it is by default, R1 and R2 are exact per image.

    Args:
        spec: Size and channels of the images.
        width: Channels at full resolution; doubled at each halving.
        num_features: Length of the feature vector.
        normalization: From a number of channels to a layer behind each halving, for example
            ``GlobalBatchNorm``; null for none.
        statistics: A layer that adds channels at the lowest resolution, ``MinibatchDeviation``; null
            for none.
    """

    def __init__(
        self,
        spec: DataSpec,
        width: int = 32,
        num_features: int = 128,
        normalization: Callable[[int], nn.Module] | None = None,
        statistics: MinibatchDeviation | None = None,
    ) -> None:
        super().__init__(num_features)
        channels = widths(spec.image_size, width)
        self.from_image = nn.Conv2d(spec.num_channels, channels[0], 3, padding=1)
        has_bias = normalization is None  # a normalisation takes away what a bias adds, and has its own
        self.shrink = nn.ModuleList(
            nn.Conv2d(above, below, 3, stride=2, padding=1, bias=has_bias) for above, below in pairwise(channels)
        )
        self.refine = nn.ModuleList(nn.Conv2d(below, below, 3, padding=1) for below in channels[1:])
        self.normalize = nn.ModuleList(
            normalization(below) if normalization is not None else nn.Identity() for below in channels[1:]
        )
        self.statistics = statistics or nn.Identity()
        num_extra = statistics.num_extra if statistics is not None else 0
        self.gather = nn.Linear((channels[-1] + num_extra) * SMALLEST**2, num_features)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features)."""
        features = leaky_relu(self.from_image(image), 0.2)
        for shrink, normalize, refine in zip(self.shrink, self.normalize, self.refine, strict=True):
            features = leaky_relu(normalize(shrink(features)), 0.2)
            features = (features + leaky_relu(refine(features), 0.2)) * math.sqrt(0.5)
        return leaky_relu(self.gather(self.statistics(features).flatten(1)), 0.2)
