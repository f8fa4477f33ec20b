"""MNIST and the sets that come in its format: grey images of 28 x 28 pixels, ten classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn.functional import pad
from torchvision import datasets
from torchvision.datasets.mnist import read_image_file, read_label_file

from lightning_mtgan.data.changes import SPOIL_SIGNS
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.standard.base import SmallData, frequencies
from lightning_mtgan.data.standard.sources import File, Parcel, Source, reading
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change, TaskKind, TaskSpec

MARGIN = 2
"""Black pixels on each side that bring 28 x 28 pixels to 32 x 32, without any resampling."""
DIGITS = tuple(str(digit) for digit in range(10))


def idx_source(title: str, published: Any) -> Source:
    """The files of a set in MNIST's format.

    Args:
        title: Its name, for people.
        published: Its class in torchvision.
    """
    folder = f"{published.__name__}/raw"
    parcels = (
        Parcel(
            File(f"{folder}/{name}", md5),
            links=tuple(mirror + name for mirror in published.mirrors),
            holds=(File(f"{folder}/{Path(name).stem}"),),
        )
        for name, md5 in published.resources
    )
    return Source(title, tuple(parcels))


def idx_labels(folder: Path, held_out: bool) -> Tensor:
    """The classes int64 (N,) of a set in MNIST's format, from its own folder."""
    path = folder / f"{'t10k' if held_out else 'train'}-labels-idx1-ubyte"
    with reading(path):
        return read_label_file(str(path))


def idx_images(folder: Path, held_out: bool) -> Tensor:
    """The images uint8 (N, 1, 32, 32) of a set in MNIST's format, with a black margin."""
    path = folder / f"{'t10k' if held_out else 'train'}-images-idx3-ubyte"
    with reading(path):
        images = read_image_file(str(path))
    if len(images) != len(idx_labels(folder, held_out)):
        raise UserError(
            f"{folder.absolute()} has not one label for each image; delete it and load it again (data.root)"
        )
    return pad(images, (MARGIN,) * 4)[:, None]


class IdxData(SmallData):
    """A set in MNIST's format, with one task."""

    num_channels = 1
    published: ClassVar[Any]
    """The class in torchvision."""
    labels: ClassVar[tuple[str, ...]]
    spoiled_by: ClassVar[frozenset[Change]] = SPOIL_SIGNS

    def source(self) -> Source:
        """See StandardData."""
        return idx_source(self.title, self.published)

    @property
    def _raw(self) -> Path:
        return self.folder / self.published.__name__ / "raw"

    def read(self, held_out: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """See SmallData."""
        return idx_images(self._raw, held_out), {self.known_tasks[0]: idx_labels(self._raw, held_out)}

    def task(self, name: str) -> TaskSpec:
        """Ten classes; the digits of MNIST are not quite equally frequent."""
        prior = frequencies(idx_labels(self._raw, held_out=False), len(self.labels))
        return TaskSpec(name, TaskKind.CLASSIFICATION, len(self.labels), self.labels, prior, spoiled_by=self.spoiled_by)


class MNIST(IdxData):
    """Handwritten digits (LeCun et al. 1998): one channel, one task ``digit`` with ten classes.

    Args:
        root: Folder of the data sets; the files lie in ``MNIST/raw``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 are the 28 with a black margin.
        download: Whether missing files are downloaded (12 MB).
        tasks: What to learn: the class ``digit``, or nothing.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "MNIST"
    known_tasks = ("digit",)
    contents = {"train": "the 60,000 training images of MNIST", "held_out": "the 10,000 test images of MNIST"}
    published = datasets.MNIST
    labels = DIGITS

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


class FashionMNIST(IdxData):
    """Articles of clothing (Xiao et al. 2017, arXiv:1708.07747): one channel, one task ``article`` with ten classes.

    Args:
        root: Folder of the data sets; the files lie in ``FashionMNIST/raw``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 are the 28 with a black margin.
        download: Whether missing files are downloaded (31 MB).
        tasks: What to learn: the class ``article``, or nothing.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "Fashion-MNIST"
    known_tasks = ("article",)
    contents = {
        "train": "the 60,000 training images of Fashion-MNIST",
        "held_out": "the 10,000 test images of Fashion-MNIST",
    }
    published = datasets.FashionMNIST
    labels = tuple(datasets.FashionMNIST.classes)
    spoiled_by = frozenset()  # a shirt that lies on its side is a shirt

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        download: bool = True,
        tasks: Sequence[Literal["article"]] = ("article",),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)


class KMNIST(IdxData):
    """Cursive Japanese (Clanuwat et al. 2018, arXiv:1812.01718): one channel, one task ``character``, ten classes.

    Args:
        root: Folder of the data sets; the files lie in ``KMNIST/raw``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two; 32 are the 28 with a black margin.
        download: Whether missing files are downloaded (21 MB).
        tasks: What to learn: the class ``character``, or nothing.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "KMNIST"
    known_tasks = ("character",)
    contents = {"train": "the 60,000 training images of KMNIST", "held_out": "the 10,000 test images of KMNIST"}
    published = datasets.KMNIST
    labels = tuple(datasets.KMNIST.classes)

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        download: bool = True,
        tasks: Sequence[Literal["character"]] = ("character",),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)
