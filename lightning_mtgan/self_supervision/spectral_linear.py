"""A head that cannot grow."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_mtgan.networks import spectral


class SpectralLinear(nn.Module):
    """A linear layer with spectral normalisation, Miyato et al. 2018 (arXiv:1802.05957), eq. 8.

    Args:
        num_features: Length F of the trunk's features.
        num_labels: Answers to choose from.
    """

    def __init__(self, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.layer = spectral(nn.Linear(num_features, num_labels))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, F) to logits (N, num_labels)."""
        return self.layer(features)
