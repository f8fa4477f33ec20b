"""CR and bCR: the discriminator judges an image and its changed copy alike."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment import Augmentation
from lightning_mtgan.regularizers.play import Play, Seen
from lightning_mtgan.regularizers.regularizer import DiscriminatorRegularizer


class _Consistency(DiscriminatorRegularizer):
    """What both kinds share: the change."""

    def __init__(self, transform: Augmentation, every: int = 1) -> None:
        super().__init__(every)
        self.transform = transform


class RealConsistency(_Consistency):
    """E (d(x) - d(T(x)))^2 over real images, Zhang et al. 2020 (CR-GAN, arXiv:1910.12027), equation 3.

    The usual weight is 10, the usual T a flip and a shift by up to an eighth of the image.

    Args:
        transform: The change T, drawn anew in every step.
        every: Played at every so many-th batch.
    """

    name = "consistency_real"

    def loss(self, play: Play) -> Tensor:
        """The mean over real images."""
        changed = self.transform(play.real_image, play.draws, "consistency/real")
        return _squared_difference(play.real, play.judge(changed, "real", False))


class FakeConsistency(_Consistency):
    """E (d(G(z)) - d(T(G(z))))^2 over generated images, Zhao et al. 2021 (ICR-GAN, arXiv:2002.04724), section 3.1.

    Together with RealConsistency it is the paper's balanced consistency, bCR.

    Args:
        transform: The change T, drawn anew in every step.
        every: Played at every so many-th batch.
    """

    name = "consistency_fake"

    def loss(self, play: Play) -> Tensor:
        """The mean over generated images."""
        changed = self.transform(play.fake_image, play.draws, "consistency/fake")
        return _squared_difference(play.fake, play.judge(changed, "fake", False))


def _squared_difference(one: Seen, other: Seen) -> Tensor:
    return (one.logits - other.logits).square().mean()
