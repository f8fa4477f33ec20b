"""Fusion by a weighted average."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.sharing.coefficients import Coefficients
from lightning_mtgan.networks.sharing.fusion import Fusion
from lightning_mtgan.networks.sharing.own_heavy import own_heavy


class WeightedFusion(Fusion):
    """Σ_i softmax(w)_i x_i: an average, whose weights are learned.

    Args:
        num_inputs: See Fusion.
        num_channels: See Fusion.
        own: Weight of the branch's own map at first, between 0 and 1; the others share the rest.
        rate: How many times as fast as other parameters w learns under an optimiser such as Adam, whose steps do not
            depend on the size of gradients: w / rate is the parameter.

    Raises:
        UserError: If an argument is out of range.
    """

    def __init__(self, num_inputs: int, num_channels: int, own: float = 0.9, rate: float = 128.0) -> None:
        super().__init__(num_inputs, num_channels)
        if not 0 < own < 1:
            raise UserError(f"WeightedFusion.own is {own}; use a share between 0 and 1, such as 0.9")
        self.logits = Coefficients(own_heavy(num_inputs, own)[0].log(), rate)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See Fusion."""
        return torch.einsum("i,inchw->nchw", self.logits().softmax(0), torch.stack(list(maps)))
