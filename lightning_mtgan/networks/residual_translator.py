"""A residual encoder-decoder that is told what to restore."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.feature_wise import FeatureWise
from lightning_mtgan.networks.image_translator import ImageTranslator
from lightning_mtgan.networks.r3gan import LEAKY_RELU_GAIN, initialized


class GrowingLayer(nn.Module):
    """Doubles a map by one convolution at the smaller size, which the condition steers.

    By pixel shuffling, Shi et al. 2016 (arXiv:1609.05158), section 3.2.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the result.
        condition_dim: Length of the condition vector; 0 for none.
    """

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(
            initialized(nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1), LEAKY_RELU_GAIN), nn.PixelShuffle(2)
        )
        self.modulate = FeatureWise(out_channels, condition_dim)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(N, in_channels, H, W) and conditions (N, condition_dim) to (N, out_channels, 2 H, 2 W)."""
        return self.modulate(self.grow(leaky_relu(features, 0.2)), condition)


class ResidualTranslator(ImageTranslator):
    """Residual blocks at the lowest resolution, then upwards, Johnson et al. 2016 (arXiv:1603.08155), section 3.1.

    As the generator of CycleGAN, Zhu et al. 2017 (arXiv:1703.10593), section 4, but without normalisation, so that
    images are restored independently. Only the encoder's last map is read: nothing by-passes the blocks.

    Arguments are those of ImageTranslator.
    """

    reach_of_doubling = 3  # two by the convolution at the smaller size, one because two pixels come of each smaller one

    def doubling(self, in_channels: int, out_channels: int, condition_dim: int) -> nn.Module:
        """See ImageTranslator."""
        return GrowingLayer(in_channels, out_channels, condition_dim)

    def grown(self, features: Tensor, skips: Sequence[Tensor], condition: Tensor) -> Tensor:
        """See ImageTranslator."""
        for up in self.up:
            features = up(features, condition)
        return features
