"""Folders and tables as people have them: what changes, what is odd, what is broken."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from lightning_mtgan import config_files
from lightning_mtgan.__main__ import main as tools
from lightning_mtgan.cli import main
from lightning_mtgan.data import Domains, ImageFolder, Streamed
from lightning_mtgan.data.files.containers import Folder
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change, TaskKind
from tests.conftest import ROOT, SMALL, Train, served
from tests.picture_files import png, quadrants, write_folder


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tasks(root: str, **arguments: Any) -> dict[str, tuple[TaskKind, int, bool]]:
    spec = ImageFolder(root, held_out_share=0, **arguments).spec
    return {task.name: (task.kind, task.size, task.is_complete) for task in spec.tasks}


def with_table(root: Path, count: int, columns: dict[str, list[Any]]) -> list[str]:
    names = write_folder(root, count)
    pyarrow.parquet.write_table(pyarrow.table({"file": names, **columns}), root / "labels.parquet")
    return names


def test_what_is_mended_is_looked_at_anew(tmp_path: Path) -> None:
    write_folder(tmp_path / "own", 8)
    empty = tmp_path / "own" / "cats" / "empty.png"
    for _ in range(2):
        assert len(ImageFolder("own").spec.tasks) == 1
        empty.touch()
        with pytest.raises(UserError, match=r"cats/empty\.png: 0 bytes"):
            _ = ImageFolder("own").spec
        empty.unlink()


def test_a_disk_that_did_not_answer_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "own", 8)
    opened, fails = Folder.open, {"002.png": [1, 0, 1]}  # while headers are read, while files are decoded

    def tired(self: Folder, name: str) -> Any:
        if name.endswith("002.png") and fails["002.png"] and fails["002.png"].pop():
            raise OSError(errno.EIO, "the disk is tired")
        return opened(self, name)

    monkeypatch.setattr(Folder, "open", tired)
    for _ in range(2):
        with pytest.raises(UserError, match=r"cats/002\.png: cannot be read \(the disk is tired\)"):
            _ = ImageFolder("own").spec
    assert len(ImageFolder("own", held_out_share=0).dataset("train")) == 8


@pytest.mark.parametrize("count", [2, 60])
def test_whole_numbers_of_stylegan_are_classes(tmp_path: Path, count: int) -> None:
    names = write_folder(tmp_path / "own", 60)
    labels = [[name, index % count] for index, name in enumerate(names)]
    (tmp_path / "own" / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert tasks("own") == {"class": (TaskKind.CLASSIFICATION, count, True)}


@pytest.mark.parametrize(
    "labels", [[["cats/000.png", 0.5]], [["cats/000.png", [1, 2]], ["dogs/001.png", [1]]], [["cats/000.png"]], 7, "["]
)
def test_bad_labels_of_stylegan_are_refused(tmp_path: Path, labels: Any) -> None:
    write_folder(tmp_path / "own", 4)
    text = "[" * 100_000 if labels == "[" else json.dumps({"labels": labels})
    (tmp_path / "own" / "dataset.json").write_text(text)
    with pytest.raises(UserError, match=r"dataset\.json"):
        _ = ImageFolder("own").spec


def test_labels_of_other_files_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "own", 4)
    (tmp_path / "own" / "dataset.json").write_text(
        json.dumps({"labels": [["img/9.png", 0], ["cats/000.png", 1], ["dogs/001.png", 0]]})
    )
    with pytest.raises(UserError, match=r"img/9\.png: a row of .*dataset\.json, but no such file"):
        _ = ImageFolder("own").spec


def test_columns_as_pandas_writes_them(tmp_path: Path) -> None:
    numbers = [float(i % 3) if i % 4 else None for i in range(40)]
    nan = [float(i % 2) if i % 5 else float("nan") for i in range(40)]
    category = pyarrow.array([("a", "b", "c")[i % 3] for i in range(40)]).dictionary_encode()
    columns = {
        "": list(range(40)),
        "__index_level_0__": list(range(40)),
        "identity": list(range(100, 140)),
        "kind": numbers,
        "flag": nan,
        "category": category,
        "boxes": [[i, i] for i in range(40)],
        "name.with dots": [i / 7 for i in range(40)],
    }
    with_table(tmp_path / "own", 40, columns)  # type: ignore[arg-type]
    assert tasks("own") == {
        "kind": (TaskKind.CLASSIFICATION, 3, False),
        "flag": (TaskKind.ATTRIBUTES, 1, False),
        "category": (TaskKind.CLASSIFICATION, 3, True),
        "name_with_dots": (TaskKind.REGRESSION, 1, True),
    }
    notes = "\n".join(ImageFolder("own").summary().notes)
    assert all(f"column {name} is left out" in notes for name in ("identity", "boxes", "__index_level_0__"))


def test_a_broken_map_is_a_missing_label_and_maps_are_no_images(tmp_path: Path) -> None:
    write_folder(tmp_path / "own", 10)
    (tmp_path / "own" / "masks").mkdir()
    rows = ["file,mask"]
    for index in range(10):
        name = f"masks/m{index}.png"
        (tmp_path / "own" / name).write_bytes(b"broken" if index == 3 else png(16, 20 * index))
        rows.append(f"{index:03d}.png,./{name}" if index % 2 else f"{index:03d}.png,m{index}.png")  # no folders
    (tmp_path / "own" / "masks.csv").write_text("\ufeff" + "\r\n".join(rows))  # as Excel writes it
    data = ImageFolder("own", max_broken_share=0.2, held_out_share=0)
    assert [(task.kind, task.is_complete) for task in data.spec.tasks] == [(TaskKind.DENSE, False)]
    images = data.dataset("train")
    assert len(images) == 10 and int(images.has_target()["mask"].sum()) == 9


def test_tasks_on_different_images_leave_conditions_open(tmp_path: Path) -> None:
    kinds = [("a", "b", "c")[i % 3] if i < 20 else None for i in range(40)]
    sizes = [i / 7 if i >= 19 else None for i in range(40)]
    with_table(tmp_path / "own", 40, {"kind": kinds, "size": sizes})
    spec = ImageFolder("own", held_out_share=0).spec
    assert spec.joint is not None and len(spec.joint["kind"]) == 40  # not the one row that has both
    run = ["--data.root=own", "--data.batch_size=8", "--trainer.max_steps=2", "--name=run", "--runs=runs"]
    assert main([*SMALL, f"--config={ROOT}/conf/images.yaml", *run]) == 0
    generate = ["generate", "--checkpoint=runs/run/version_0/checkpoints/last.ckpt", "--num_images=12"]
    assert tools([*generate, "--condition=kind=b", "--output=made"]) == 0
    cells = [line.split(",") for line in Path("made/conditions.csv").read_text().splitlines()[1:]]
    assert {row[1] for row in cells} == {"1"} and len({row[2] for row in cells}) == 1  # no b has a size
    assert tools([*generate, "--output=open"]) == 0
    assert len({line.split(",", 1)[1] for line in Path("open/conditions.csv").read_text().splitlines()[1:]}) > 4


def test_a_person_says_what_would_make_labels_false(tmp_path: Path) -> None:
    names = with_table(tmp_path / "own", 40, {"kind": [("a", "b", "c")[i % 3] for i in range(40)]})
    (tmp_path / "own" / "masks").mkdir()
    for index in range(40):
        (tmp_path / "own" / "masks" / f"m{index}.png").write_bytes(png(16, 5 * index))
    columns = {"file": names, "kind": [("a", "b", "c")[i % 3] for i in range(40)], "age": [i / 7 for i in range(40)]}
    masks = [f"masks/m{i}.png" for i in range(40)]
    pyarrow.parquet.write_table(pyarrow.table({**columns, "mask": masks}), tmp_path / "own" / "labels.parquet")
    every = set(Change) - {Change.COLOUR}
    for spoiled_by, expected in (
        ({}, {"kind": set(), "age": set(), "mask": every}),
        (
            {"kind": ["flip"], "age": ["colour", "scale"], "mask": ["colour"]},
            {"kind": {Change.FLIP}, "age": {Change.COLOUR, Change.SCALE}, "mask": set(Change)},
        ),
    ):
        spec = ImageFolder("own", held_out_share=0, spoiled_by=spoiled_by).spec  # type: ignore[arg-type]
        assert {task.name: task.spoiled_by for task in spec.tasks} == expected
    with pytest.raises(UserError, match=r"data\.spoiled_by names `years`; the tasks with labels are kind, age, mask"):
        _ = ImageFolder("own", spoiled_by={"years": ["colour"]}).spec
    write_folder(tmp_path / "plain", 8, classes=("all",))
    with pytest.raises(UserError, match=r"data\.spoiled_by names `years`, but no task has labels; leave it away"):
        _ = ImageFolder("plain", spoiled_by={"years": ["colour"]}).spec
    inspect = ["inspect-data", f"--config={ROOT}/conf/images.yaml", "--data.root=own", "--output=data.png"]
    assert tools([*inspect, "--data.spoiled_by.age=[colour, flip]"]) == 0


def test_a_single_folder_on_top_is_passed_over(tmp_path: Path) -> None:
    names = write_folder(tmp_path / "set" / "inner", 8)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "set" / "inner" / name, f"inner/{name}")
    for root in ("set", "packed.zip", "set/"):
        assert tasks(root) == {"class": (TaskKind.CLASSIFICATION, 2, True)}, root
    os.chdir(tmp_path / "set" / "inner")
    assert tasks(".", cache=str(tmp_path / "cache")) == {"class": (TaskKind.CLASSIFICATION, 2, True)}


def test_nothing_lies_beside_folders_of_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_folder(tmp_path / "own" / split, 8)
    quadrants(16).save(tmp_path / "own" / "stray.png")
    with pytest.raises(UserError, match=r"stray\.png lies beside them"):
        _ = ImageFolder("own").spec


def test_a_table_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    write_folder(tmp_path / "own", 8)
    (tmp_path / "secret.csv").write_text("file,secret\n")
    (tmp_path / "own" / "labels.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "own" / "dataset.json").symlink_to(tmp_path / "secret.csv")
    assert tasks("own") == {"class": (TaskKind.CLASSIFICATION, 2, True)}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"file,a,a\ncats/000.png,1,2\n", "several columns called `a`"),
        (b"file;a\ncats/000.png;1\ncats/000.png;2\n", "twice"),
        (b"file,gr\xf6\xdfe\ncats/000.png,1\n", "no UTF-8 text"),
        (b"file,a\ncats/000.png,1e39\ndogs/001.png,2.5\n", "beyond 3e38"),
        (b"file,a\n,1\n,2\n", "names no file"),
        (b"", "labels.csv"),
    ],
)
def test_odd_tables_are_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    write_folder(tmp_path / "own", 4)
    (tmp_path / "own" / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        _ = ImageFolder("own").spec


def test_odd_pictures_are_read_or_named(tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    picture = quadrants(16)
    picture.save(root / "exif.png", exif=b"Exif\x00\x00no tiff at all")
    picture.save(root / "exif.webp", exif=b"Exif\x00\x00no tiff at all", lossless=True)
    Image.fromarray(np.full((16, 16), 200, dtype=np.int32)).save(root / "thirty-two.tif")
    Image.merge("LAB", [picture.convert("L")] * 3).save(root / "lab.tif")
    data = ImageFolder("own", channels=1, held_out_share=0, max_broken_share=0.3)
    names = [data._data.names[row] for row in data.dataset("train").rows.tolist()]
    assert {"exif.png", "exif.webp", "thirty-two.tif"} <= set(names)
    bright = data.dataset("train")[torch.tensor([names.index("thirty-two.tif")])]["image"]
    assert (bright == 200).all()
    assert "lab.tif" in names or any("lab.tif" in problem for problem in data.summary().problems)


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "own", 8)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"data\.cache .* cannot be written \(No space left on device\)"):
        _ = ImageFolder("own").spec
    assert not list(Path("data/cache").glob("store-*/")) and not list(Path("data/cache").glob("*.partial"))


@pytest.mark.parametrize("content", ["[]", "{}", "", '{"problems": 3}'])
def test_a_damaged_store_is_made_again(tmp_path: Path, content: str) -> None:
    write_folder(tmp_path / "own", 8)
    first = ImageFolder("own")
    checksum = first.dataset("train").checksum(7)
    (first._data.store.folder / "store.json").write_text(content)
    assert ImageFolder("own").dataset("train").checksum(7) == checksum


def test_a_run_goes_on_with_data_that_were_moved_and_no_others(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "own", 20)
    arguments = [f"--config={ROOT}/conf/images.yaml", "--data.batch_size=8"]
    run = train(*arguments, "--data.root=own", "--trainer.max_steps=2")
    (tmp_path / "own").rename(tmp_path / "moved")
    goes_on = ["--data.root=moved", "--ckpt_path=last", "--trainer.max_steps=4"]
    assert main([*SMALL, f"--runs={tmp_path}/runs", *arguments, *goes_on]) == 0
    assert "resuming with data.init_args.root = moved" in capsys.readouterr().out
    write_folder(tmp_path / "moved", 24)
    evaluate = ["evaluate", f"--checkpoint={run}/checkpoints/last.ckpt", "--output=figures.json"]
    assert tools(evaluate) == 2
    assert "not what the checkpoint was trained on" in capsys.readouterr().err


def test_other_data_keep_no_arguments_of_the_old() -> None:
    found = config_files.merged([ROOT / "conf" / "images.yaml"], {"data": "lightning_mtgan.data.CIFAR10"})
    assert found["data"] == {"class_path": "lightning_mtgan.data.CIFAR10"}
    assert config_files.split(["--data", "X"])[1] == {"data": "X"}


def test_a_stream_is_written_from_the_command_line() -> None:
    assert tools(["write-stream", f"--config={ROOT}/conf/digits.yaml", "--data.num_images=40", "--output=stream"]) == 0
    assert len(Streamed("stream").dataset("train")) == 40


def test_pairs_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_folder(tmp_path / name, 6, classes=("x",))
        quadrants(16).save(tmp_path / name / "x" / "000.bmp")
    folders = {name: ImageFolder(name, held_out_share=0) for name in ("one", "other")}
    with pytest.raises(UserError, match="one has several images called 000"):
        served(Domains(folders, paired=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inspect-data", "--num_images=0"], "--num_images is 0"),
        (["inspect-data", "--output=."], "--output . is a folder"),
        (
            ["write-stream", "--output=stream", f"--config={ROOT}/tests/two_domains.yaml"],
            "write-stream takes one data set",
        ),
    ],
)
def test_tools_refuse_before_they_work(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tools(arguments) == 2
    assert sentence in capsys.readouterr().err
