"""The least-squares loss."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.losses.adversarial.adversarial_loss import AdversarialLoss


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E (d(x) - 1)^2 + 1/2 E d(G(z))^2, Mao et al. 2017 (LSGAN, arXiv:1611.04076), equation 9.

    Args:
        real: Logits of real images, (N,); their target is 1.
        fake: Logits of fake images, (N,); their target is 0.
    """
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(fake: Tensor) -> Tensor:
    """1/2 E (d(G(z)) - 1)^2, the generator's side of ``least_squares_discriminator``."""
    return 0.5 * (fake - 1).square().mean()


class LeastSquares(AdversarialLoss):
    """The least-squares loss of LSGAN, pix2pixHD and CycleGAN; undecided is a logit of 1/2, not 0."""

    def belief(self, real: Tensor, fake: Tensor) -> Tensor:
        """The logit above 1/2, which lies between both targets."""
        return real - 0.5

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``least_squares_discriminator``."""
        return least_squares_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``least_squares_generator``."""
        return least_squares_generator(fake)
