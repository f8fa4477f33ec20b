"""In which order images are seen: a function of (seed, position), never of history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from lightning_mtgan.draws import seed_of


def positions_to_indices(seed: int, first: int, count: int, num_images: int) -> Tensor:
    """Which image stands at each place of the endless shuffled stream.

    Epoch e is one permutation of all images, drawn from (seed, e); epochs follow each other without
    a gap, so nothing is dropped when the batch does not divide the data.

    Args:
        seed: Seed of the order.
        first: First place, in images from the start of the training.
        count: How many places.
        num_images: Images in the data set.

    Returns:
        Indices, int64 (count,).
    """
    pieces = []
    while count > 0:
        epoch, offset = divmod(first, num_images)
        generator = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
        piece = torch.randperm(num_images, generator=generator)[offset : offset + count]
        pieces.append(piece)
        first, count = first + len(piece), count - len(piece)
    return torch.cat(pieces)


class BatchOrder(Sampler[Tensor]):
    """Yields this rank's indices of each batch, for ever, beginning at the step of the training.

    Args:
        seed: Seed of the order.
        num_images: Images in the data set.
        batch_size: Images in the global batch.
        rank: Index of this process.
        world_size: Number of processes; with the micro-batches it divides the batch size.
        step: Tells how many batches have been trained on when iteration begins.
        micro_batches: Parts of a batch that are trained on one after the other: a rank's rows are
            its share of the first part, then of the second, so that a part holds the same images on
            any number of ranks.
    """

    def __init__(
        self,
        seed: int,
        num_images: int,
        batch_size: int,
        rank: int,
        world_size: int,
        step: Callable[[], int],
        micro_batches: int = 1,
    ) -> None:
        self.seed, self.num_images, self.batch_size = seed, num_images, batch_size
        self.rank, self.world_size, self.micro_batches = rank, world_size, micro_batches
        self.step = step
        self._order, self._order_at = torch.empty(0, dtype=torch.int64), 0

    def __len__(self) -> int:
        """Batches in an epoch, at least one."""
        return max(1, self.num_images // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Batches from the present step on."""
        step = self.step()
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> Tensor:
        """This rank's indices of one batch, int64 (batch_size / world_size,)."""
        first = step * self.batch_size
        start = first - self._order_at
        if start < 0 or start + self.batch_size > len(self._order):
            # A permutation costs more than a batch, so a stretch of the stream is kept.
            self._order = positions_to_indices(self.seed, first, max(self.num_images, self.batch_size), self.num_images)
            self._order_at, start = first, 0
        everyone = self._order[start : start + self.batch_size]
        return everyone.view(self.micro_batches, self.world_size, -1)[:, self.rank].flatten()
