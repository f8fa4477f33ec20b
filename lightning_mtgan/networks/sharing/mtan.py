"""MTAN: one column, and attention of each branch to its maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, leaky_relu

from lightning_mtgan.networks.r3gan import LEAKY_RELU_GAIN, initialized
from lightning_mtgan.networks.sharing.sharing import Column, Sharing


class Mask(nn.Module):
    """σ(h(act(g(x)))): how much of each number of a map passes; g and h are convolutions of one by one.

    Args:
        in_channels: Channels of what it looks at.
        num_channels: Channels of the map.
    """

    def __init__(self, in_channels: int, num_channels: int) -> None:
        super().__init__()
        self.look = initialized(nn.Conv2d(in_channels, num_channels, 1), LEAKY_RELU_GAIN)
        self.decide = initialized(nn.Conv2d(num_channels, num_channels, 1))

    def forward(self, seen: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, num_channels, H, W) in [0, 1]."""
        return self.decide(leaky_relu(self.look(seen), 0.2)).sigmoid()


class MTAN(Sharing):
    """A branch's map is a_j * p_j, with a_j = σ(h_j(act(g_j([p_j, f_j(a_{j-1} * p_{j-1})]))), Liu et al. 2019.

    arXiv:1803.10704, section 3. p_j is the map of stage j of a shared column, g_j and h_j are a branch's own, and f_j,
    a convolution that is brought to the size of p_j by a mean over places, serves all branches, as in the paper. Other
    than there, g_j reads the stage's last map, because stages are not looked into, and there is no batch
    normalisation, so that images stay independent.

    Args:
        column: See Sharing; called once.
        branches: See Sharing.

    Raises:
        UserError: See Sharing.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str]) -> None:
        super().__init__(column, branches)
        shared = column()
        widths = shared.channels
        self.stages = nn.ModuleList(shared.stages)
        self.hand_on = nn.ModuleList(
            initialized(nn.Conv2d(above, below, 3, padding=1), LEAKY_RELU_GAIN) for above, below in pairwise(widths)
        )
        self.masks = nn.ModuleList(
            nn.ModuleList(Mask(width if stage == 0 else 2 * width, width) for _ in self.branches)
            for stage, width in enumerate(widths)
        )
        """The attention of each branch to each stage."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See Sharing."""
        shared, own = image, list[Tensor]()
        for index, (stage, masks) in enumerate(zip(self.stages, self.masks, strict=True)):
            shared = stage(shared)
            seen = [shared] * len(self.branches)
            if index > 0:
                seen = [torch.cat([shared, self._handed_on(index, one, shared)], dim=1) for one in own]
            own = [mask(one) * shared for mask, one in zip(masks, seen, strict=True)]  # type: ignore[call-overload]
        return dict(zip(self.branches, own, strict=True))

    def _handed_on(self, index: int, own: Tensor, shared: Tensor) -> Tensor:
        """A branch's map of the stage before, of the size and channels of the shared one."""
        handed = leaky_relu(self.hand_on[index - 1](own), 0.2)
        return adaptive_avg_pool2d(handed, (shared.shape[2], shared.shape[3]))
