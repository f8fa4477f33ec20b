"""R1 and R2: the discriminator may not be steep where images are."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import DiscriminatorRegularizer


class R1(DiscriminatorRegularizer):
    """E 1/2 ||grad_x d(x)||^2 over real images, Mescheder et al. 2018 (arXiv:1801.04406), equation 9; weight: γ.

    By the images before any augmentation. Under autocast it has a pass of its own, in full precision.
    """

    name = "r1"
    differentiates = frozenset({"real"})
    second_order_of = frozenset({"trunk"})

    def loss(self, play: Play) -> Tensor:
        """The mean over real images."""
        return play.differentiable("real").squared_gradient_norms.mean()


class R2(DiscriminatorRegularizer):
    """E 1/2 ||grad_x d(x)||^2 over generated images, Mescheder et al. 2018 (arXiv:1801.04406), section 4.1; weight: γ.

    With R1 in every step one backward pass serves both (Huang et al. 2024, R3GAN, arXiv:2501.05441).
    """

    name = "r2"
    differentiates = frozenset({"fake"})
    second_order_of = frozenset({"trunk"})

    def loss(self, play: Play) -> Tensor:
        """The mean over generated images."""
        return play.differentiable("fake").squared_gradient_norms.mean()
