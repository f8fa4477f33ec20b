"""Where mixings begin: most weight on what is a branch's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_mtgan.errors import UserError


def require_share(owner: object, own: float) -> None:
    """Refuse a share that is not from 0 to 1.

    Raises:
        UserError: With the class, the value and what would be right.
    """
    if not 0 <= own <= 1:
        raise UserError(f"{type(owner).__name__}.own is {own}; use a share from 0 to 1, such as 0.9")


def own_heavy(count: int, own: float) -> Tensor:
    """A matrix (count, count) with ``own`` on its diagonal, and the same elsewhere, so that rows sum to 1.

    A single one has nothing to mix with: it is 1, whatever ``own`` is.
    """
    if count == 1:
        return torch.ones(1, 1)
    return torch.full((count, count), (1 - own) / (count - 1)).fill_diagonal_(own)


def own_heavy_convolution(num_inputs: int, num_channels: int, own: float, has_bias: bool) -> nn.Conv2d:
    """A convolution of one by one over concatenated maps, which at first is their own-heavy sum.

    Args:
        num_inputs: How many maps are concatenated, a branch's own first.
        num_channels: Channels of each of them, and of the result.
        own: Weight of the branch's own map; the others share the rest.
        has_bias: Whether it adds a bias, 0 at first.
    """
    layer = nn.Conv2d(num_inputs * num_channels, num_channels, 1, bias=has_bias)
    weights = own_heavy(num_inputs, own)[0]
    with torch.no_grad():
        layer.weight.copy_(torch.cat([one * torch.eye(num_channels) for one in weights], dim=1)[:, :, None, None])
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
