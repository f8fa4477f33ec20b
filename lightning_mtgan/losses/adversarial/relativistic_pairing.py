"""The relativistic pairing loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from lightning_mtgan.losses.adversarial.adversarial_loss import AdversarialLoss


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
