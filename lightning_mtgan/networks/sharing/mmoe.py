"""MMoE: columns that are experts, weighed by each branch for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.sharing.gate import Gate
from lightning_mtgan.networks.sharing.sharing import Column, Sharing


class MMoE(Sharing):
    """Multi-gate mixture of experts: Σ_e g_e(x) f_e(x) with gates g of a branch's own, Ma et al. 2018 (KDD 2018).

    "Modeling task relationships in multi-task learning with multi-gate mixture-of-experts". Experts are columns;
    gates read a small version of the image.

    Args:
        column: See Sharing; called once for each expert.
        branches: See Sharing.
        num_experts: How many columns there are, at least 1.

    Raises:
        UserError: If there is no expert; see also Sharing.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str], num_experts: int = 3) -> None:
        super().__init__(column, branches)
        if num_experts < 1:
            raise UserError(f"MMoE.num_experts is {num_experts}; use 1 or more")
        columns = [column() for _ in range(num_experts)]
        self.experts = nn.ModuleList(nn.Sequential(*one.stages) for one in columns)
        self.gates = nn.ModuleList(Gate(columns[0].in_channels, num_experts) for _ in self.branches)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See Sharing."""
        maps = [expert(image) for expert in self.experts]
        return {name: gate(image, maps) for name, gate in zip(self.branches, self.gates, strict=True)}
