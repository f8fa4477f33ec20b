"""Digits: handwritten digits in grey, ten classes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lightning_mtgan.data.changes import SPOIL_SIGNS
from lightning_mtgan.data.handwriting import SOURCE, digits
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec, TaskKind, TaskSpec


class DigitImages(IndexedImages):
    """The digits of one split.

    Args:
        held_out: The held-out digits, not the training digits.
        num_images: How many of them; None for all.
    """

    def __init__(self, held_out: bool, num_images: int | None = None) -> None:
        self.images, self.labels = (every[:num_images] for every in digits(held_out))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"image": self.images[indices][:, None], "targets": {"digit": self.labels[indices]}}


class Digits(ImageDataModule):
    """Handwritten digits, 8 x 8 pixels, one channel, one task ``digit`` with ten classes.

    Args:
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        num_images: Training digits, the first of the file; null for all 1,437.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    splits = {
        "train": f"the first 1,437 of {SOURCE}",
        "reference": f"the first 1,437 of {SOURCE}",
        "held_out": f"the last 360 of {SOURCE}, other writers",
    }

    def __init__(
        self,
        batch_size: int = 64,
        seed: int = 0,
        num_images: int | None = None,
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if num_images is not None and num_images < 1:
            raise UserError(f"data.num_images is {num_images}; it must be at least 1, or null for all digits")
        self.num_images = num_images
        if num_images is not None:
            self.splits = {**self.splits, "train": f"the first {len(self.dataset('train')):,} of {SOURCE}"}

    def dataset(self, split: str) -> DigitImages:
        """The digits of a split."""
        return DigitImages(split == "held_out", self.num_images if split == "train" else None)

    @property
    def spec(self) -> DataSpec:
        """8 x 8 pixels, one channel, ten classes."""
        return DataSpec(8, 1, (TaskSpec("digit", TaskKind.CLASSIFICATION, 10, spoiled_by=SPOIL_SIGNS),))
