"""Layers whose weight has the largest singular value one."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_mtgan.networks.precision import full_precision


def spectral(layer: nn.Module) -> nn.Module:
    """The layer with its weight divided by the largest singular value, Miyato et al. 2018 (arXiv:1802.05957), eq. 8.

    The singular value comes of one step of power iteration in each forward pass of training mode, and of
    none in evaluation mode. Its vectors start from the weight as it is now: initialise the layer first.

    Args:
        layer: A linear or convolutional layer with a ``weight``; it is changed in place.
    """
    spectral_norm(layer)
    chain = layer.get_submodule("parametrizations.weight")
    chain[0] = _InFullPrecision(chain[0])  # type: ignore[index, operator]
    return layer


class _InFullPrecision(nn.Module):
    """A parametrization outside of autocast, whose 8 bits would leave the bound open by half a percent."""

    def __init__(self, parametrization: nn.Module) -> None:
        super().__init__()
        self.parametrization = parametrization

    def forward(self, weight: Tensor) -> Tensor:
        with full_precision(weight.device):
            return self.parametrization(weight)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The weight that is kept when somebody assigns one."""
        return weight
