"""A head that judges patches of an image beside the damaged image it was made from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.feature_wise import FeatureWise


class PatchHead(nn.Module):
    """A conditional patch discriminator, Isola et al. 2017 (pix2pix, arXiv:1611.07004), section 3.2.2.

    Each logit judges whether a patch of the candidate is real, given the damaged image and what was done to it.

    Args:
        num_channels: Channels B of the trunk's maps: its ``body_width``.
        condition_dim: Length D of the condition vector; 0 for none.
    """

    def __init__(self, num_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(2 * num_channels, num_channels, 3, padding=1)
        self.modulate = FeatureWise(num_channels, condition_dim)
        self.judge = nn.Conv2d(num_channels, 1, 1)

    def forward(self, candidate: Tensor, damaged: Tensor, condition: Tensor) -> Tensor:
        """Two maps (N, B, h, w) and conditions (N, D) to logits of patches, (N, h, w)."""
        hidden = self.modulate(self.join(torch.cat([candidate, damaged], dim=1)), condition)
        return self.judge(leaky_relu(hidden, 0.2)).squeeze(1)
