"""STL-10: photographs of objects, ten classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.standard.base import SmallData
from lightning_mtgan.data.standard.sources import File, Parcel, Source, reading
from lightning_mtgan.types import TaskKind, TaskSpec

LABELS = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
PUBLISHED_SIZE = 96


class STL10(SmallData):
    """Photographs of ten kinds of objects (Coates et al. 2011): three channels, one task ``object``.

    Only the labelled images; the 100,000 without a label need not be there.

    Args:
        root: Folder of the data sets; the files lie in ``stl10_binary``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; they were published with 96.
        download: Whether missing files are downloaded (2.6 GB).
        tasks: What to learn: the class ``object``, or nothing.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "STL-10"
    num_channels = 3
    known_tasks = ("object",)
    contents = {
        "train": "the 5,000 labelled training images of STL-10",
        "held_out": "the 8,000 test images of STL-10",
    }

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 64,
        download: bool = True,
        tasks: Sequence[Literal["object"]] = ("object",),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)

    def source(self) -> Source:
        """See StandardData."""
        published = datasets.STL10
        listed = (*published.train_list[:2], *published.test_list)
        holds = tuple(File(f"{published.base_folder}/{name}", md5) for name, md5 in listed)
        archive = File(published.filename, published.tgz_md5)
        return Source(self.title, (Parcel(archive, links=(published.url,), holds=holds),))

    def read(self, held_out: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """See SmallData."""
        columns = self._bytes(held_out, 0).reshape(-1, 3, PUBLISHED_SIZE, PUBLISHED_SIZE)  # column by column
        labels = self._bytes(held_out, 1).astype(np.int64) - 1  # the file counts from 1
        return torch.from_numpy(columns).transpose(2, 3), {"object": torch.from_numpy(labels)}

    def task(self, name: str) -> TaskSpec:
        """Ten classes of 500 training images each."""
        return TaskSpec(name, TaskKind.CLASSIFICATION, len(LABELS), LABELS)

    def _bytes(self, held_out: bool, which: int) -> np.ndarray:
        listed = datasets.STL10.test_list if held_out else datasets.STL10.train_list
        path = self.folder / datasets.STL10.base_folder / listed[which][0]
        with reading(path):
            return np.fromfile(path, dtype=np.uint8)
