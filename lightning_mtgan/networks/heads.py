"""Heads that judge whether features come from a real image."""

from __future__ import annotations

from torch import Tensor, nn


class AdversarialHead(nn.Module):
    """From features (N, F) and condition vectors (N, condition_dim) to logits (N,)."""


class UnconditionalHead(AdversarialHead):
    """A linear judgement that ignores the condition.

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector; not used.
    """

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        self.judge = nn.Linear(num_features, 1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) to logits (N,)."""
        return self.judge(features).squeeze(1)


class ProjectionHead(AdversarialHead):
    """psi(f) + <V e(y), f>, Miyato and Koyama 2018 (arXiv:1802.05637), equation 11.

    The class tables of the paper are V e(y): a linear map of the embedding that the generator
    reads too. It starts at zero, so that at first the judgement is unconditional.

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector e(y).
    """

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        self.judge = nn.Linear(num_features, 1)
        self.project = nn.Linear(condition_dim, num_features, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) and conditions (N, condition_dim) to logits (N,)."""
        return self.judge(features).squeeze(1) + (self.project(condition) * features).sum(1)
