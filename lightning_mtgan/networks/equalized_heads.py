"""Adversarial heads with an equalized learning rate, behind the trunk of StyleGAN2."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.equalized import EqualizedLinear
from lightning_mtgan.networks.heads import AdversarialHead
from lightning_mtgan.networks.mapping import MappingNetwork


class EqualizedHead(AdversarialHead):
    """A linear judgement that ignores the condition: the last layer of StyleGAN2 (arXiv:1912.04958).

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector; not used.
    """

    reads_condition: ClassVar[bool] = False

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        self.judge = EqualizedLinear(num_features, 1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) to logits (N,)."""
        return self.judge(features).squeeze(1)


class EqualizedProjectionHead(AdversarialHead):
    """<W f + b, m(c)> / sqrt(F), with a mapping network m, as in StyleGAN2-ADA (arXiv:2006.06676), appendix C.

    Args:
        num_features: Length F of the trunk's features, and of the vectors that are compared.
        condition_dim: Length of the condition vector c.
        num_layers: Layers of the mapping network behind the embedding of the condition.

    Raises:
        UserError: If there is no condition.
    """

    reads_condition: ClassVar[bool] = True

    def __init__(self, num_features: int, condition_dim: int, num_layers: int = 8) -> None:
        super().__init__()
        if condition_dim == 0:
            raise UserError("EqualizedProjectionHead compares with a condition, but there is none; use EqualizedHead")
        self.judge = EqualizedLinear(num_features, num_features)
        self.mapping = MappingNetwork(0, condition_dim, num_features, num_layers)
        self.scale = 1 / math.sqrt(num_features)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) and conditions (N, condition_dim) to logits (N,)."""
        mapped = self.mapping(condition[:, :0], condition)
        return (self.judge(features) * mapped).sum(1) * self.scale
