"""What all structures do that stand between an input and the branches of several tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lightning_mtgan.errors import UserError


@dataclass(frozen=True)
class Column:
    """A network from an image to a map, stage by stage: what a single task would use.

    Args:
        in_channels: Channels of the image.
        stages: From a map to the next, each (N, C, H, W) to (N, C', H', W').
        channels: Channels of each stage's map, as many as stages.
    """

    in_channels: int
    stages: Sequence[nn.Module]
    channels: Sequence[int]


class Sharing(nn.Module, ABC):
    """Columns between an image and N branches, which have something in common.

    Args:
        column: Makes a column, each time with parameters of its own, all of the same shapes.
        branches: Names of the branches; at least one, each once.

    Raises:
        UserError: If there is no branch, or one twice.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str]) -> None:
        super().__init__()
        if not branches or len(set(branches)) < len(branches):
            raise UserError(
                f"{type(self).__name__} has the branches {', '.join(branches)}; name at least one, each once"
            )
        self.branches = tuple(branches)

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Images (N, in_channels, H, W) to the last map of each branch, (N, channels[-1], h, w), by its name."""

    def penalties(self) -> dict[str, Tensor]:
        """What the structure asks of its own parameters, scalars by name; most ask nothing."""
        return {}
