"""The non-saturating logistic loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from lightning_mtgan.losses.adversarial.adversarial_loss import AdversarialLoss


def non_saturating_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-d(x)) + E softplus(d(G(z))), Goodfellow et al. 2014 (arXiv:1406.2661), section 3."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """E softplus(-d(G(z))), the generator's side of ``non_saturating_discriminator``."""
    return softplus(-fake).mean()


class NonSaturating(AdversarialLoss):
    """The non-saturating logistic loss of the first GAN paper."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """See ``non_saturating_discriminator``."""
        return non_saturating_discriminator(real, fake)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """See ``non_saturating_generator``."""
        return non_saturating_generator(fake)
