"""Cross-stitch networks: columns that mix their maps behind each stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightning_mtgan.networks.sharing.columns import Columns
from lightning_mtgan.networks.sharing.own_heavy import require_share
from lightning_mtgan.networks.sharing.sharing import Column
from lightning_mtgan.networks.sharing.stitch import Stitch


class CrossStitch(Columns):
    """Behind each stage a column's map becomes Σ_j α_ij x_j, Misra et al. 2016 (arXiv:1604.03539), section 3.

    The paper starts α at 0.9 and 0.1, and lets it learn 100 to 1000 times as fast as the other parameters. With
    ``own`` 1 the columns are separate at first, bit by bit.

    Args:
        column: See Columns.
        branches: See Sharing.
        own: α_ii at first, from 0 to 1; the other columns share the rest.
        rate: How many times as fast as other parameters α learns under an optimiser such as Adam, whose steps do not
            depend on the size of gradients: α / rate is the parameter.

    Raises:
        UserError: If an argument is out of range; see also Sharing.
    """

    def __init__(
        self, column: Callable[[], Column], branches: Sequence[str], own: float = 0.9, rate: float = 128.0
    ) -> None:
        super().__init__(column, branches)
        require_share(self, own)
        self.stitches = nn.ModuleList(Stitch(len(self.branches), own, rate) for _ in self.channels)

    def mixed(self, stage: int, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """See Columns."""
        return self.stitches[stage](maps)
