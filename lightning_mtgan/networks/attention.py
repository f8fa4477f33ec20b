"""Attention of each place of a feature map to all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from lightning_mtgan.errors import UserError


def unchanged(layer: nn.Module) -> nn.Module:
    """The layer itself."""
    return layer


class SelfAttention(nn.Module):
    """x + γ o(softmax(θ(x)' φ(x)) g(x)), Zhang et al. 2019 (arXiv:1805.08318), section 3.

    As in the code of Brock et al. 2019 (arXiv:1809.11096): θ and φ have an eighth of the
    channels, g half of them, φ and g a quarter of the places. γ starts at 0, so that at first
    nothing is changed, and the other layers have no gradient.

    Args:
        channels: Channels C of the features.
        normalize_weight: What each of its layers passes through, for example ``spectral``.
    """

    def __init__(self, channels: int, normalize_weight: Callable[[nn.Module], nn.Module] = unchanged) -> None:
        super().__init__()
        keys, values = max(channels // 8, 1), max(channels // 2, 1)
        self.theta = normalize_weight(nn.Conv2d(channels, keys, 1, bias=False))
        self.phi = normalize_weight(nn.Conv2d(channels, keys, 1, bias=False))
        self.g = normalize_weight(nn.Conv2d(channels, values, 1, bias=False))
        self.o = normalize_weight(nn.Conv2d(values, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; H and W are even."""
        query = self.theta(features).flatten(2)
        key = max_pool2d(self.phi(features), 2).flatten(2)
        value = max_pool2d(self.g(features), 2).flatten(2)
        # Not scaled_dot_product_attention: its fast kernels cannot be differentiated twice.
        attention = (query.transpose(1, 2) @ key).softmax(dim=2)
        seen = (value @ attention.to(value.dtype).transpose(1, 2)).unflatten(2, features.shape[2:])
        return features + self.gamma * self.o(seen)


def attention_behind(
    channels: Sequence[int],
    resolutions: Sequence[int],
    attention_at: int | None,
    normalize_weight: Callable[[nn.Module], nn.Module],
) -> nn.ModuleList:
    """A layer behind each block: attention behind the first of a certain resolution, nothing behind others.

    Args:
        channels: Channels that each block yields.
        resolutions: Height and width that each block yields, in pixels.
        attention_at: The resolution that gets attention, in pixels; None for nowhere.
        normalize_weight: What each layer of the attention passes through.

    Raises:
        UserError: If no block has that resolution.
    """
    if attention_at is not None and attention_at not in resolutions:
        known = ", ".join(str(size) for size in sorted(set(resolutions)))
        raise UserError(f"attention_at is {attention_at}, but the features of this network have {known} pixels")
    chosen = resolutions.index(attention_at) if attention_at is not None else None
    return nn.ModuleList(
        SelfAttention(width, normalize_weight) if index == chosen else nn.Identity()
        for index, width in enumerate(channels)
    )
