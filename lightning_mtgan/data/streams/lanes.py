"""The endless order in which loader processes share out chunks, and what each reads."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset, Sampler

from lightning_mtgan.data.streams.chunks import collate, open_stream
from lightning_mtgan.draws import seed_of


class Piece(NamedTuple):
    """A stretch of a chunk in the shuffled order of one epoch.

    Args:
        epoch: The epoch.
        chunk: Index of the chunk.
        start: First place within the shuffled chunk.
        stop: Place after the last.
    """

    epoch: int
    chunk: int
    start: int
    stop: int


class LaneOrder:
    """The endless order in which lanes share out the images: chunk by chunk, each image once in an epoch.

    A lane is one loader process of one rank. Each epoch puts the chunks in a new order, shuffles every
    chunk, and cuts the whole into as many stretches as there are lanes, as if the images lay end to
    end, so that a lane reads few chunks and reads them in one piece. Whatever the number of lanes,
    nothing is dropped and nothing is repeated: after E epochs of N images a lane of L has had
    E * N / L of them, rounded down or up such that all lanes add up to E * N.

    Args:
        seed: Seed of the order.
        sizes: Images in each chunk.
        lanes: Loader processes of all ranks together.
    """

    def __init__(self, seed: int, sizes: Sequence[int], lanes: int) -> None:
        self.seed, self.lanes = seed, lanes
        self.sizes = list(sizes)
        self.firsts = [0, *itertools.accumulate(self.sizes)]
        self.num_images = self.firsts[-1]

    def taken(self, lane: int, epochs: int) -> int:
        """Images that a lane has had after so many epochs; the lanes add up to ``epochs * num_images``."""
        return (epochs * self.num_images + lane) // self.lanes

    def pieces(self, lane: int, place: int) -> Iterator[list[Piece]]:
        """What a lane reads, for ever, an epoch at a time.

        Args:
            lane: Index of the lane.
            place: Images of this lane that are passed over, counted from the start of the training.
        """
        epoch = place * self.lanes // self.num_images
        while self.taken(lane, epoch) > place:
            epoch -= 1
        while True:
            passed = max(0, place - self.taken(lane, epoch))
            begin = sum(self.taken(k, epoch + 1) - self.taken(k, epoch) for k in range(lane))
            end = begin + self.taken(lane, epoch + 1) - self.taken(lane, epoch)
            if begin + passed < end:
                yield self._cut(epoch, begin + passed, end)
            epoch += 1

    def _cut(self, epoch: int, begin: int, end: int) -> list[Piece]:
        """The pieces of an epoch's images from ``begin`` to ``end``, laid end to end."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, "chunks", epoch))
        chunks: list[int] = torch.randperm(len(self.sizes), generator=generator).tolist()
        ends = list(itertools.accumulate(self.sizes[chunk] for chunk in chunks))
        pieces = []
        while begin < end:
            number = bisect.bisect_right(ends, begin)
            chunk, first = chunks[number], ends[number] - self.sizes[chunks[number]]
            pieces.append(Piece(epoch, chunk, begin - first, min(end, ends[number]) - first))
            begin = ends[number]
        return pieces

    def images(self, piece: Piece) -> list[int]:
        """Indices of a piece's images, in their order."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, "images", piece.epoch, piece.chunk))
        order = torch.randperm(self.sizes[piece.chunk], generator=generator)[piece.start : piece.stop]
        return (order + self.firsts[piece.chunk]).tolist()


class LaneBatches(Dataset[dict[str, Any]]):
    """From the step of the training to this rank's batch; reads ahead as long as steps follow each other.

    Args:
        folder: Folder or URL of the chunks.
        order: The order of the images.
        rank: Index of this process among those that train.
        lanes: Loader processes of this rank.
        size: Images in this rank's batch.
    """

    def __init__(self, folder: str, order: LaneOrder, rank: int, lanes: int, size: int) -> None:
        self.folder, self.order = folder, order
        self.rank, self.lanes, self.size = rank, lanes, size
        self._reading: Iterator[dict[str, Any]] | None = None
        self._next = (-1, -1)

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The batch of a step: step after step, the rank's lanes take turns."""
        lane, place = self.rank * self.lanes + step % self.lanes, step // self.lanes * self.size
        if self._reading is None or self._next != (lane, place):
            self._reading = self._read(lane, place)
        batch = collate(list(itertools.islice(self._reading, self.size)))
        self._next = (lane, place + self.size)
        return batch

    def _read(self, lane: int, place: int) -> Iterator[dict[str, Any]]:
        """The images of a lane, for ever; chunks to come are fetched meanwhile."""
        from litdata.streaming.sampler import ChunkedIndex

        stream = open_stream(self.folder)
        for pieces in self.order.pieces(lane, place):
            chunks: list[int] | None = [piece.chunk for piece in pieces]
            for piece in pieces:
                images = self.order.images(piece)
                for number, image in enumerate(images, start=1):
                    is_last = piece is pieces[-1] and number == len(images)
                    yield stream[ChunkedIndex(image, piece.chunk, len(images), chunks, is_last)]
                    chunks = None  # litdata is told at the first image what the whole stretch needs


class Steps(Sampler[int]):
    """Counts the batches, for ever, from the step of the training on.

    It has no length: at the end of an epoch of Lightning's, loader processes would drop what they have
    fetched ahead, and litdata would never let go of the chunks that it has reserved for them.

    Args:
        step: Tells how many batches have been trained on when iteration begins.
    """

    def __init__(self, step: Callable[[], int]) -> None:
        self.step = step

    def __iter__(self) -> Iterator[int]:
        """Steps from the present one on."""
        return itertools.count(self.step())
