"""What all ways have in common in which the maps of several columns become one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Fusion(nn.Module, ABC):
    """Several maps of one shape become one of that shape.

    Args:
        num_inputs: How many maps there are, at least 1.
        num_channels: Channels C of each of them.
    """

    def __init__(self, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.num_inputs, self.num_channels = num_inputs, num_channels

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """``num_inputs`` maps (N, C, H, W), a branch's own first, to (N, C, H, W)."""
