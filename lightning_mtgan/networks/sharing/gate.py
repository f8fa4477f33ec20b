"""A gate that weighs experts for each image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

CELLS = 4
"""Rows and columns of the means of an image, or of a map, that a gate reads."""


class Gate(nn.Module):
    """Σ_e softmax(W s)_e x_e: experts' maps, weighed by what is seen, for each image by itself.

    s are the means of what is seen over 4 x 4 cells. W starts at zero: at first all experts weigh the same.

    Args:
        in_channels: Channels of what is seen.
        num_experts: How many maps are weighed.
    """

    def __init__(self, in_channels: int, num_experts: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(in_channels * CELLS**2, num_experts)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)

    def weights(self, seen: Tensor) -> Tensor:
        """What is seen, (N, in_channels, H, W), to the weight of each expert, (N, num_experts), which sum to 1."""
        return self.weigh(adaptive_avg_pool2d(seen, CELLS).flatten(1)).softmax(1)

    def forward(self, seen: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """What is seen, (N, in_channels, H, W), and each expert's map, (N, C, h, w), to (N, C, h, w)."""
        return torch.einsum("ne,enchw->nchw", self.weights(seen), torch.stack(list(maps)))
