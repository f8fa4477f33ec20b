"""Separate columns."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lightning_mtgan.networks.sharing.columns import Columns


class Separate(Columns):
    """A column for each branch, and nothing in common: what the other structures are compared with.

    Arguments are those of Columns.
    """

    def mixed(self, stage: int, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """The maps themselves."""
        return maps
