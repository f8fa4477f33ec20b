"""The relativistic average loss in its least-squares form."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.losses.adversarial.adversarial_loss import AdversarialLoss


def relativistic_average_least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E (d(x) - E d(G(z)) - 1)^2 + E (d(G(z)) - E d(x))^2, Jiang et al. 2019 (EnlightenGAN, arXiv:1906.06972), eq. 3.

    The inner means are over the images of all ranks. The targets of RaLSGAN in Jolicoeur-Martineau
    2019 (arXiv:1807.00734) are 1 and -1; as only differences are judged, that is the same loss with
    another unit for d: it equals 4 L(d / 2) - 2, and therefore needs no function of its own.

    Args:
        real: Logits of real images, (N,).
        fake: Logits of fake images, (N,).
    """
    real_mean, fake_mean = distributed.gather(real).mean(), distributed.gather(fake).mean()
    return (real - fake_mean - 1).square().mean() + (fake - real_mean).square().mean()


def relativistic_average_least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Equation 4 of the same paper: real and fake swapped."""
    return relativistic_average_least_squares_discriminator(fake, real)


class RelativisticAverageLeastSquares(AdversarialLoss):
    """Relativistic average with least squares (RaLSGAN), as EnlightenGAN's global discriminator has it."""

    compares_with_real = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``relativistic_average_least_squares_discriminator``."""
        return relativistic_average_least_squares_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``relativistic_average_least_squares_generator``."""
        assert real is not None
        return relativistic_average_least_squares_generator(real, fake)
