"""A U-Net that is told what to restore."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.feature_wise import FeatureWiseBlock
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.networks.image_translator import ImageTranslator
from lightning_mtgan.networks.r3gan import LEAKY_RELU_GAIN, initialized
from lightning_mtgan.types import DataSpec


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

    All of the encoder's maps are handed over. There is no normalisation: images are restored independently.

    Args:
        spec: Channels of the images.
        condition_dim: Length of the condition vector, what to restore; 0 for none.
        encoder: The encoder, shared with the discriminator; null for one of its own.
        width: Channels at full resolution; doubled at each halving.
        num_halvings: How often height and width are halved.
        num_blocks: Residual blocks at the lowest resolution.

    Raises:
        UserError: If the given encoder has another width or number of halvings.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        encoder: ImageEncoder | None = None,
        width: int = 16,
        num_halvings: int = 2,
        num_blocks: int = 4,
    ) -> None:
        super().__init__(spec, encoder, width, num_halvings)
        widths = self.encoder.widths
        self.blocks = nn.ModuleList(FeatureWiseBlock(widths[-1], condition_dim) for _ in range(num_blocks))
        self.up = nn.ModuleList(UpBlock(below, above, condition_dim) for below, above in pairwise(widths[::-1]))
        self.to_image = initialized(nn.Conv2d(widths[0], spec.num_channels, 3, padding=1), gain=0.0)

    def residual(self, maps: Sequence[Tensor], condition: Tensor) -> Tensor:
        """The encoder's maps, the full resolution first, and conditions (N, condition_dim) to (N, C, H, W)."""
        *skips, features = maps
        for block in self.blocks:
            features = block(features, condition)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            features = up(features, skip, condition)
        return self.to_image(leaky_relu(features, 0.2))
