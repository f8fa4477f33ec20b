"""Random numbers for some images of a batch, the same as these images get where the whole batch is drawn for."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from torch import Tensor

from lightning_mtgan.draws import Draws


@dataclass(frozen=True, eq=False)
class DrawsOfRows(Draws):
    """Draws for all images of this rank and micro-batch, of which only some rows are asked for.

    Args:
        rows: Which images, int64 (M,), on the draws' device.
        num_all: Images N of which they are rows.
    """

    rows: Tensor = field(kw_only=True)
    num_all: int = field(kw_only=True)

    def normal(self, purpose: str, num_images: int, *shape: int) -> Tensor:
        """See Draws; for the M images."""
        return super().normal(purpose, self.num_all, *shape)[self.rows]

    def uniform(self, purpose: str, num_images: int, *shape: int) -> Tensor:
        """See Draws; for the M images."""
        return super().uniform(purpose, self.num_all, *shape)[self.rows]


def rows_of(draws: Draws, rows: Tensor, num_images: int) -> DrawsOfRows:
    """The draws of some of a batch's images.

    Args:
        draws: Of all of them.
        rows: Which, int64 (M,), on the draws' device.
        num_images: Images N of this rank and micro-batch.
    """
    same = {part.name: getattr(draws, part.name) for part in fields(Draws)}
    return DrawsOfRows(**same, rows=rows, num_all=num_images)
