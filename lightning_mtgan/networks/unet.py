"""A U-Net that is told what to restore."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.feature_wise import FeatureWiseBlock
from lightning_mtgan.networks.image_translator import ImageTranslator
from lightning_mtgan.networks.r3gan import LEAKY_RELU_GAIN, initialized


class UpBlock(nn.Module):
    """Doubles a map, joins it with the encoder's of that size, and refines it by a block that the condition steers.

    Doubled by pixel shuffling, Shi et al. 2016 (arXiv:1609.05158), section 3.2: a convolution at the smaller size.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the encoder's map, and of the result.
        condition_dim: Length of the condition vector; 0 for none.
    """

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(
            initialized(nn.Conv2d(in_channels, 4 * out_channels, 1), LEAKY_RELU_GAIN), nn.PixelShuffle(2)
        )
        self.join = initialized(nn.Conv2d(2 * out_channels, out_channels, 1))
        self.block = FeatureWiseBlock(out_channels, condition_dim)

    def forward(self, features: Tensor, skip: Tensor, condition: Tensor) -> Tensor:
        """(N, in_channels, H, W), (N, out_channels, 2 H, 2 W) and conditions to (N, out_channels, 2 H, 2 W)."""
        grown = self.grow(leaky_relu(features, 0.2))
        return self.block(self.join(torch.cat([grown, skip], dim=1)), condition)


class UNet(ImageTranslator):
    """A residual U-Net, Ronneberger et al. 2015 (arXiv:1505.04597), figure 1, with a condition at all resolutions.

    All of the encoder's maps are handed over.

    Arguments are those of ImageTranslator.
    """

    reach_of_doubling = 3  # two by the block, one because two pixels come of each smaller one

    def doubling(self, in_channels: int, out_channels: int, condition_dim: int) -> nn.Module:
        """See ImageTranslator."""
        return UpBlock(in_channels, out_channels, condition_dim)

    def grown(self, features: Tensor, skips: Sequence[Tensor], condition: Tensor) -> Tensor:
        """See ImageTranslator."""
        for up, skip in zip(self.up, reversed(skips), strict=True):
            features = up(features, skip, condition)
        return features
