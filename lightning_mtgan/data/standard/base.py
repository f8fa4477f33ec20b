"""What the standard data sets share: a folder, a size, tasks to choose from, and their images in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_mtgan.data.images import CHUNK, IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.standard.sources import Source
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec, TaskSpec

SMALLEST = 4
"""Height and width of the smallest images, in pixels."""


class StandardData(ImageDataModule):
    """A published data set, in the files in which it was published.

    Nothing is read before it is needed; every process reads for itself, and one at a time downloads.

    Args:
        root: Folder of the data sets; files lie in it as torchvision has them.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width of the images, in pixels.
        download: Whether missing files are downloaded.
        tasks: What to learn.
        num_workers: Processes that fetch batches.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; None: each one once in an epoch.

    Raises:
        UserError: If a number is out of range or a task unknown.
    """

    title: ClassVar[str]
    """The name of the data set, for people."""
    num_channels: ClassVar[int]
    known_tasks: ClassVar[tuple[str, ...]]
    contents: ClassVar[Mapping[str, str]]
    """What ``train`` and ``held_out`` are, in words."""

    def __init__(
        self,
        root: str,
        batch_size: int,
        seed: int,
        image_size: int,
        download: bool,
        tasks: Sequence[str],
        num_workers: int,
        micro_batches: int,
        sampling: Sampling | None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if image_size < SMALLEST or image_size & (image_size - 1):
            raise UserError(f"data.image_size is {image_size}; use a power of two: 4, 8, 16, 32, 64 ...")
        unknown = [name for name in tasks if name not in self.known_tasks]
        if unknown:
            known = ", ".join(self.known_tasks)
            raise UserError(f"data.tasks has {', '.join(unknown)}, but the tasks of {self.title} are {known}")
        self.root, self.image_size, self.download = root, image_size, download
        self.tasks = tuple(tasks)
        what = {split: f"{words}, at {image_size} x {image_size}" for split, words in self.contents.items()}
        self.splits = {"train": what["train"], "reference": what["train"], "held_out": what["held_out"]}

    @abstractmethod
    def source(self) -> Source:
        """The files."""

    @abstractmethod
    def task(self, name: str) -> TaskSpec:
        """One of the known tasks."""

    def joint(self) -> dict[str, Tensor] | None:
        """Targets of the same images, where the chosen tasks depend on each other."""
        return None

    @cached_property
    def folder(self) -> Path:
        """The data folder, with every file in its place."""
        folder = Path(self.root).expanduser()
        self.source().provide(folder, self.download)
        return folder

    @property
    def spec(self) -> DataSpec:
        """Size, channels and the tasks that were asked for."""
        tasks = tuple(self.task(name) for name in self.tasks)
        return DataSpec(self.image_size, self.num_channels, tasks, self.joint())


class ResidentImages(IndexedImages):
    """Images in memory.

    Args:
        images: uint8 (N, C, H, W).
        known: Targets of all images by task, each with N rows.
    """

    def __init__(self, images: Tensor, known: Mapping[str, Tensor]) -> None:
        self.images, self.known = images, known

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"image": self.images[indices], "targets": {name: one[indices] for name, one in self.known.items()}}

    def targets(self) -> dict[str, Tensor]:
        """See IndexedImages."""
        return dict(self.known)

    def resident(self, device: torch.device, most_bytes: int) -> ResidentImages | None:
        """See IndexedImages."""
        if self.images.nbytes > most_bytes:
            return None
        return ResidentImages(self.images.to(device), {name: one.to(device) for name, one in self.known.items()})


class SmallData(StandardData):
    """A published data set that is kept in memory; ``train`` and ``reference`` are the same images."""

    resident_bytes = 1 << 30

    @abstractmethod
    def read(self, held_out: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Images uint8 (N, C, H, W) as published, and the targets of all known tasks, in the order of the files."""

    @cached_property
    def _training(self) -> ResidentImages:
        return self._load(False)

    @cached_property
    def _held_out(self) -> ResidentImages:
        return self._load(True)

    def dataset(self, split: str) -> ResidentImages:
        """The images of a split."""
        return self._held_out if split == "held_out" else self._training

    def _load(self, held_out: bool) -> ResidentImages:
        images, targets = self.read(held_out)
        order = mixed(len(images), self.title, held_out)
        images = resized(images, self.image_size, order)
        return ResidentImages(images, {name: targets[name][order] for name in self.tasks})


def mixed(num_images: int, title: str, held_out: bool) -> Tensor:
    """An order int64 (num_images,), the same for every seed, in which the first images are a fair sample.

    Figures are measured on the first images of a split, and published files may be sorted.
    """
    generator = torch.Generator().manual_seed(seed_of("standard", title, "held_out" if held_out else "train"))
    return torch.randperm(num_images, generator=generator)


def resized(images: Tensor, size: int, order: Tensor) -> Tensor:
    """Images uint8 (N, C, H, W) in another order, brought to size x size by an antialiased bicubic filter.

    Without antialiasing, figures would depend on it: Parmar et al. 2022, arXiv:2104.11222.
    """
    if images.shape[2:] == (size, size):
        return images[order]
    result = images.new_empty((len(order), images.shape[1], size, size))
    for some, to in zip(order.split(CHUNK), result.split(CHUNK), strict=True):
        to.copy_(interpolate(images[some], (size, size), mode="bicubic", antialias=True))
    return result


def frequencies(labels: Tensor, num_classes: int) -> tuple[tuple[float, ...], ...]:
    """The prior of a classification: the share of each class among labels int64 (N,); empty if all are equal."""
    counts = labels.bincount(minlength=num_classes)
    if bool((counts == counts[0]).all()):
        return ()
    return (tuple((counts.double() / counts.sum()).tolist()),)
