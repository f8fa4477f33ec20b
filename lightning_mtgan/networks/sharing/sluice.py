"""Sluice networks: columns that mix parts of their maps, and their depths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.precision import full_precision
from lightning_mtgan.networks.r3gan import initialized
from lightning_mtgan.networks.sharing.coefficients import Coefficients
from lightning_mtgan.networks.sharing.columns import Columns
from lightning_mtgan.networks.sharing.own_heavy import own_heavy, require_share
from lightning_mtgan.networks.sharing.sharing import Column
from lightning_mtgan.networks.sharing.stitch import Stitch


class Sluice(Columns):
    """Columns in subspaces of channels, Ruder et al. 2019 (arXiv:1705.08142).

    Behind each stage every subspace of every column becomes a sum over all of them, weighed by α; what a branch
    yields is Σ_l β_l of its maps at all stages, each brought to the last one's size by a mean over places and to its
    channels by a convolution of one by one; and subspaces shall be made of different things: penalty Σ |G_a' G_b|_F^2.
    With ``own`` 1 the columns are separate at first, bit by bit.

    Args:
        column: See Columns.
        branches: See Sharing.
        own: From 0 to 1: α of a subspace with itself, and β of the last stage, at first; the others share the rest.
        num_subspaces: Into how many equal parts channels are divided.
        rate: How many times as fast as other parameters α and β learn under an optimiser such as Adam, whose steps do
            not depend on the size of gradients: α / rate and β / rate are the parameters.

    Raises:
        UserError: If an argument is out of range, or channels cannot be divided so; see also Sharing.
    """

    def __init__(
        self,
        column: Callable[[], Column],
        branches: Sequence[str],
        own: float = 0.9,
        num_subspaces: int = 2,
        rate: float = 128.0,
    ) -> None:
        super().__init__(column, branches)
        require_share(self, own)
        if num_subspaces < 1 or any(width % num_subspaces for width in self.channels):
            raise UserError(
                f"Sluice.num_subspaces is {num_subspaces}; use a number that divides the channels of all stages, "
                f"which are {', '.join(str(width) for width in self.channels)}"
            )
        self.num_subspaces = num_subspaces
        count, depth, last = len(self.branches), len(self.channels), self.channels[-1]
        self.stitches = nn.ModuleList(Stitch(count * num_subspaces, own, rate) for _ in self.channels)
        self.beta = Coefficients(own_heavy(depth, own)[-1].repeat(count, 1), rate)
        self.widen = nn.ModuleList(
            nn.ModuleList(initialized(nn.Conv2d(width, last, 1)) for width in self.channels[:-1]) for _ in range(count)
        )

    def mixed(self, stage: int, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Columns."""
        subspaces = self.stitches[stage]([part for one in maps for part in one.chunk(self.num_subspaces, dim=1)])
        starts = range(0, len(subspaces), self.num_subspaces)
        return [torch.cat(subspaces[start : start + self.num_subspaces], dim=1) for start in starts]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See Sharing."""
        *earlier, last = self.maps(image)
        results = {}
        for index, (name, beta) in enumerate(zip(self.branches, self.beta(), strict=True)):
            size = (last[index].shape[2], last[index].shape[3])
            small = [adaptive_avg_pool2d(maps[index], size) for maps in earlier]
            widened = [layer(one) for layer, one in zip(self.widen[index], small, strict=True)]  # type: ignore
            results[name] = torch.einsum("l,lnchw->nchw", beta, torch.stack([*widened, last[index]]))
        return results

    def penalties(self) -> dict[str, Tensor]:
        """``orthogonality``: Σ |G_a' G_b|_F^2 over stages of all columns and pairs of subspaces; none of one subspace.

        The columns of G_a are the filters that make the channels of subspace a: rows of each weight in the stage that
        has as many rows as the stage's map has channels.
        """
        if self.num_subspaces == 1:
            return {}
        groups = [weight.flatten(1).chunk(self.num_subspaces) for weight in self._weights()]
        with full_precision(groups[0][0].device):
            squares = [(a @ b.T).square().sum() for group in groups for a, b in combinations(group, 2)]
        return {"orthogonality": torch.stack(squares).sum()}

    def _weights(self) -> Iterator[Tensor]:
        for column in self.columns:
            for stage, width in zip(column, self.channels, strict=True):  # type: ignore[call-overload]
                yield from (one for one in stage.parameters() if one.ndim > 1 and len(one) == width)
