"""Adversarial heads of R3GAN: linear, without biases."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.heads import AdversarialHead
from lightning_mtgan.networks.r3gan import initialized


class R3GANHead(AdversarialHead):
    """<w, f>, the last layer of R3GAN's unconditional discriminator (arXiv:2501.05441).

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector; not used.
    """

    reads_condition: ClassVar[bool] = False

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        self.judge = initialized(nn.Linear(num_features, 1, bias=False))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) to logits (N,)."""
        return self.judge(features).squeeze(1)


class R3GANProjectionHead(AdversarialHead):
    """<W f, V c>, the last layers of R3GAN's conditional discriminator (arXiv:2501.05441).

    Args:
        num_features: Length F of the trunk's features, and of the vectors that are compared.
        condition_dim: Length of the condition vector c.

    Raises:
        UserError: If there is no condition.
    """

    reads_condition: ClassVar[bool] = True

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        if condition_dim == 0:
            raise UserError("R3GANProjectionHead compares with a condition, but there is none; use R3GANHead")
        self.judge = initialized(nn.Linear(num_features, num_features, bias=False))
        self.embed = initialized(nn.Linear(condition_dim, num_features, bias=False), 1 / math.sqrt(num_features))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) and conditions (N, condition_dim) to logits (N,)."""
        return (self.judge(features) * self.embed(condition)).sum(1)
