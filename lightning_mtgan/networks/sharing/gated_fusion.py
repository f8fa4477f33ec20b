"""Fusion by multiplication."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.networks.r3gan import initialized
from lightning_mtgan.networks.sharing.fusion import Fusion


class GatedFusion(Fusion):
    """x_1 * 2 σ(W [x_2, ...] + b): the other maps say how much of the own one passes, place by place.

    A gated linear unit, Dauphin et al. 2017 (arXiv:1612.08083), whose gates read other maps than the one they hold
    back. W is a convolution of one by one; it and b start at zero, where a gate is 1, and the own map stays as it is.

    Arguments are those of Fusion.
    """

    def __init__(self, num_inputs: int, num_channels: int) -> None:
        super().__init__(num_inputs, num_channels)
        others = (num_inputs - 1) * num_channels
        self.gate = initialized(nn.Conv2d(others, num_channels, 1), gain=0.0) if others > 0 else None

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See Fusion."""
        own, *others = maps
        if self.gate is None:
            return own
        return own * (2 * self.gate(torch.cat(others, dim=1)).sigmoid())
