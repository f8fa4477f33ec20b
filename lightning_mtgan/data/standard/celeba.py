"""CelebA: faces with forty attributes, five landmarks and a name each; decoded when they are fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import datasets

from lightning_mtgan.data.changes import SPOIL_PLACES
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.standard.base import StandardData, frequencies, mixed
from lightning_mtgan.data.standard.sources import File, Parcel, Source, reading
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import quantiles
from lightning_mtgan.types import Change, TaskKind, TaskSpec

PUBLISHED_SIZE = (178, 218)
"""Width and height of the aligned images."""
CROP = 148
"""Height and width of the square in the middle that is kept, as torchvision's CenterCrop(148) in the widely used
recipes for 64 x 64 (e.g. github.com/AntixK/PyTorch-VAE); figures compare only with those of the same crop."""
LEFT, TOP = ((length - CROP) // 2 for length in PUBLISHED_SIZE)
NUM_IDENTITIES = 10_177
NUM_JOINT = 16_384
"""Rows of training images from which conditions are drawn."""
FOLDER = "img_align_celeba"
PARTITION = "list_eval_partition.txt"
TABLES = {
    "attributes": "list_attr_celeba.txt",
    "landmarks": "list_landmarks_align_celeba.txt",
    "identity": "identity_CelebA.txt",
}
SPOIL_ATTRIBUTES = frozenset({Change.COLOUR})
"""Colours of hair and skin, and lipstick, are among them; that hats may be cut off does not make them untrue."""
WITH_HEADER = (TABLES["attributes"], TABLES["landmarks"])


@dataclass(frozen=True)
class Table:
    """A text file with one row for each image.

    Args:
        columns: Names of the columns; empty where the file has no header.
        images: Numbers of the images, int64 (N,).
        values: int64 (N, columns).
    """

    columns: tuple[str, ...]
    images: Tensor
    values: Tensor


class Faces(IndexedImages):
    """Faces in their files.

    Args:
        folder: Where the files are.
        numbers: Numbers of the images, int64 (N,).
        known: Targets of all images by task, each with N rows.
        size: Height and width in pixels.
    """

    def __init__(self, folder: Path, numbers: Tensor, known: dict[str, Tensor], size: int) -> None:
        self.folder, self.numbers, self.known, self.size = folder, numbers, known, size

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        image = torch.stack([self._face(number) for number in self.numbers[indices].tolist()])
        return {"image": image, "targets": {name: one[indices] for name, one in self.known.items()}}

    def targets(self) -> dict[str, Tensor]:
        """See IndexedImages; no image is decoded."""
        return dict(self.known)

    def _face(self, number: int) -> Tensor:
        path = self.folder / _file_name(number)
        with reading(path), Image.open(path) as file:
            if file.size != PUBLISHED_SIZE:
                raise ValueError("{} x {} pixels, not {} x {}".format(*file.size, *PUBLISHED_SIZE))
            box = (LEFT, TOP, LEFT + CROP, TOP + CROP)
            pixels = np.array(file.convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC, box))
        return torch.from_numpy(pixels).movedim(2, 0)


class CelebA(StandardData):
    """Faces of celebrities (Liu et al. 2015, arXiv:1411.7766): three channels, aligned and cropped, up to three tasks.

    ``held_out`` is the validation split: other people than in ``train``.

    Args:
        root: Folder of the data sets; the files lie in ``celeba``, the images in ``celeba/img_align_celeba``.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        image_size: Height and width in pixels, a power of two, of the 148 x 148 in the middle.
        download: Whether missing files are downloaded (1.4 GB from Google Drive; needs gdown).
        tasks: What to learn. Attributes: ``attributes``, 40 answers. Regression: ``landmarks``, x and y of
            both eyes, the nose and both corners of the mouth, where -1 and 1 are the edges of the
            image. Classes: ``identity``, one of 10,177 people.
        num_workers: Processes that fetch batches; they decode the images, so use as many as there are cores to spare.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    title = "CelebA"
    num_channels = 3
    known_tasks = tuple(TABLES)
    contents = {
        "train": f"the 162,770 training images of CelebA, the {CROP} x {CROP} pixels in the middle",
        "held_out": f"the 19,867 validation images of CelebA, the {CROP} x {CROP} pixels in the middle",
    }

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 64,
        download: bool = True,
        tasks: Sequence[Literal["attributes", "landmarks", "identity"]] = ("attributes",),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(root, batch_size, seed, image_size, download, tasks, num_workers, micro_batches, sampling)

    def source(self) -> Source:
        """The images, who is in which split, and the tables of the chosen tasks."""
        base = datasets.CelebA.base_folder
        used = {f"{FOLDER}.zip", PARTITION, *(TABLES[name] for name in self.tasks)}
        parcels = (
            Parcel(
                File(f"{base}/{name}", md5),
                drive_id=drive_id,
                holds=(File(f"{base}/{FOLDER}"),) if name.endswith(".zip") else (),
            )
            for drive_id, md5, name in datasets.CelebA.file_list
            if name in used
        )
        return Source(self.title, tuple(parcels))

    def dataset(self, split: str) -> Faces:
        """The faces of a split; ``train`` and ``reference`` are the same."""
        return self._held_out if split == "held_out" else self._training

    def task(self, name: str) -> TaskSpec:
        """A task, by its frequencies in the training images."""
        known = self._training.known[name]
        if name == "identity":
            prior = frequencies(known, NUM_IDENTITIES)
            return TaskSpec(name, TaskKind.CLASSIFICATION, NUM_IDENTITIES, prior=prior)
        labels = self._tables[TABLES[name]].columns
        if name == "landmarks":
            return TaskSpec(name, TaskKind.REGRESSION, len(labels), labels, quantiles(known), spoiled_by=SPOIL_PLACES)
        prior = tuple((share,) for share in known.double().mean(0).tolist())
        return TaskSpec(name, TaskKind.ATTRIBUTES, len(labels), labels, prior, spoiled_by=SPOIL_ATTRIBUTES)

    def joint(self) -> dict[str, Tensor] | None:
        """Rows of the training images: attributes depend on each other, and so do landmarks."""
        if set(self.tasks) <= {"identity"}:
            return None
        return {name: one[:NUM_JOINT].clone() for name, one in self._training.known.items()}

    @cached_property
    def _tables(self) -> dict[str, Table]:
        names = (PARTITION, *(TABLES[name] for name in self.tasks))
        tables = {name: _table(self._base / name, name in WITH_HEADER) for name in names}
        first = tables[PARTITION].images
        for name, table in tables.items():
            if not torch.equal(table.images, first):
                raise UserError(f"{self._base.absolute() / name} has other images than {PARTITION} (data.root)")
        return tables

    @property
    def _base(self) -> Path:
        return self.folder / datasets.CelebA.base_folder

    @cached_property
    def _training(self) -> Faces:
        return self._load(False)

    @cached_property
    def _held_out(self) -> Faces:
        return self._load(True)

    def _load(self, held_out: bool) -> Faces:
        partition = self._tables[PARTITION]
        rows = (partition.values[:, 0] == int(held_out)).nonzero()[:, 0]  # 0: train, 1: validation, 2: test
        rows = rows[mixed(len(rows), self.title, held_out)]
        numbers = partition.images[rows]
        self._require(numbers)
        known = {name: _target(name, self._tables[TABLES[name]].values[rows]) for name in self.tasks}
        return Faces(self._base / FOLDER, numbers, known, self.image_size)

    def _require(self, numbers: Tensor) -> None:
        """Refuse a folder that lacks images before a training meets the first of them."""
        folder = self._base / FOLDER
        there = {path.name for path in folder.iterdir()}
        missing = sorted(name for name in map(_file_name, numbers.tolist()) if name not in there)
        if missing:
            raise UserError(
                f"CelebA: {folder.absolute()} lacks {len(missing):,} images, the first is {missing[0]}; delete that "
                f"folder and put {FOLDER}.zip beside it, or set data.download (data.root is {self.folder.absolute()})"
            )


def _file_name(number: int) -> str:
    return f"{number:06d}.jpg"


def _target(name: str, values: Tensor) -> Tensor:
    """Values as in the file, int64 (N, columns), as targets of a task."""
    if name == "attributes":
        return (values > 0).float()
    if name == "identity":
        return values[:, 0] - 1  # the file counts from 1
    corner = torch.tensor([LEFT, TOP]).repeat(values.shape[1] // 2)
    # A landmark is the middle of its pixel.
    return ((values - corner + 0.5) / CROP * 2 - 1).float()


def _table(path: Path, has_header: bool) -> Table:
    with reading(path):
        text = path.read_bytes()
        columns: tuple[str, ...] = ()
        if has_header:  # the number of rows, then the names of the columns
            _, names, text = text.split(b"\n", 2)
            columns = tuple(names.decode().split())
        rows = torch.from_numpy(np.loadtxt(BytesIO(text.replace(b".jpg", b"")), dtype=np.int64, ndmin=2))
        return Table(columns, rows[:, 0], rows[:, 1:])
