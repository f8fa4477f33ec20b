"""What all structures do that have a column for each branch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lightning_mtgan.networks.sharing.sharing import Column, Sharing


class Columns(Sharing):
    """A column for each branch; behind each stage the maps of all columns may be mixed.

    A subclass adds its own parameters behind the columns', so that with the same seed all of them have the same
    columns.

    Args:
        column: See Sharing; called once for each branch.
        branches: See Sharing.

    Raises:
        UserError: See Sharing.
    """

    def __init__(self, column: Callable[[], Column], branches: Sequence[str]) -> None:
        super().__init__(column, branches)
        columns = [column() for _ in self.branches]
        self.channels = tuple(columns[0].channels)
        """Channels of each stage's map."""
        self.columns = nn.ModuleList(nn.ModuleList(one.stages) for one in columns)
        """The stages of each branch's column."""

    @abstractmethod
    def mixed(self, stage: int, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """What the next stage of each column reads.

        Args:
            stage: Index of the stage that the maps come from.
            maps: The map of each column, (N, channels[stage], h, w), in the order of the branches.

        Returns:
            As many maps of the same shape.
        """

    def maps(self, image: Tensor) -> list[Sequence[Tensor]]:
        """Images (N, in_channels, H, W) to each stage's maps of all columns, mixed."""
        maps: list[Sequence[Tensor]] = []
        seen: Sequence[Tensor] = [image] * len(self.branches)
        for stage in range(len(self.channels)):
            layers = [column[stage] for column in self.columns]  # type: ignore[index]
            seen = self.mixed(stage, [layer(one) for layer, one in zip(layers, seen, strict=True)])
            maps.append(seen)
        return maps

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See Sharing."""
        return dict(zip(self.branches, self.maps(image)[-1], strict=True))
