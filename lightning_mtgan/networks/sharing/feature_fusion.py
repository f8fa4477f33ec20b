"""Feature fusion: columns of which each reads a fusion of all maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightning_mtgan.networks.sharing.columns import Columns
from lightning_mtgan.networks.sharing.fusion import Fusion
from lightning_mtgan.networks.sharing.sharing import Column


class FeatureFusion(Columns):
    """Separate columns; behind each stage each branch's map is a fusion of all columns' maps, its own first.

    Args:
        column: See Columns.
        branches: See Sharing.
        fusion: From the number of maps and their channels to a fusion, such as WeightedFusion; called for each stage
            and branch.

    Raises:
        UserError: See Sharing.
    """

    def __init__(
        self, column: Callable[[], Column], branches: Sequence[str], fusion: Callable[[int, int], Fusion]
    ) -> None:
        super().__init__(column, branches)
        count = len(self.branches)
        self.fusions = nn.ModuleList(
            nn.ModuleList(fusion(count, width) for _ in range(count)) for width in self.channels
        )
        """The fusion of each branch behind each stage."""

    def mixed(self, stage: int, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Columns."""
        fusions: Sequence[Fusion] = list(self.fusions[stage])  # type: ignore[call-overload]
        others = [[*maps[:index], *maps[index + 1 :]] for index in range(len(maps))]
        return [fuse([own, *rest]) for fuse, own, rest in zip(fusions, maps, others, strict=True)]
