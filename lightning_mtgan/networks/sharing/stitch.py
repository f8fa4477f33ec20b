"""A unit that mixes maps by one number for each pair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.networks.sharing.coefficients import Coefficients
from lightning_mtgan.networks.sharing.own_heavy import own_heavy


class Stitch(nn.Module):
    """x̃_i = Σ_j α_ij x_j, the cross-stitch unit of Misra et al. 2016 (arXiv:1604.03539), equation 1.

    Args:
        count: How many maps there are.
        own: α_ii at first; the other numbers of a row are alike, and rows sum to 1.
        rate: How many times as fast as other parameters α learns; see Coefficients.

    Raises:
        UserError: If the rate is not more than 0.
    """

    def __init__(self, count: int, own: float, rate: float) -> None:
        super().__init__()
        self.alpha = Coefficients(own_heavy(count, own), rate)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """As many maps (N, C, H, W) as there are, to as many of the same shape."""
        return list(torch.einsum("ij,jnchw->inchw", self.alpha(), torch.stack(list(maps))).unbind())
