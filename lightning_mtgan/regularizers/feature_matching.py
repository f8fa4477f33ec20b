"""Feature matching: generated images have the real ones' mean features."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import GeneratorRegularizer


class FeatureMatching(GeneratorRegularizer):
    """||E f(x) - E f(G(z))||^2 of the trunk's features, Salimans et al. 2016 (arXiv:1606.03498), section 3.1.

    Both means are over the images of all ranks.
    """

    name = "feature_matching"
    reads_real = True

    def loss(self, play: Play) -> Tensor:
        """The squared distance of the means, the same on every rank."""
        kind = torch.promote_types(play.fake.features.dtype, torch.float32)  # the gap is small beside both
        gap = play.real.features.detach().to(kind).mean(0) - play.fake.features.to(kind).mean(0)
        return (distributed.total(gap) / distributed.world_size()).square().sum()
