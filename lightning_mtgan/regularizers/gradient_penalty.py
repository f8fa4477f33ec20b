"""WGAN-GP: the discriminator's slope is 1 between real and generated images."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import DiscriminatorRegularizer


class GradientPenalty(DiscriminatorRegularizer):
    """E (||grad_x d(x)|| - 1)^2 between real and generated images, Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3.

    The paper's weight is 10. The points x = u x_r + (1 - u) x_f, one u in [0, 1) for each image, are judged
    in a pass of their own, in full precision.
    """

    name = "gradient_penalty"
    second_order_of = frozenset({"trunk"})

    def loss(self, play: Play) -> Tensor:
        """The mean over the global batch."""
        real, fake = play.real_image, play.fake_image.detach()
        share = play.draws.uniform("between", len(real), 1, 1, 1)
        seen = play.in_full_precision(torch.lerp(fake, real, share), "between")
        norms = (2 * seen.squared_gradient_norms).clamp(min=SMALLEST).sqrt()
        return (norms - 1).square().mean()


SMALLEST = 1e-24
"""What a squared norm is at least: the root has no derivative at 0."""
