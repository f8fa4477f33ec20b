"""Soft sharing: columns that are held together by a penalty."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lightning_mtgan.networks.sharing.separate import Separate
from lightning_mtgan.networks.sharing.sharing import Column


class SoftSharing(Separate):
    """Separate columns near to their mean: penalty Σ_i |θ_i - θ̄|^2, Evgeniou and Pontil 2004.

    "Regularized multi-task learning", where the mean is what a penalty of its own leaves of a common part. All
    columns begin with the same values: distances between parameters drawn apart would say nothing of what they do.

    Args:
        column: See Columns.
        branches: See Sharing.

    Raises:
        UserError: See Sharing.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str]) -> None:
        super().__init__(column, branches)
        first = self.columns[0].state_dict()
        for other in self.columns[1:]:
            other.load_state_dict(first)

    def penalties(self) -> dict[str, Tensor]:
        """``soft_sharing``: squared distances of the columns' parameters from their mean, summed over columns."""
        same = [torch.stack(each) for each in zip(*(column.parameters() for column in self.columns), strict=True)]
        apart = [one - one[0] for one in same]  # from the first, or rounding of the mean would part equal ones
        return {"soft_sharing": torch.stack([(one - one.mean(0)).square().sum() for one in apart]).sum()}
