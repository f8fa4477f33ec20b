"""Adversarial losses, one file each: discriminator and generator side by side, as pure functions of logits (N,)."""

from lightning_mtgan.losses.adversarial.adversarial_loss import AdversarialLoss
from lightning_mtgan.losses.adversarial.hinge import Hinge, hinge_discriminator, hinge_generator
from lightning_mtgan.losses.adversarial.least_squares import (
    LeastSquares,
    least_squares_discriminator,
    least_squares_generator,
)
from lightning_mtgan.losses.adversarial.minimax import Minimax, minimax_discriminator, minimax_generator
from lightning_mtgan.losses.adversarial.non_saturating import (
    NonSaturating,
    non_saturating_discriminator,
    non_saturating_generator,
)
from lightning_mtgan.losses.adversarial.relativistic_average import (
    RelativisticAverage,
    relativistic_average_discriminator,
    relativistic_average_generator,
)
from lightning_mtgan.losses.adversarial.relativistic_average_least_squares import (
    RelativisticAverageLeastSquares,
    relativistic_average_least_squares_discriminator,
    relativistic_average_least_squares_generator,
)
from lightning_mtgan.losses.adversarial.relativistic_pairing import (
    RelativisticPairing,
    relativistic_pairing_discriminator,
    relativistic_pairing_generator,
)
from lightning_mtgan.losses.adversarial.wasserstein import Wasserstein, wasserstein_discriminator, wasserstein_generator

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "RelativisticAverage",
    "RelativisticAverageLeastSquares",
    "RelativisticPairing",
    "Wasserstein",
    "hinge_discriminator",
    "hinge_generator",
    "least_squares_discriminator",
    "least_squares_generator",
    "minimax_discriminator",
    "minimax_generator",
    "non_saturating_discriminator",
    "non_saturating_generator",
    "relativistic_average_discriminator",
    "relativistic_average_generator",
    "relativistic_average_least_squares_discriminator",
    "relativistic_average_least_squares_generator",
    "relativistic_pairing_discriminator",
    "relativistic_pairing_generator",
    "wasserstein_discriminator",
    "wasserstein_generator",
]
