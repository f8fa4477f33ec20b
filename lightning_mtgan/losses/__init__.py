"""Losses as pure functions of tensors, and the pairs of them that a Game takes."""

from lightning_mtgan.losses.adversarial import AdversarialLoss, Hinge, NonSaturating, RelativisticPairing
from lightning_mtgan.losses.contrastive import data_to_data_cross_entropy
from lightning_mtgan.losses.penalties import squared_gradient_norms

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "NonSaturating",
    "RelativisticPairing",
    "data_to_data_cross_entropy",
    "squared_gradient_norms",
]
