"""Hard sharing: one column for all branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightning_mtgan.networks.sharing.sharing import Column, Sharing


class HardSharing(Sharing):
    """All branches read the last map of one column, Caruana 1997 ("Multitask learning").

    Args:
        column: See Sharing; called once.
        branches: See Sharing.

    Raises:
        UserError: See Sharing.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str]) -> None:
        super().__init__(column, branches)
        self.stages = nn.Sequential(*column().stages)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See Sharing; the same tensor for each branch."""
        return dict.fromkeys(self.branches, self.stages(image))
