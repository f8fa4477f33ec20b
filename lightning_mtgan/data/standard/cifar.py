"""CIFAR-10 and CIFAR-100: small photographs of objects."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.standard.base import SmallData
from lightning_mtgan.data.standard.sources import File, Parcel, Source, reading
from lightning_mtgan.types import TaskKind, TaskSpec


class CIFARData(SmallData):
    """A set in CIFAR's format."""

    num_channels = 3
    published: ClassVar[Any]
    """The class in torchvision."""
    keys: ClassVar[dict[str, str]]
    """The key of each task's labels in the files."""

    def source(self) -> Source:
        """See StandardData."""
        published = self.published
        listed = (*published.train_list, *published.test_list, (published.meta["filename"], published.meta["md5"]))
        holds = tuple(File(f"{published.base_folder}/{name}", md5) for name, md5 in listed)
        archive = File(published.filename, published.tgz_md5)
        return Source(self.title, (Parcel(archive, links=(published.url,), holds=holds),))

    def read(self, held_out: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """See SmallData."""
        listed = self.published.test_list if held_out else self.published.train_list
        parts = [self._unpickle(name) for name, _ in listed]
        images = torch.from_numpy(np.concatenate([part["data"] for part in parts])).view(-1, 3, 32, 32)
        labels = {
            task: torch.tensor([label for part in parts for label in part[key]]) for task, key in self.keys.items()
        }
        return images, labels

    def _unpickle(self, name: str) -> dict[str, Any]:
        """The content of a file whose checksum is right: a pickle can run anything."""
        path = self.folder / self.published.base_folder / name
        with reading(path), path.open("rb") as handle, warnings.catch_warnings():
            # numpy 2.4.0 to 2.4.4 warn about arrays that a numpy of 2009 wrote (github.com/numpy/numpy/pull/31177).
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            content: dict[str, Any] = pickle.load(handle, encoding="latin1")
            return content


class CIFAR10(CIFARData):
    """Photographs of ten kinds of objects (Krizhevsky 2009): three channels, one task ``object``.

    Args:
        root: Folder of the data sets; the files lie in ``cifar-10-batches-py``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 is how they were published.
        download: Whether missing files are downloaded (170 MB).
        tasks: What to learn: the class ``object``, or nothing.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "CIFAR-10"
    known_tasks = ("object",)
    contents = {"train": "the 50,000 training images of CIFAR-10", "held_out": "the 10,000 test images of CIFAR-10"}
    published = datasets.CIFAR10
    keys = {"object": "labels"}
    labels = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        download: bool = True,
        tasks: Sequence[Literal["object"]] = ("object",),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)

    def task(self, name: str) -> TaskSpec:
        """Ten classes of 5,000 training images each."""
        return TaskSpec(name, TaskKind.CLASSIFICATION, len(self.labels), self.labels)


class CIFAR100(CIFARData):
    """Photographs of 100 kinds of objects in 20 groups (Krizhevsky 2009): three channels, two tasks.

    Args:
        root: Folder of the data sets; the files lie in ``cifar-100-python``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 is how they were published.
        download: Whether missing files are downloaded (169 MB).
        tasks: What to learn. Classes: ``fine``, the object, one of 100; ``coarse``, its group, one of 20.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "CIFAR-100"
    known_tasks = ("fine", "coarse")
    contents = {"train": "the 50,000 training images of CIFAR-100", "held_out": "the 10,000 test images of CIFAR-100"}
    published = datasets.CIFAR100
    keys = {"fine": "fine_labels", "coarse": "coarse_labels"}

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        download: bool = True,
        tasks: Sequence[Literal["fine", "coarse"]] = ("fine", "coarse"),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)

    def task(self, name: str) -> TaskSpec:
        """100 classes of 500 training images each, or 20 of 2,500."""
        labels = tuple(self._unpickle(self.published.meta["filename"])[f"{name}_label_names"])
        return TaskSpec(name, TaskKind.CLASSIFICATION, len(labels), labels)

    def joint(self) -> dict[str, Tensor] | None:
        """Each fine class once, with its group: all are equally frequent."""
        if len(self.tasks) < 2:
            return None
        known = self.dataset("train").targets()
        pairs = torch.stack([known[name] for name in self.tasks], dim=1).unique(dim=0)
        return dict(zip(self.tasks, pairs.unbind(1), strict=True))
