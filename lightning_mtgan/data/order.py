"""In which order images are seen: a function of (seed, position), never of history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from lightning_mtgan.draws import seed_of


class Stream(ABC):
    """An endless sequence of images, of which any stretch can be asked for."""

    @property
    @abstractmethod
    def period(self) -> int:
        """Places in an epoch."""

    @abstractmethod
    def indices(self, first: int, count: int) -> Tensor:
        """Which image stands at each of ``count`` places from ``first`` on, counted from the start of the training.

        Returns:
            Indices, int64 (count,).
        """


class ShuffledStream(Stream):
    """Epoch e is one permutation of all images, drawn from (seed, e).

    Epochs follow each other without a gap, so nothing is dropped when the batch does not divide the data.

    Args:
        seed: Seed of the order.
        num_images: Images in the data set.
    """

    def __init__(self, seed: int, num_images: int) -> None:
        self.seed, self.num_images = seed, num_images

    @property
    def period(self) -> int:
        """Each image once."""
        return self.num_images

    def indices(self, first: int, count: int) -> Tensor:
        """See Stream."""
        pieces = []
        while count > 0:
            epoch, offset = divmod(first, self.num_images)
            generator = torch.Generator().manual_seed(seed_of(self.seed, "order", epoch))
            piece = torch.randperm(self.num_images, generator=generator)[offset : offset + count]
            pieces.append(piece)
            first, count = first + len(piece), count - len(piece)
        return torch.cat(pieces)


ROUNDS = 1024
"""Rounds whose turns are drawn together."""


class BalancedStream(Stream):
    """Groups of images take turns: any round of as many places as there are groups holds one image of each.

    Within a group images follow a ShuffledStream of their own, so that a small group is seen as
    often as a large one, and each of its images equally often.

    Args:
        seed: Seed of the order.
        groups: Indices of each group's images, int64; an image may be in several.
    """

    def __init__(self, seed: int, groups: Sequence[Tensor]) -> None:
        self.seed, self.groups = seed, list(groups)
        self._streams = [
            ShuffledStream(seed_of(seed, "group", number), len(group)) for number, group in enumerate(self.groups)
        ]

    @property
    def period(self) -> int:
        """As many places as there are images in all groups."""
        return sum(len(group) for group in self.groups)

    def indices(self, first: int, count: int) -> Tensor:
        """See Stream."""
        size = len(self.groups)
        start, rounds = first // size, (first + count - 1) // size - first // size + 1
        members = torch.stack(
            [group[stream.indices(start, rounds)] for group, stream in zip(self.groups, self._streams, strict=True)],
            dim=1,
        )
        blocks = range(start // ROUNDS, (start + rounds - 1) // ROUNDS + 1)
        turns = torch.cat([self._turns(block) for block in blocks])[start % ROUNDS :][:rounds]
        offset = first - start * size
        return members.gather(1, turns).flatten()[offset : offset + count]

    def _turns(self, block: int) -> Tensor:
        """The order of the groups within each round of a block, (ROUNDS, groups)."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, "turns", block))
        return torch.rand(ROUNDS, len(self.groups), generator=generator).argsort(1)


STRETCH = 65_536
"""Places of a stream that are worked out at a time."""


class BatchOrder(Sampler[Tensor]):
    """Yields this rank's indices of each batch, for ever, beginning at the step of the training.

    Args:
        stream: The order of the images.
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
        stream: Stream,
        batch_size: int,
        rank: int,
        world_size: int,
        step: Callable[[], int],
        micro_batches: int = 1,
    ) -> None:
        self.stream, self.batch_size = stream, batch_size
        self.rank, self.world_size, self.micro_batches = rank, world_size, micro_batches
        self.step = step
        self._order, self._order_at = torch.empty(0, dtype=torch.int64), 0

    def __len__(self) -> int:
        """Batches in an epoch, at least one."""
        return max(1, self.stream.period // self.batch_size)

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
            self._order = self.stream.indices(first, max(STRETCH, self.batch_size))
            self._order_at, start = first, 0
        everyone = self._order[start : start + self.batch_size]
        return everyone.view(self.micro_batches, self.world_size, -1)[:, self.rank].flatten()
