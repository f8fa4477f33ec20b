"""Images that fit into memory, and the LightningDataModule that serves them in whole batches."""

from __future__ import annotations

import hashlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_mtgan.data.order import BatchOrder
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class ResidentImages(Dataset[dict[str, Any]], ABC):
    """Images in memory as uint8, fetched a batch at a time."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        """A batch: ``image`` uint8 (N, C, H, W) and ``targets`` by task, for indices int64 (N,)."""

    def checksum(self, num_images: int) -> str:
        """Of the first images and their targets, so that what is computed from them can be kept."""
        digest = hashlib.sha256()
        for indices in torch.arange(num_images).split(500):
            batch = self[indices]
            for name, tensor in sorted({"": batch["image"], **batch["targets"]}.items()):
                digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class ResidentDataModule(lightning.LightningDataModule, ABC):
    """Serves resident images in an order that depends on the seed and the step alone.

    Args:
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the data and of their order.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that go through the networks one after the other, to save
            memory; their gradients add up to one step. Statistics over samples are those of a part.

    Raises:
        UserError: If a number is out of range.
    """

    splits: Mapping[str, str]
    """What each split is made of, by its name; ``train`` and ``reference`` are always there."""

    def __init__(self, batch_size: int, seed: int, num_workers: int, micro_batches: int = 1) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"data.batch_size is {batch_size}; it must be at least 1")
        if num_workers < 0:
            raise UserError(f"data.num_workers is {num_workers}; use 0 or more")
        if micro_batches < 1:
            raise UserError(f"data.micro_batches is {micro_batches}; use 1 for whole batches, or more")
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.micro_batches = micro_batches

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What the data is."""

    @abstractmethod
    def dataset(self, split: str) -> ResidentImages:
        """The images of a split, by its name."""

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this rank from the present step on."""
        trainer = self.trainer
        assert trainer is not None
        images = self.dataset("train")
        order = BatchOrder(
            self.seed,
            len(images),
            self.batch_size,
            trainer.global_rank,
            trainer.world_size,
            step=lambda: trainer.global_step,
            micro_batches=self.micro_batches,
        )
        return DataLoader(
            images,
            sampler=order,
            batch_size=None,
            num_workers=self.num_workers,
            worker_init_fn=_leave_signals_to_the_trainer,
            persistent_workers=self.num_workers > 0,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )


def _leave_signals_to_the_trainer(worker: int) -> None:
    """A scheduler signals every process; a worker that died of it would take the save along."""
    for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
