"""The LightningDataModule that serves indexed images in whole batches."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning
from torch.utils.data import DataLoader

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.order import BatchOrder
from lightning_mtgan.data.sampling import Sampling, Shuffled
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class ImageDataModule(lightning.LightningDataModule, ABC):
    """Serves indexed images in an order that depends on the seed and the step alone.

    Args:
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the data and of their order.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that go through the networks one after the other, to save
            memory; their gradients add up to one step. Statistics over samples are those of a part.
        sampling: Which images are seen how often; None: each one once in an epoch.

    Raises:
        UserError: If a number is out of range.
    """

    splits: Mapping[str, str]
    """What each split is made of, by its name; ``train`` and ``reference`` are always there."""

    def __init__(
        self,
        batch_size: int,
        seed: int,
        num_workers: int,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"data.batch_size is {batch_size}; it must be at least 1")
        if num_workers < 0:
            raise UserError(f"data.num_workers is {num_workers}; use 0 or more")
        if micro_batches < 1:
            raise UserError(f"data.micro_batches is {micro_batches}; use 1 for whole batches, or more")
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.micro_batches = micro_batches
        self.sampling = sampling or Shuffled()

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What the data is."""

    @abstractmethod
    def dataset(self, split: str) -> IndexedImages:
        """The images of a split, by its name."""

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this rank from the present step on."""
        trainer = self.trainer
        assert trainer is not None
        images = self.dataset("train")
        order = BatchOrder(
            self.sampling.stream(images, self.seed),
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
            worker_init_fn=leave_signals_to_the_trainer,
            persistent_workers=self.num_workers > 0,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )


def leave_signals_to_the_trainer(worker: int) -> None:
    """A scheduler signals every process; a worker that died of it would take the save along."""
    for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
