"""Losses as pure functions of tensors, and the pairs of them that a Game takes."""

from lightning_mtgan.losses.adversarial import (
    AdversarialLoss,
    Hinge,
    NonSaturating,
    RelativisticAverage,
    RelativisticPairing,
)
from lightning_mtgan.losses.contrastive import data_to_data_cross_entropy
from lightning_mtgan.losses.masked import masked_mean
from lightning_mtgan.losses.penalties import squared_gradient_norms

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "NonSaturating",
    "RelativisticAverage",
    "RelativisticPairing",
    "data_to_data_cross_entropy",
    "masked_mean",
    "squared_gradient_norms",
]
