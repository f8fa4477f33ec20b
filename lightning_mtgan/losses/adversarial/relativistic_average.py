"""The relativistic average loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from lightning_mtgan import distributed
from lightning_mtgan.losses.adversarial.adversarial_loss import AdversarialLoss


def relativistic_average_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(d(x) - E d(G(z)))) + E softplus(d(G(z)) - E d(x)), Jolicoeur-Martineau 2019 (arXiv:1807.00734).

    The inner means are over the images of all ranks.

    Args:
        real: Logits of real images, (N,).
        fake: Logits of fake images, (N,).
    """
    real_mean, fake_mean = distributed.gather(real).mean(), distributed.gather(fake).mean()
    return softplus(fake_mean - real).mean() + softplus(fake - real_mean).mean()


def relativistic_average_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The generator's side of ``relativistic_average_discriminator``: real and fake swapped."""
    return relativistic_average_discriminator(fake, real)


class RelativisticAverage(AdversarialLoss):
    """Relativistic average: each image is compared with the mean of the other kind (RaSGAN, ESRGAN)."""

    compares_with_real = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``relativistic_average_discriminator``."""
        return relativistic_average_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``relativistic_average_generator``."""
        assert real is not None
        return relativistic_average_generator(real, fake)
