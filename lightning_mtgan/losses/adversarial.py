"""Adversarial losses: discriminator and generator side by side, as pure functions of logits (N,)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor
from torch.nn.functional import relu, softplus

from lightning_mtgan import distributed


def relativistic_pairing_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(d(x) - d(G(z)))), Huang et al. 2024 (R3GAN, arXiv:2501.05441), equation 2.

    Args:
        real: Logits of real images, (N,).
        fake: Logits of fake images, (N,); the i-th fake is paired with the i-th real.
    """
    return softplus(fake - real).mean()


def relativistic_pairing_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The generator's side of ``relativistic_pairing_discriminator``: the pair swapped."""
    return softplus(real - fake).mean()


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


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-d(x)) + E softplus(d(G(z))), Goodfellow et al. 2014 (arXiv:1406.2661), section 3."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """E softplus(-d(G(z))), the generator's side of ``non_saturating_discriminator``."""
    return softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E relu(1 - d(x)) + E relu(1 + d(G(z))), Lim and Ye 2017 (arXiv:1705.02894)."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """-E d(G(z)), the generator's side of ``hinge_discriminator``."""
    return -fake.mean()


class AdversarialLoss(ABC):
    """Both players' sides of one adversarial loss."""

    compares_with_real: bool = False
    """Whether the generator's side reads the logits of real images."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss that the discriminator minimises; logits of real and fake images, each (N,)."""

    @abstractmethod
    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """The loss that the generator minimises; ``real`` is None unless ``compares_with_real``."""


class RelativisticPairing(AdversarialLoss):
    """Relativistic pairing: each fake image must beat the real image beside it (R3GAN)."""

    compares_with_real = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``relativistic_pairing_discriminator``."""
        return relativistic_pairing_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``relativistic_pairing_generator``."""
        assert real is not None
        return relativistic_pairing_generator(real, fake)


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


class NonSaturating(AdversarialLoss):
    """The non-saturating logistic loss of the first GAN paper."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``non_saturating_discriminator``."""
        return non_saturating_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``non_saturating_generator``."""
        return non_saturating_generator(fake)


class Hinge(AdversarialLoss):
    """The hinge loss of geometric GAN, SNGAN and BigGAN."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``hinge_discriminator``."""
        return hinge_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``hinge_generator``."""
        return hinge_generator(fake)
