"""Stacked MNIST: three random digits as the channels of one image, 1,000 modes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import datasets

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.stacked_digits import CHANNELS, SPOIL_CHANNELS
from lightning_mtgan.data.standard.base import StandardData, frequencies, resized
from lightning_mtgan.data.standard.mnist import DIGITS, idx_images, idx_labels, idx_source
from lightning_mtgan.data.standard.sources import Source
from lightning_mtgan.draws import seed_of
from lightning_mtgan.types import TaskKind, TaskSpec

NUM_IMAGES = {"train": 128_000, "held_out": 50_000}
"""Stacks of each split."""


class Stacks(IndexedImages):
    """Stacks of digits, put together when they are fetched.

    Args:
        images: Digits, uint8 (N, 1, H, W).
        labels: Their classes, int64 (N,).
        choice: The three digits of each stack, int64 (M, 3).
        names: The targets to give.
    """

    def __init__(self, images: Tensor, labels: Tensor, choice: Tensor, names: Sequence[str]) -> None:
        self.images, self.labels, self.choice, self.names = images, labels, choice, names

    def __len__(self) -> int:
        return len(self.choice)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"image": self.images[self.choice[indices], 0], "targets": self._targets(self.choice[indices])}

    def targets(self) -> dict[str, Tensor]:
        """See IndexedImages."""
        return self._targets(self.choice)

    def _targets(self, choice: Tensor) -> dict[str, Tensor]:
        return {name: self.labels[choice[:, CHANNELS.index(name)]] for name in self.names}


class StackedMNIST(StandardData):
    """Three random digits of MNIST as red, green and blue: 1,000 modes, three tasks of ten classes each.

    The protocol of PacGAN (Lin et al. 2018, arXiv:1712.04086): 128,000 stacks of training digits,
    drawn once, the same for every seed.

    Args:
        root: Folder of the data sets; the files of MNIST lie in ``MNIST/raw``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 are the 28 with a black margin.
        download: Whether missing files are downloaded (12 MB).
        tasks: What to learn: ``red``, ``green``, ``blue``, the digit of that channel.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "Stacked MNIST"
    num_channels = len(CHANNELS)
    known_tasks = CHANNELS
    contents = {
        "train": "128,000 stacks of training images of MNIST, drawn once",
        "held_out": "50,000 stacks of test images of MNIST, drawn once",
    }

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        download: bool = True,
        tasks: Sequence[Literal["red", "green", "blue"]] = ("red", "green", "blue"),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)

    def source(self) -> Source:
        """See StandardData."""
        return idx_source("MNIST", datasets.MNIST)

    def dataset(self, split: str) -> Stacks:
        """The stacks of a split; ``train`` and ``reference`` are the same."""
        return self._held_out if split == "held_out" else self._training

    def task(self, name: str) -> TaskSpec:
        """Ten classes, as frequent as in MNIST; channels are independent."""
        prior = frequencies(idx_labels(self._raw, held_out=False), len(DIGITS))
        return TaskSpec(name, TaskKind.CLASSIFICATION, len(DIGITS), DIGITS, prior, spoiled_by=SPOIL_CHANNELS)

    @property
    def _raw(self) -> Path:
        return self.folder / "MNIST" / "raw"

    @cached_property
    def _training(self) -> Stacks:
        return self._load(False)

    @cached_property
    def _held_out(self) -> Stacks:
        return self._load(True)

    def _load(self, held_out: bool) -> Stacks:
        images, labels = idx_images(self._raw, held_out), idx_labels(self._raw, held_out)
        split = "held_out" if held_out else "train"
        generator = torch.Generator().manual_seed(seed_of(self.title, split))
        choice = torch.randint(len(images), (NUM_IMAGES[split], len(CHANNELS)), generator=generator)
        return Stacks(resized(images, self.image_size, torch.arange(len(images))), labels, choice, self.tasks)
