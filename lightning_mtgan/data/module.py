"""The LightningDataModule that serves indexed images in whole batches."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.order import BatchOrder
from lightning_mtgan.data.sampling import Sampling, Shuffled
from lightning_mtgan.data.summary import Summary, summarise
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec, is_known


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

    resident_bytes = 0
    """Up to so many bytes of training images are kept on the device."""

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
        self._resident: IndexedImages | None = None

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """What the data is."""

    @abstractmethod
    def dataset(self, split: str) -> IndexedImages:
        """The images of a split, by its name."""

    def summary(self) -> Summary:
        """What the training images are."""
        spec, kind = self.spec, {1: "grey", 3: "colour"}
        facts = {
            "images": f"{len(self.dataset('train')):,}: {self.splits['train']}",
            "format": f"{spec.image_size} x {spec.image_size} pixels, {kind.get(spec.num_channels, spec.num_channels)}",
        }
        images = self.dataset("train")
        targets = images.targets()
        known = {name: is_known(target) for name, target in targets.items()}
        tasks, warnings = summarise(self.spec.tasks, targets, known)
        return Summary(facts, tasks, notes=warnings)

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
        device = trainer.strategy.root_device
        self._resident = images.resident(device, self.resident_bytes) if self.keeps_images_on(device) else None
        if self._resident is not None:
            return whole_batches(_Places(), order, 0, device)
        return whole_batches(images, order, self.num_workers, device)

    @staticmethod
    def keeps_images_on(device: torch.device) -> bool:
        """Whether images are faster there than where they lie: not on a CPU, which reads a mapped file in place."""
        return device.type != "cpu"

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Images that are kept on the device are fetched there."""
        return self._resident[batch["places"]] if self._resident is not None else batch


class _Places(Dataset[dict[str, Any]]):
    """Where the images of a batch stand, for images that are fetched on the device."""

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"places": indices}


def whole_batches(images: Dataset[Any], order: Sampler[Any], num_workers: int, device: torch.device) -> DataLoader[Any]:
    """A loader that asks for a whole batch at a time.

    Args:
        images: From what the order yields to a batch.
        order: Yields what makes up this rank's batch, step after step.
        num_workers: Processes that fetch batches; 0 fetches in the training process.
        device: Where the batches go.
    """
    return DataLoader(
        images,
        sampler=order,
        batch_size=None,
        num_workers=num_workers,
        worker_init_fn=leave_signals_to_the_trainer,
        persistent_workers=num_workers > 0,
        pin_memory=device.type == "cuda",
    )


def leave_signals_to_the_trainer(worker: int) -> None:
    """A scheduler signals every process; a worker that died of it would take the save along."""
    for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
