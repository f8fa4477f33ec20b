"""Heads that judge whether features come from a real image."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.spectral import spectral


class AdversarialHead(nn.Module):
    """From features (N, F) and condition vectors (N, condition_dim) to logits (N,)."""

    reads_condition: ClassVar[bool] = True
    """Whether the judgement depends on the condition."""


class UnconditionalHead(AdversarialHead):
    """A linear judgement that ignores the condition.

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector; not used.
    """

    reads_condition = False

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


class SpectralUnconditionalHead(AdversarialHead):
    """``UnconditionalHead`` with spectral normalisation, Miyato et al. 2018 (arXiv:1802.05957).

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector; not used.
    """

    reads_condition = False

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        self.head = UnconditionalHead(num_features, condition_dim)
        _bound(self.head.judge)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) to logits (N,)."""
        return self.head(features, condition)


class SpectralProjectionHead(AdversarialHead):
    """``ProjectionHead`` with spectral normalisation, as in Brock et al. 2019 (arXiv:1809.11096), appendix B.

    The condition is brought to length 1, as tables of classes are by their own normalisation there, so that
    <V e(y), f> is bounded by |f|. Its projection starts at random: what is zero has no direction to be
    normalised.

    Args:
        num_features: Length F of the trunk's features.
        condition_dim: Length of the condition vector e(y), at least 1.

    Raises:
        UserError: If there is no condition.
    """

    def __init__(self, num_features: int, condition_dim: int) -> None:
        super().__init__()
        if condition_dim < 1:
            raise UserError(
                "SpectralProjectionHead judges by a condition, but there is none; "
                "use lightning_mtgan.networks.SpectralUnconditionalHead"
            )
        self.head = ProjectionHead(num_features, condition_dim)
        _bound(self.head.judge)
        _bound(self.head.project)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Features (N, F) and conditions (N, condition_dim) to logits (N,)."""
        return self.head(features, normalize(condition, dim=1))


def _bound(layer: nn.Linear) -> None:
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    spectral(layer)
