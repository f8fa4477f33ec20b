"""Fusion by a convolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_mtgan.networks.sharing.fusion import Fusion
from lightning_mtgan.networks.sharing.own_heavy import own_heavy_convolution, require_share


class ConvolutionalFusion(Fusion):
    """W [x_1, x_2, ...] + b by a convolution of one by one over the concatenated maps.

    Args:
        num_inputs: See Fusion.
        num_channels: See Fusion.
        own: At first a channel of the result is ``own``, from 0 to 1, times that of the branch's own map, and the
            other maps' share the rest.

    Raises:
        UserError: If the share is out of range.
    """

    def __init__(self, num_inputs: int, num_channels: int, own: float = 0.9) -> None:
        super().__init__(num_inputs, num_channels)
        require_share(self, own)
        self.reduce = own_heavy_convolution(num_inputs, num_channels, own, has_bias=True)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See Fusion."""
        return self.reduce(torch.cat(list(maps), dim=1))
