"""Streamed: images that are read from a folder or a bucket while the training runs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch.utils.data import DataLoader

from lightning_mtgan.data.module import ImageDataModule, whole_batches
from lightning_mtgan.data.streams.chunks import (
    ABOUT,
    NUM_REFERENCE,
    StreamedImages,
    chunk_sizes,
    collate,
    evenly_spaced,
    open_stream,
    read_about,
    require_litdata,
)
from lightning_mtgan.data.streams.lanes import LaneBatches, LaneOrder, Steps
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec

_TOPOLOGY = {
    "images": ("training images", "the same data"),
    "batch_size": ("images in a batch", "the same data.batch_size"),
    "ranks": ("ranks", "as many"),
    "workers": ("loader processes on each rank", "the same data.num_workers"),
}
"""What each number of the order is, in words, and what to do about it."""


class Streamed(ImageDataModule):
    """Images in litdata's streaming format, read from a folder or a bucket while the training runs.

    ``root`` holds ``about.pt``, the description of the data; the folder ``train`` with litdata's chunks
    and ``index.json``; and, as folders like it, ``reference`` and ``held_out`` if there are any.
    ``python -m lightning_mtgan write-stream`` writes such a folder. A stream that litdata's
    ``optimize`` wrote does as well: each sample is ``{"image": ..., "targets": {...}}``, the image
    uint8 (C, H, W) or a JPEG that litdata decodes, uncompressed or with any compression of litdata.

    litdata stores, fetches ahead, keeps and drops chunks; the order is ``LaneOrder``, not litdata's own,
    which would drop up to a batch for each rank in every epoch, and would depend on its version. Here
    nothing is dropped: epochs follow each other without a gap, in the middle of a batch if need be. The
    order is a function of the seed, the step, and the number of ranks and of loader processes, so that
    a run goes on with the next image wherever it was stopped, and only on as many of both.
    Neighbours come from the same chunk, so chunks should hold images in no particular order.

    Chunks from a bucket are kept on the local disk; the environment variables ``LITDATA_CACHE_DIR`` and
    ``MAX_CACHE_SIZE`` say where and how much of it. Where they do not all fit, a process may find at the
    turn of an epoch that another one has just dropped a chunk; litdata fetches it again after
    ``FORCE_DOWNLOAD_TIME`` seconds (30).

    Args:
        root: Folder, or URL that litdata reads: ``s3://``, ``gs://``, ``azure://``, ``r2://``, ``hf://``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        num_workers: Processes that fetch batches, of each rank; 0 reads in the training process.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.

    Raises:
        UserError: If litdata is missing, or the folder is not complete.
    """

    def __init__(
        self, root: str, batch_size: int = 64, seed: int = 0, num_workers: int = 2, micro_batches: int = 1
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches)
        require_litdata()
        self.root = str(root).rstrip("/")
        about = read_about(self.root)
        self._spec = DataSpec.from_dict(about["spec"])
        self._sizes = {"train": chunk_sizes(self._folder("train"))}
        for split in ("reference", "held_out"):
            if split in about["splits"]:
                self._sizes[split] = chunk_sizes(self._folder(split))
        words = {"reference": f"{min(NUM_REFERENCE, sum(self._sizes['train'])):,} of the training images"}
        self.splits = {**words, **about["splits"]}

    @property
    def spec(self) -> DataSpec:
        """As ``about.pt`` says."""
        return self._spec

    def dataset(self, split: str) -> StreamedImages:
        """The images of a split; for a reference that is not there, evenly spaced training images."""
        if split in self._sizes:
            return StreamedImages(self._folder(split), torch.arange(sum(self._sizes[split])))
        return StreamedImages(self._folder("train"), evenly_spaced(sum(self._sizes["train"]), NUM_REFERENCE))

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this rank from the present step on."""
        trainer = self.trainer
        assert trainer is not None
        self._check_sample()
        ranks, lanes = trainer.world_size, self._topology["workers"]
        order = LaneOrder(self.seed, self._sizes["train"], ranks * lanes)
        batches = LaneBatches(self._folder("train"), order, trainer.global_rank, lanes, self.batch_size // ranks)
        steps = Steps(lambda: trainer.global_step)
        return whole_batches(batches, steps, self.num_workers, trainer.strategy.root_device)

    def state_dict(self) -> dict[str, Any]:
        """What the order depends on beside the step, for checkpoints."""
        return dict(self._topology)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on where the order would be another one.

        Raises:
            UserError: With both numbers.
        """
        for name, (what, advice) in _TOPOLOGY.items():
            before, now = state_dict[name], self._topology[name]
            if before != now:
                raise UserError(
                    f"the checkpoint's images were streamed with {before} {what}, this run has {now}, which would "
                    f"change their order; resume with {advice}, or start a new run"
                )

    @cached_property
    def _topology(self) -> dict[str, int]:
        assert self.trainer is not None
        return {
            "images": sum(self._sizes["train"]),
            "batch_size": self.batch_size,
            "ranks": self.trainer.world_size,
            "workers": max(1, self.num_workers),
        }

    def _folder(self, split: str) -> str:
        return f"{self.root}/{split}"

    def _check_sample(self) -> None:
        from litdata.streaming.sampler import ChunkedIndex

        # The last index of a reading makes litdata let go of the chunk.
        batch = collate([open_stream(self._folder("train"))[ChunkedIndex(0, 0, is_last_index=True)]])
        image, known = batch["image"], set(batch["targets"])
        shape = (self._spec.num_channels, self._spec.image_size, self._spec.image_size)
        where = f"data.root {self.root}: the first image of train"
        if image.dtype != torch.uint8 or tuple(image.shape[1:]) != shape:
            raise UserError(
                f"{where} is {image.dtype} {tuple(image.shape[1:])}, but {ABOUT} says uint8 {shape}; write it again"
            )
        wanted = {task.name for task in self._spec.tasks if task.measure is None}
        if missing := sorted(wanted - known):
            raise UserError(f"{where} has no target `{missing[0]}`, but {ABOUT} names that task; write it again")
