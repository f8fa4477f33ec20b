"""PLE: experts of all branches and experts of one, weighed stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.sharing.gate import Gate
from lightning_mtgan.networks.sharing.sharing import Column, Sharing


class PLE(Sharing):
    """Progressive layered extraction, Tang et al. 2020 (RecSys 2020).

    "Progressive layered extraction (PLE): a novel multi-task learning model for personalized recommendations". Each
    branch has a map, and there is one that all share; at first all are the image. At each stage the experts of a
    branch read its map, the shared experts the shared one; a branch's next map is its own and the shared experts',
    and the next shared map that of all experts, each weighed by a gate that reads the map of before. Experts are
    columns, of which one stage works at a time. There is no shared map behind the last stage.

    Args:
        column: See Sharing; called once for each expert.
        branches: See Sharing.
        num_own: Experts of each branch, at least 1.
        num_shared: Experts of all branches, at least 1.

    Raises:
        UserError: If there are too few experts; see also Sharing.
    """

    def __init__(
        self, column: Callable[[], Column], branches: Sequence[str], num_own: int = 1, num_shared: int = 1
    ) -> None:
        super().__init__(column, branches)
        for key, number in (("num_own", num_own), ("num_shared", num_shared)):
            if number < 1:
                raise UserError(f"PLE.{key} is {number}; use 1 or more")
        self.num_own, count = num_own, len(self.branches)
        columns = [column() for _ in range(count * num_own + num_shared)]
        self.experts = nn.ModuleList(nn.ModuleList(one.stages) for one in columns)
        """Each branch's experts, then the shared ones."""
        seen = (columns[0].in_channels, *columns[0].channels[:-1])
        self.gates = nn.ModuleList(
            nn.ModuleList(Gate(width, num_own + num_shared) for _ in range(count)) for width in seen
        )
        """The gate of each branch at each stage."""
        self.shared_gates = nn.ModuleList(Gate(width, len(columns)) for width in seen[:-1])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See Sharing."""
        own, shared = [image] * len(self.branches), image
        for stage, gates in enumerate(self.gates):
            experts = [expert[stage] for expert in self.experts]  # type: ignore[index]
            maps = [expert(one) for expert, one in zip(experts, self._inputs(own, shared), strict=True)]
            firsts, common = range(0, len(own) * self.num_own, self.num_own), maps[len(own) * self.num_own :]
            own = [
                gate(one, maps[first : first + self.num_own] + common)
                for gate, one, first in zip(gates, own, firsts, strict=True)  # type: ignore[call-overload]
            ]
            if stage < len(self.shared_gates):
                shared = self.shared_gates[stage](shared, maps)
        return dict(zip(self.branches, own, strict=True))

    def _inputs(self, own: Sequence[Tensor], shared: Tensor) -> list[Tensor]:
        """What each expert reads."""
        num_shared = len(self.experts) - len(own) * self.num_own
        return [one for one in own for _ in range(self.num_own)] + [shared] * num_shared
