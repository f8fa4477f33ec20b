"""SVHN: house numbers from the street, ten classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor
from torchvision import datasets

from lightning_mtgan.data.changes import SPOIL_SIGNS
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.standard.base import SmallData, frequencies
from lightning_mtgan.data.standard.mnist import DIGITS
from lightning_mtgan.data.standard.sources import File, Parcel, Source, reading
from lightning_mtgan.types import TaskKind, TaskSpec


class SVHN(SmallData):
    """Street View house numbers, cropped (Netzer et al. 2011): three channels, one task ``digit``, ten classes.

    The digits are not equally frequent, and the task's prior says how frequent they are.

    Args:
        root: Folder of the data sets; ``train_32x32.mat`` and ``test_32x32.mat`` lie in it.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 is how they were published.
        download: Whether missing files are downloaded (246 MB).
        tasks: What to learn: the class ``digit`` of the middle, or nothing.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "SVHN"
    num_channels = 3
    known_tasks = ("digit",)
    contents = {"train": "the 73,257 training images of SVHN", "held_out": "the 26,032 test images of SVHN"}

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        download: bool = True,
        tasks: Sequence[Literal["digit"]] = ("digit",),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)

    def source(self) -> Source:
        """See StandardData."""
        published = (datasets.SVHN.split_list[split] for split in ("train", "test"))
        return Source(self.title, tuple(Parcel(File(name, md5), links=(link,)) for link, name, md5 in published))

    def read(self, held_out: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """See SmallData."""
        content = self._content(held_out, "X", "y")
        images = torch.from_numpy(np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1)))
        return images, {"digit": _digits(content)}

    def task(self, name: str) -> TaskSpec:
        """Ten classes, by their frequencies in the training images."""
        prior = frequencies(_digits(self._content(False, "y")), len(DIGITS))
        return TaskSpec(name, TaskKind.CLASSIFICATION, len(DIGITS), DIGITS, prior, spoiled_by=SPOIL_SIGNS)

    def _content(self, held_out: bool, *names: str) -> dict[str, Any]:
        path = self.folder / datasets.SVHN.split_list["test" if held_out else "train"][1]
        with reading(path):
            content = loadmat(path, variable_names=names)
            return {name: content[name] for name in names}


def _digits(content: dict[str, Any]) -> Tensor:
    """Classes int64 (N,); the file writes 10 for the digit 0."""
    return torch.from_numpy(content["y"].astype(np.int64)).flatten() % 10
