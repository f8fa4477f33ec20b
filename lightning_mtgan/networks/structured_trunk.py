"""A trunk with a branch for realism and one for each task, which share layers by some structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.halving import Halving
from lightning_mtgan.networks.sharing.sharing import Column, Sharing
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec, TaskKind

ADVERSARIAL = "adversarial"
"""The branch that realism is judged by."""


def conv_column(spec: DataSpec, width: int) -> Column:
    """The body of a ``ConvTrunk`` in stages: one convolution at the full resolution, then halvings down to 4 x 4.

    Args:
        spec: Size and channels of the images.
        width: Channels at full resolution; doubled at each halving.
    """
    channels = widths(spec.image_size, width)
    first = nn.Sequential(nn.Conv2d(spec.num_channels, channels[0], 3, padding=1), nn.LeakyReLU(0.2))
    return Column(spec.num_channels, [first, *(Halving(above, below) for above, below in pairwise(channels))], channels)


class BranchFeatures(nn.Module):
    """Columns that share by a structure, and behind them a linear layer for each branch.

    Args:
        spec: Size and channels of the images.
        branches: Names of the branches; at least one, each once.
        sharing: From what makes a column and the branches to the structure.
        width: Channels of a column at full resolution; doubled at each halving.
        branch_features: Length of each branch's feature vector.

    Raises:
        UserError: If the width or the length is not at least 1.
    """

    def __init__(
        self,
        spec: DataSpec,
        branches: Sequence[str],
        sharing: Callable[[Callable[[], Column], Sequence[str]], Sharing],
        width: int,
        branch_features: int,
    ) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"model.game.trunk.width is {width}; use 1 or more, such as 32")
        if branch_features < 1:
            raise UserError(f"model.game.trunk.branch_features is {branch_features}; use 1 or more, such as 128")
        self.sharing = sharing(partial(conv_column, spec, width), branches)
        num_gathered = widths(spec.image_size, width)[-1] * SMALLEST**2
        self.gather = nn.ModuleDict({name: nn.Linear(num_gathered, branch_features) for name in branches})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) to the features of each branch, (N, branch_features), by its name."""
        maps = self.sharing(image)
        return {name: leaky_relu(gather(maps[name].flatten(1)), 0.2) for name, gather in self.gather.items()}


class StructuredTrunk(Trunk):
    """Multi-task sharing within a discriminator: the branch "adversarial", and one for each task that has a head.

    Its features are those of all branches, one behind the other; in an ``MTGAN`` each head reads those of its branch
    alone. What the structure asks of its parameters is a loss of the discriminator, whose weight stands in the
    Balancer.

    Args:
        spec: Size and channels of the images, and their tasks.
        sharing: From what makes a column and the names of the branches to a structure of
            ``lightning_mtgan.networks.sharing``.
        width: Channels of a column at full resolution; doubled at each halving.
        branch_features: Length of each branch's feature vector.

    Raises:
        UserError: If a task has the name of the branch for realism, or a number is out of range.
    """

    def __init__(
        self,
        spec: DataSpec,
        sharing: Callable[[Callable[[], Column], Sequence[str]], Sharing],
        width: int = 32,
        branch_features: int = 128,
    ) -> None:
        tasks = [task.name for task in spec.tasks if task.kind is not TaskKind.CONSTRAINT]
        if ADVERSARIAL in tasks:
            raise UserError(
                f"task `{ADVERSARIAL}` has the name of the branch that judges realism; rename it in the data"
            )
        super().__init__((1 + len(tasks)) * branch_features)
        self.branches = (ADVERSARIAL, *tasks)
        self.branch_features = branch_features
        self.network = BranchFeatures(spec, self.branches, sharing, width, branch_features)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features), branch by branch in the order of ``branches``."""
        return torch.cat(list(self.network(image).values()), dim=1)

    def place(self, branch: str) -> slice:
        """Where a branch's features are among all."""
        begin = self.branches.index(branch) * self.branch_features
        return slice(begin, begin + self.branch_features)

    def part(self, features: Tensor, branch: str) -> Tensor:
        """Features (N, num_features) to those of one branch, (N, branch_features)."""
        return features[:, self.place(branch)]

    def penalties(self) -> dict[str, Tensor]:
        """What the structure asks of its parameters, scalars by name; most ask nothing."""
        return self.network.sharing.penalties()
