"""Feature-wise modulation: a condition scales and shifts the channels of a map."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.r3gan import LEAKY_RELU_GAIN, initialized


class FeatureWise(nn.Module):
    """h (1 + W_s e + b_s) + W_t e + b_t for each channel, Perez et al. 2018 (FiLM, arXiv:1709.07871), equation 2.

    Scale and shift start at zero, so that at first nothing is changed.

    Args:
        num_channels: Channels C of the features.
        condition_dim: Length D of the condition e; 0 for none, which changes nothing.
    """

    def __init__(self, num_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.steer = nn.Linear(condition_dim, 2 * num_channels) if condition_dim > 0 else None
        if self.steer is not None:
            nn.init.zeros_(self.steer.weight)
            nn.init.zeros_(self.steer.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, C, H, W) and conditions (N, D) to (N, C, H, W)."""
        if self.steer is None:
            return features
        scale, shift = self.steer(condition)[:, :, None, None].chunk(2, dim=1)
        return features * (1 + scale) + shift


class FeatureWiseBlock(nn.Module):
    """x + conv(act(FiLM(conv(act(x)), e))): a residual block steered by a condition, without normalisation.

    Perez et al. 2018 (arXiv:1709.07871), section 3.2, with the activation in front of the convolutions as in He et
    al. 2016 (arXiv:1603.05027). The last convolution starts at zero, as in Zhang et al. 2019 (Fixup, arXiv:1901.09321).

    Args:
        num_channels: Channels C of the features.
        condition_dim: Length D of the condition; 0 for none.
    """

    def __init__(self, num_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.first = initialized(nn.Conv2d(num_channels, num_channels, 3, padding=1), LEAKY_RELU_GAIN)
        self.modulate = FeatureWise(num_channels, condition_dim)
        self.second = initialized(nn.Conv2d(num_channels, num_channels, 3, padding=1), gain=0.0)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, C, H, W) and conditions (N, D) to (N, C, H, W)."""
        hidden = self.modulate(self.first(leaky_relu(features, 0.2)), condition)
        return features + self.second(leaky_relu(hidden, 0.2))
