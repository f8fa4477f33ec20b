"""The standard data sets, from tiny files in the formats in which they were published, without any network."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import shutil
import socket
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from lightning_mtgan.data import ImageDataModule
from lightning_mtgan.data.standard import (
    CIFAR10,
    CIFAR100,
    KMNIST,
    MNIST,
    STL10,
    SVHN,
    CelebA,
    FashionMNIST,
    StackedMNIST,
)
from lightning_mtgan.data.standard.base import StandardData
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import TaskKind

ALL = (MNIST, FashionMNIST, KMNIST, SVHN, CIFAR10, CIFAR100, STL10, CelebA, StackedMNIST)
FACE_TASKS = ("attributes", "landmarks", "identity")
NUM_FACES = 24

# Images carry their row in a pixel, so that a test can tell which image it was given.
LABELS = {  # of the training rows; MNIST and SVHN are not uniform
    "MNIST": [row % 10 if row < 30 else 7 for row in range(40)],
    "FashionMNIST": [row % 10 for row in range(40)],
    "KMNIST": [row % 10 for row in range(40)],
    "SVHN": sorted(row % 10 if row < 30 else 1 for row in range(40)),
    "CIFAR10": [row % 10 for row in range(40)],
    "fine": [row % 100 for row in range(200)],
    "STL10": sorted(row % 10 for row in range(20)),
}
COARSE = [(7 * fine + 3) % 20 for fine in range(100)]


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_mnist(folder: Path, labels: list[int]) -> None:
    folder.mkdir(parents=True)
    for split, known in (("train", labels), ("t10k", labels[:12])):
        images = np.random.default_rng(0).integers(0, 256, (len(known), 28, 28), dtype=np.uint8)
        images[:, 0, 0] = range(len(known))
        (folder / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(np.array(known, dtype=np.uint8)))


def write_svhn(root: Path) -> None:
    for split, num_images in (("train", 40), ("test", 15)):
        images = np.random.default_rng(1).integers(0, 256, (32, 32, 3, num_images), dtype=np.uint8)
        images[0, 0, 0] = range(num_images)
        labels = np.array(LABELS["SVHN"][:num_images], dtype=np.uint8)
        labels[labels == 0] = 10
        savemat(root / f"{split}_32x32.mat", {"X": images, "y": labels[:, None]}, do_compression=True)


class OldType:
    """How a numpy of 2009 wrote uint8."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


class OldArray:
    """How a numpy of 2009 wrote an array."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        state = (1, self.array.shape, OldType(), False, self.array.tobytes().decode("latin1"))
        return np.zeros(0, dtype=np.uint8).__reduce__()[0], (np.ndarray, (0,), b"b"), state


def write_cifar(folder: Path, rows: dict[str, range], labels: dict[str, list[int]], meta: dict[str, Any]) -> None:
    folder.mkdir()
    for name, some in rows.items():
        pixels = np.random.default_rng(2).integers(0, 256, (len(some), 3072), dtype=np.uint8)
        pixels[:, 0] = some
        content = {key: [every[row] for row in some] for key, every in labels.items()}
        (folder / name).write_bytes(pickle.dumps({"data": OldArray(pixels), **content}, protocol=2))
    (folder / ("batches.meta" if "label_names" in meta else "meta")).write_bytes(pickle.dumps(meta, protocol=2))


def write_stl10(folder: Path) -> None:
    folder.mkdir()
    for split, num_images in (("train", 20), ("test", 10)):
        images = np.zeros((num_images, 3, 96, 96), dtype=np.uint8)
        images[:] = np.arange(num_images, dtype=np.uint8)[:, None, None, None] * 10
        images[:, 2, :48] = 255  # blue in the upper half
        (folder / f"{split}_X.bin").write_bytes(images.swapaxes(2, 3).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes(label + 1 for label in LABELS["STL10"][:num_images]))


def nose(row: int) -> tuple[int, int]:
    return 60 + 2 * row, 140 - 2 * row


def write_celeba(folder: Path) -> None:
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    names = [f"{row + 1:06d}.jpg" for row in range(NUM_FACES)]
    points = []
    for row, name in enumerate(names):
        x, y = nose(row)
        pixels = np.full((218, 178, 3), 4 * row, dtype=np.uint8)
        pixels[y - 4 : y + 5, x - 4 : x + 5] = 255
        Image.fromarray(pixels).save(images / name, quality=95)
        points.append([69, 109, 106, 113, x, y, 73, 152, 108, 154])
    columns = ["lefteye", "righteye", "nose", "leftmouth", "rightmouth"]
    answers = [[1 if (row + column) % 3 == 0 else -1 for column in range(40)] for row in range(NUM_FACES)]

    def table(name: str, header: list[str], rows: list[list[int]]) -> None:
        lines = [f"{len(rows)}\n{' '.join(header)} \n"] if header else []
        lines += [
            f"{file}  {' '.join(f'{value:2d}' for value in row)}\n" for file, row in zip(names, rows, strict=True)
        ]
        (folder / name).write_text("".join(lines))

    table("list_attr_celeba.txt", [f"Trait_{column}" for column in range(40)], answers)
    table("list_landmarks_align_celeba.txt", [f"{name}_{axis}" for name in columns for axis in "xy"], points)
    table("identity_CelebA.txt", [], [[2880 + row % 5] for row in range(NUM_FACES)])
    table("list_eval_partition.txt", [], [[0 if row < 14 else 1 if row < 20 else 2] for row in range(NUM_FACES)])


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every data set; torchvision's tables hold the checksums of these files."""
    root = tmp_path_factory.mktemp("standard")
    packed = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        for kind in (datasets.MNIST, datasets.FashionMNIST, datasets.KMNIST):
            folder = root / kind.__name__ / "raw"
            write_mnist(folder, LABELS[kind.__name__])
            (packed / kind.__name__).mkdir()
            for file in folder.iterdir():
                (packed / kind.__name__ / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            resources = [(name, md5(packed / kind.__name__ / name)) for name, _ in kind.resources]
            patch.setattr(kind, "resources", resources)

        write_svhn(root)
        split_list = {
            split: [f"http://svhn/{split}", f"{split}_32x32.mat", md5(root / f"{split}_32x32.mat")]
            for split in ("train", "test")
        }
        patch.setattr(datasets.SVHN, "split_list", split_list)

        rows = {f"data_batch_{part + 1}": range(8 * part, 8 * part + 8) for part in range(5)}
        names = {"label_names": CIFAR10.labels}
        write_cifar(root / "cifar-10-batches-py", rows | {"test_batch": range(9)}, {"labels": LABELS["CIFAR10"]}, names)
        fine = LABELS["fine"]
        write_cifar(
            root / "cifar-100-python",
            {"train": range(200), "test": range(11)},
            {"fine_labels": fine, "coarse_labels": [COARSE[label] for label in fine]},
            {
                "fine_label_names": [f"thing {label}" for label in range(100)],
                "coarse_label_names": [f"group {label}" for label in range(20)],
            },
        )
        write_stl10(root / "stl10_binary")
        for kind in (datasets.CIFAR10, datasets.CIFAR100, datasets.STL10):
            with tarfile.open(packed / kind.filename, "w:gz") as archive:
                archive.add(root / kind.base_folder, kind.base_folder)
            patch.setattr(kind, "tgz_md5", md5(packed / kind.filename))
            for listed in ("train_list", "test_list"):
                known = [(name, root / kind.base_folder / name) for name, _ in getattr(kind, listed)]
                patch.setattr(kind, listed, [[name, md5(path) if path.exists() else "-"] for name, path in known])
        for kind in (datasets.CIFAR10, datasets.CIFAR100):
            path = root / kind.base_folder / kind.meta["filename"]
            patch.setattr(kind, "meta", kind.meta | {"md5": md5(path)})

        write_celeba(root / "celeba")
        with zipfile.ZipFile(packed / "img_align_celeba.zip", "w") as archive:
            for file in sorted((root / "celeba" / "img_align_celeba").iterdir()):
                archive.write(file, f"img_align_celeba/{file.name}")
        where = {"img_align_celeba.zip": packed} | {path.name: root / "celeba" for path in (root / "celeba").iterdir()}
        file_list = [
            (drive_id, md5(where[name] / name), name)
            for drive_id, _, name in datasets.CelebA.file_list
            if name in where
        ]
        patch.setattr(datasets.CelebA, "file_list", file_list)
        root.joinpath("packed").symlink_to(packed)
        yield root


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def make(kind: type[StandardData], root: Path, **options: Any) -> Any:
    options = {"tasks": FACE_TASKS, **options} if kind is CelebA else options
    return kind(root=str(root), **options)


def everything(data: StandardData, split: str) -> dict[str, Any]:
    images = data.dataset(split)
    return images[torch.arange(len(images))]


@pytest.mark.parametrize("kind", ALL)
def test_every_set_is_what_its_spec_says_and_reads_the_same_bits_twice(kind: type[StandardData], files: Path) -> None:
    data, again = make(kind, files), make(kind, files, seed=5, download=False)
    spec = data.spec
    assert spec == again.spec
    assert spec.image_size == (64 if kind in (STL10, CelebA) else 32)
    assert list(data.splits) == ["train", "reference", "held_out"]
    for split in data.splits:
        images = data.dataset(split)
        assert len(images) > 0
        num_images = min(len(images), 600)
        assert images.checksum(num_images) == again.dataset(split).checksum(num_images)
        batch = images[torch.tensor([3, 0])]
        assert batch["image"].dtype == torch.uint8
        assert batch["image"].shape == (2, spec.num_channels, spec.image_size, spec.image_size)
        assert {name: one.dtype for name, one in batch["targets"].items()} == {
            task.name: torch.int64 if task.kind is TaskKind.CLASSIFICATION else torch.float32 for task in spec.tasks
        }
        for name, one in images.targets().items():
            assert len(one) == len(images)
            assert torch.equal(one[[3, 0]], batch["targets"][name])
    assert data.dataset("train") is data.dataset("reference")
    for task in make_tasks(spec.tasks).values():
        drawn = task.draw(4, torch.Generator().manual_seed(0), torch.device("cpu"))
        assert drawn.shape == batch["targets"][task.name][[0, 0, 0, 0]].shape
        assert not task.spec.labels or len(task.spec.labels) == task.spec.size
        if task.spec.kind is TaskKind.CLASSIFICATION and task.spec.prior:
            assert sum(task.spec.prior[0]) == pytest.approx(1)


@pytest.mark.parametrize("kind", ALL)
def test_every_set_can_be_had_without_tasks_and_in_another_size(kind: type[StandardData], files: Path) -> None:
    data = make(kind, files, image_size=8, tasks=())
    assert (data.spec.image_size, data.spec.tasks, data.spec.joint) == (8, (), None)
    batch = data.dataset("train")[torch.arange(4)]
    assert batch["image"].shape[2:] == (8, 8)
    assert batch["targets"] == {}
    with pytest.raises(UserError, match=r"^data\.image_size is 48; use a power of two: 4, 8, 16, 32, 64 \.\.\.$"):
        make(kind, files, image_size=48)
    with pytest.raises(UserError, match=r"data\.tasks has colour, but the tasks of"):
        make(kind, files, tasks=("colour",))


@pytest.mark.parametrize("kind", ALL)
def test_the_command_line_can_make_every_set(kind: type[StandardData], tmp_path: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ImageDataModule, "data")
    name = f"{kind.__module__}.{kind.__name__}"
    made = parser.instantiate_classes(parser.parse_args([f"--data={name}", f"--data.root={tmp_path}"])).data
    assert made.tasks == ((FACE_TASKS[:1]) if kind is CelebA else kind.known_tasks)
    assert not list(tmp_path.iterdir())  # nothing is read, locked or downloaded before it is needed


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, KMNIST])
def test_mnist_and_its_kin(kind: Any, files: Path) -> None:
    data = make(kind, files)
    found = everything(data, "train")
    labels = torch.tensor(LABELS[kind.__name__])
    assert torch.equal(found["targets"][kind.known_tasks[0]], labels[found["image"][:, 0, 2, 2].long()])
    assert found["image"][:, 0, 2, 2].sort().values.tolist() == list(range(40))
    assert found["image"][:, :, :2].sum() == found["image"][:, :, :, 30:].sum() == 0
    assert len(data.dataset("held_out")) == 12
    (task,) = data.spec.tasks
    assert task.prior == (((*[3 / 40] * 7, 13 / 40, *[3 / 40] * 2),) if kind is MNIST else ())


def test_svhn_counts_from_zero_and_mixes_sorted_rows(files: Path) -> None:
    data = make(SVHN, files)
    found = everything(data, "train")
    digits = found["targets"]["digit"]
    assert torch.equal(digits, torch.tensor(LABELS["SVHN"])[found["image"][:, 0, 0, 0].long()])
    assert digits.tolist() != sorted(digits.tolist())
    assert data.spec.tasks[0].prior == ((3 / 40, 13 / 40, *[3 / 40] * 8),)
    assert len(data.dataset("held_out")) == 15
    assert torch.equal(everything(make(SVHN, files, seed=9), "train")["image"], found["image"])


def test_cifar10(files: Path) -> None:
    data = make(CIFAR10, files)
    found = everything(data, "train")
    assert torch.equal(found["targets"]["object"], torch.tensor(LABELS["CIFAR10"])[found["image"][:, 0, 0, 0].long()])
    first = pickle.loads((files / "cifar-10-batches-py" / "data_batch_1").read_bytes(), encoding="latin1")["data"]
    assert found["image"][found["image"][:, 0, 0, 0] == 3].flatten().tolist() == first[3].tolist()
    assert data.spec.tasks[0].labels == CIFAR10.labels
    assert len(data.dataset("held_out")) == 9


def test_cifar100_knows_the_groups(files: Path) -> None:
    data = make(CIFAR100, files)
    found = everything(data, "train")
    fine, coarse = found["targets"]["fine"], found["targets"]["coarse"]
    assert torch.equal(fine, torch.tensor(LABELS["fine"])[found["image"][:, 0, 0, 0].long()])
    assert torch.equal(coarse, torch.tensor(COARSE)[fine])
    spec = data.spec
    assert [task.size for task in spec.tasks] == [100, 20]
    assert (spec.tasks[0].labels[4], spec.tasks[1].labels[4]) == ("thing 4", "group 4")
    assert spec.joint is not None
    assert spec.joint["fine"].tolist() == list(range(100))
    assert spec.joint["coarse"].tolist() == COARSE
    assert make(CIFAR100, files, tasks=("coarse",)).spec.joint is None
    swapped = make(CIFAR100, files, tasks=("coarse", "fine")).spec.joint
    assert sorted(swapped["fine"].tolist()) == list(range(100))
    assert swapped["coarse"].tolist() == [COARSE[label] for label in swapped["fine"].tolist()]


def test_stl10_stands_upright(files: Path) -> None:
    data = make(STL10, files)
    found = everything(data, "train")
    row = (found["image"][:, 0, 0, 0] / 10).long()
    assert torch.equal(found["targets"]["object"], torch.tensor(LABELS["STL10"])[row])
    assert bool((found["image"][:, 2, :28] == 255).all())
    assert torch.equal(found["image"][:, 2, 36:], found["image"][:, 0, 36:])
    assert len(data.dataset("held_out")) == 10


def test_smaller_images_are_what_pillow_makes_of_them(files: Path) -> None:
    large, small = (everything(make(SVHN, files, image_size=size), "train")["image"] for size in (32, 16))
    for one, other in zip(large, small, strict=True):
        wanted = Image.fromarray(one.movedim(0, 2).numpy()).resize((16, 16), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(wanted).astype(int) - other.movedim(0, 2).numpy()).max() <= 1


def test_celeba_splits_labels_and_priors(files: Path) -> None:
    data = make(CelebA, files)
    spec = data.spec
    attributes, landmarks, identity = spec.tasks
    assert [task.kind for task in spec.tasks] == [TaskKind.ATTRIBUTES, TaskKind.REGRESSION, TaskKind.CLASSIFICATION]
    assert [task.size for task in spec.tasks] == [40, 10, 10_177]
    assert (attributes.labels[3], landmarks.labels[4]) == ("Trait_3", "nose_x")
    for split, rows in (("train", range(14)), ("held_out", range(14, 20))):
        found = everything(data, split)
        row = (found["image"][:, 0, 0, 0].float() / 4).round().long()
        assert sorted(row.tolist()) == list(rows)
        assert torch.equal(found["targets"]["attributes"], ((row[:, None] + torch.arange(40)) % 3 == 0).float())
        assert torch.equal(found["targets"]["identity"], 2879 + row % 5)
    assert [odds for (odds,) in attributes.prior[:3]] == pytest.approx([5 / 14, 4 / 14, 5 / 14])
    assert sum(odds > 0 for odds in identity.prior[0]) == 5
    assert len(landmarks.prior) == 10
    assert spec.joint is not None
    assert {name: tuple(one.shape) for name, one in spec.joint.items()} == {
        "attributes": (14, 40),
        "landmarks": (14, 10),
        "identity": (14,),
    }
    assert make(CelebA, files, tasks=("identity",)).spec.joint is None


def test_landmarks_lie_on_the_cropped_image(files: Path) -> None:
    found = everything(make(CelebA, files, image_size=128), "train")
    bright = (found["image"][:, 0] > 160).double()
    middles = (torch.arange(128) + 0.5) / 64 - 1
    mass = bright.sum(dim=(1, 2))
    assert torch.allclose(
        (bright.sum(1) @ middles.double()) / mass, found["targets"]["landmarks"][:, 4].double(), atol=0.01
    )
    assert torch.allclose(
        (bright.sum(2) @ middles.double()) / mass, found["targets"]["landmarks"][:, 5].double(), atol=0.01
    )


def test_stacked_mnist_follows_its_protocol(files: Path) -> None:
    data = make(StackedMNIST, files)
    stacks = data.dataset("train")
    assert len(stacks) == 128_000
    batch = stacks[torch.arange(2_000)]
    rows = batch["image"][:, :, 2, 2].long()
    labels = torch.tensor(LABELS["MNIST"])
    for channel, name in enumerate(("red", "green", "blue")):
        assert torch.equal(batch["targets"][name], labels[rows[:, channel]])
    single = everything(make(MNIST, files), "train")["image"]
    single = single[single[:, 0, 2, 2].argsort()]
    assert torch.equal(batch["image"], single[rows, 0])
    known = stacks.targets()
    assert len((known["red"] * 100 + known["green"] * 10 + known["blue"]).unique()) == 1_000
    assert torch.equal(make(StackedMNIST, files, seed=3).dataset("train").choice, stacks.choice)
    assert not torch.equal(data.dataset("held_out").choice[:100], stacks.choice[:100])
    assert list(make(StackedMNIST, files, tasks=("blue",)).dataset("train")[torch.arange(2)]["targets"]) == ["blue"]
    assert data.spec.joint is None
    assert data.spec.tasks[0].prior == make(MNIST, files).spec.tasks[0].prior


IDX = "train-images-idx3-ubyte{0}, train-labels-idx1-ubyte{0}, t10k-images-idx3-ubyte{0}, t10k-labels-idx1-ubyte{0}"
IDX_NEEDS = ("{0}/raw", IDX.format(""), IDX.format(".gz"), "{0}/raw")
NEEDS: dict[type[StandardData], tuple[str, str, str, str]] = {
    MNIST: tuple(part.replace("{0}", "MNIST") for part in IDX_NEEDS),  # type: ignore[dict-item]
    FashionMNIST: tuple(part.replace("{0}", "FashionMNIST") for part in IDX_NEEDS),  # type: ignore[dict-item]
    KMNIST: tuple(part.replace("{0}", "KMNIST") for part in IDX_NEEDS),  # type: ignore[dict-item]
    StackedMNIST: tuple(part.replace("{0}", "MNIST") for part in IDX_NEEDS),  # type: ignore[dict-item]
    SVHN: (".", "train_32x32.mat, test_32x32.mat", "train_32x32.mat, test_32x32.mat", "."),
    CIFAR10: (
        "cifar-10-batches-py",
        "data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5, test_batch, batches.meta",
        "cifar-10-python.tar.gz",
        ".",
    ),
    CIFAR100: ("cifar-100-python", "train, test, meta", "cifar-100-python.tar.gz", "."),
    STL10: ("stl10_binary", "train_X.bin, train_y.bin, test_X.bin, test_y.bin", "stl10_binary.tar.gz", "."),
    CelebA: (
        "celeba",
        "img_align_celeba, list_attr_celeba.txt, identity_CelebA.txt, list_landmarks_align_celeba.txt, "
        "list_eval_partition.txt",
        "img_align_celeba.zip, list_attr_celeba.txt, identity_CelebA.txt, list_landmarks_align_celeba.txt, "
        "list_eval_partition.txt",
        "celeba",
    ),
}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("download", [True, False])
def test_without_files_and_network_one_sentence_says_what_to_do(
    kind: type[StandardData], download: bool, files: Path, tmp_path: Path
) -> None:
    root = tmp_path / "sets"
    data = make(kind, root, download=download)
    with pytest.raises(UserError) as caught:
        data.dataset("train")
    where, lacking, wanted, folder = NEEDS[kind]
    title = "MNIST" if kind is StackedMNIST else kind.title
    sentence = str(caught.value)
    assert sentence.startswith(f"{title}: {root / where} lacks {lacking}, and ")
    assert sentence.endswith(f"; put {wanted} into {root / folder} (data.root is {root})")
    reason = sentence.split(", and ")[1].split("; put")[0]
    if not download:
        assert reason == "data.download is false"
        assert not root.exists()
    elif kind is CelebA:
        assert reason.startswith("the download failed (")
    else:
        assert reason == "the download failed (<urlopen error no network>)"


def test_images_that_need_no_labels_need_no_tables(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "celeba" / "img_align_celeba", tmp_path / "celeba" / "img_align_celeba")
    shutil.copy(files / "celeba" / "list_eval_partition.txt", tmp_path / "celeba")
    assert len(make(CelebA, tmp_path, tasks=()).dataset("train")) == 14


DAMAGED = [
    (SVHN, "test_32x32.mat"),
    (CIFAR10, "cifar-10-batches-py/data_batch_3"),
    (CIFAR100, "cifar-100-python/meta"),
    (STL10, "stl10_binary/train_X.bin"),
    (CelebA, "celeba/list_landmarks_align_celeba.txt"),
]


@pytest.mark.parametrize(("kind", "name"), DAMAGED)
def test_a_damaged_file_is_named(kind: type[StandardData], name: str, files: Path, tmp_path: Path) -> None:
    root = tmp_path / "sets"
    shutil.copytree(files, root, ignore=shutil.ignore_patterns("packed", "MNIST", "KMNIST", "FashionMNIST"))
    content = bytearray((root / name).read_bytes())
    content[-1] ^= 1
    (root / name).write_bytes(content)
    path = root / name
    with pytest.raises(UserError) as caught:
        make(kind, root, download=False).dataset("train")
    expected = (
        f"{kind.title}: {path.name} in {path.parent} is damaged (wrong MD5 sum), and data.download is false; put "
    )
    assert str(caught.value).startswith(expected)
    assert str(caught.value).endswith(f"(data.root is {root})")


def test_half_a_file_of_mnist_is_named(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "MNIST", tmp_path / "MNIST")
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=f"^{path} is damaged .*data.download.*data.root") as caught:
        make(MNIST, tmp_path).dataset("train")
    assert "\n" not in str(caught.value)


def test_images_of_celeba_that_are_missing_or_no_images_are_named(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "celeba", tmp_path / "celeba")
    folder = tmp_path / "celeba" / "img_align_celeba"
    (folder / "000003.jpg").write_bytes(b"no image")
    Image.new("RGB", (100, 100)).save(folder / "000005.jpg")
    images = make(CelebA, tmp_path).dataset("train")
    for number, words in ((3, "is damaged .*cannot identify"), (5, r"is damaged \(100 x 100 pixels, not 178 x 218\)")):
        with pytest.raises(UserError, match=f"{number:06d}.jpg {words}"):
            images[(images.numbers == number).nonzero()[:, 0]]
    (folder / "000007.jpg").unlink()
    with pytest.raises(UserError, match=r"lacks 1 images, the first is 000007\.jpg; .*\(data\.root is "):
        make(CelebA, tmp_path).dataset("train")


@pytest.mark.parametrize("kind", [MNIST, CIFAR10, CIFAR100, STL10])
def test_archives_are_unpacked_without_a_download(kind: type[StandardData], files: Path, tmp_path: Path) -> None:
    if kind is MNIST:
        shutil.copytree(files / "packed" / "MNIST", tmp_path / "MNIST" / "raw")
    else:
        name = {CIFAR10: "cifar-10-python", CIFAR100: "cifar-100-python", STL10: "stl10_binary"}[kind]
        shutil.copy(files / "packed" / f"{name}.tar.gz", tmp_path)
    data, known = make(kind, tmp_path, download=False), make(kind, files)
    assert torch.equal(everything(data, "train")["image"], everything(known, "train")["image"])
    assert not list(tmp_path.rglob(".unpacking*"))


def test_the_archive_of_celeba_is_unpacked_and_a_damaged_one_is_named(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "celeba", tmp_path / "celeba", ignore=shutil.ignore_patterns("img_align_celeba"))
    archive = tmp_path / "celeba" / "img_align_celeba.zip"
    archive.write_bytes(b"half of it")
    with pytest.raises(
        UserError, match=r"lacks img_align_celeba and img_align_celeba\.zip in .* is damaged \(wrong MD5"
    ):
        make(CelebA, tmp_path, download=False).dataset("train")
    shutil.copy(files / "packed" / archive.name, archive)
    assert len(make(CelebA, tmp_path, download=False).dataset("train")) == 14


class Answer(io.BytesIO):
    """What a server sends."""

    def __init__(self, url: str, content: bytes) -> None:
        super().__init__(content)
        self.url, self.length = url, len(content)


def test_processes_that_begin_at_once_download_once(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def serve(request: urllib.request.Request) -> Answer:
        time.sleep(0.01)  # so that all have begun before the first file is there
        name = request.full_url.rsplit("/", 1)[1]
        if request.get_method() == "GET" and not request.headers.get("Method"):
            sent.append(name)
        return Answer(request.full_url, (files / "packed" / "MNIST" / name).read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", serve)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(make(MNIST, tmp_path).source().provide, tmp_path, True) for _ in range(4)]
    assert not any(one.exception() for one in waiting)
    downloaded, known = make(MNIST, tmp_path, download=False), make(MNIST, files)
    assert downloaded.dataset("train").checksum(40) == known.dataset("train").checksum(40)
    assert len(sent) == 4
    assert not socket.getdefaulttimeout()
