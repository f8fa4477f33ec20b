"""NDDR: columns that reduce all maps together to their own channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from lightning_mtgan.networks.mixing import GlobalBatchNorm
from lightning_mtgan.networks.sharing.feature_fusion import FeatureFusion
from lightning_mtgan.networks.sharing.fusion import Fusion
from lightning_mtgan.networks.sharing.own_heavy import own_heavy_convolution, require_share
from lightning_mtgan.networks.sharing.sharing import Column


class NDDR(FeatureFusion):
    """Neural discriminative dimensionality reduction, Gao et al. 2019 (arXiv:1801.08297).

    Behind each stage a branch's map is a convolution of one by one over all columns' maps, and then a batch
    normalisation, which makes images of a batch depend on each other while it trains. The weight decay of these
    convolutions, the paper's third ingredient, is left to the optimiser. With ``own`` 1 and in evaluation mode the
    columns are separate at first, but for the normalisation's eps.

    Args:
        column: See Columns.
        branches: See Sharing.
        own: At first a channel of the reduced map is ``own``, from 0 to 1, times that of the branch's own map, and the
            other maps' share the rest.

    Raises:
        UserError: If the share is out of range; see also Sharing.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str], own: float = 0.9) -> None:
        super().__init__(column, branches, partial(Reduction, own=own))
        require_share(self, own)


class Reduction(Fusion):
    """BN(W [x_1, x_2, ...]), the layer of NDDR.

    Args:
        num_inputs: See Fusion.
        num_channels: See Fusion.
        own: See NDDR.
    """

    def __init__(self, num_inputs: int, num_channels: int, own: float) -> None:
        super().__init__(num_inputs, num_channels)
        self.reduce = own_heavy_convolution(num_inputs, num_channels, own, has_bias=False)
        self.normalize = GlobalBatchNorm(num_channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See Fusion."""
        return self.normalize(self.reduce(torch.cat(list(maps), dim=1)))
