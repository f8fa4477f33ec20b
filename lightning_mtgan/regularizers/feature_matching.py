"""Feature matching: generated images have the real ones' mean features."""

from __future__ import annotations

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
        gap = play.real.features.detach().mean(0) - play.fake.features.mean(0)
        return (distributed.total(gap) / distributed.world_size()).square().sum()
