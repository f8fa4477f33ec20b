from __future__ import annotations

import json
import os
import resource
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from lightning_mtgan.__main__ import main as tools
from lightning_mtgan.cli import main
from lightning_mtgan.data import Domains, ImageDataModule, ImageFolder
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import MeanColour
from lightning_mtgan.types import DataSpec, TaskKind
from tests.conftest import ROOT, SMALL, Train, served
from tests.launch import SERVER
from tests.picture_files import png, quadrants, write_bomb, write_folder, write_kinds


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the cache lies in data/cache below


def everything(data: ImageFolder) -> dict[str, torch.Tensor]:
    """The image of each training file by its name."""
    images, names = data.dataset("train"), data._data.names
    batch = images[torch.arange(len(images))]["image"]
    return {names[int(row)]: batch[place] for place, row in enumerate(images.rows)}


def test_every_kind_of_file_shows_the_same_picture(tmp_path: Path) -> None:
    seen = write_kinds(tmp_path / "kinds")
    data = ImageFolder(str(tmp_path / "kinds"), held_out_share=0)
    assert data.spec.image_size == 32 and data.spec.num_channels == 3 and not data.spec.tasks
    images = everything(data)
    assert images.keys() == seen.keys()
    for name, colour in seen.items():
        corner = images[name][:, 2:12, 2:12].float().mean((1, 2))
        assert (corner - torch.tensor(colour)).abs().max() < 6, name
        assert (images[name][:, 20:, 20:].float() - 90).abs().max() < 12, name


def test_grey_images_stay_grey_and_one_in_colour_makes_all_colour(tmp_path: Path) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    for value in range(6):
        (folder / f"{value}.png").write_bytes(png(16, 10 * value))
    assert ImageFolder(str(folder)).spec.num_channels == 1
    quadrants(16).save(folder / "colour.png")
    assert ImageFolder(str(folder)).spec.num_channels == 3
    assert ImageFolder(str(folder), channels=1).spec.num_channels == 1


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_how_images_are_made_square(tmp_path: Path, fit: str) -> None:
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[:, :16], pixels[:, 16:48], pixels[:, 48:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    (tmp_path / "wide").mkdir()
    for shade in range(2):
        Image.fromarray(pixels - np.uint8(shade) * (pixels > 0)).save(tmp_path / "wide" / f"{shade}.png")
    data = ImageFolder(str(tmp_path / "wide"), fit=fit, image_size=32, held_out_share=0)  # type: ignore[arg-type]
    image = everything(data)["0.png"]
    corners = {"crop": (0, 255, 0), "stretch": (255, 0, 0), "pad": (255, 255, 255)}
    assert tuple(image[:, 1, 1].tolist()) == corners[fit]
    assert tuple(image[:, 16, 16].tolist()) == (0, 255, 0)


def write_hostile(root: Path) -> dict[str, str]:
    """A folder of nasty things; returns what the report should say of each."""
    write_folder(root, 20)
    picture = quadrants()
    picture.save(root / "cats" / "truncated.jpg")
    whole = (root / "cats" / "truncated.jpg").read_bytes()
    (root / "cats" / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "cats" / "empty.png").touch()
    (root / "cats" / "text.png").write_text("this is no picture")
    (root / "dogs" / "dot.png").write_bytes(png(1))
    Image.new("RGB", (20_000, 30), (9, 8, 7)).save(root / "dogs" / "panorama.png")
    write_bomb(root / "dogs" / "bomb.png")
    (root / "dogs" / "loop").symlink_to(root, target_is_directory=True)
    (root / "dogs" / "away").symlink_to("/etc", target_is_directory=True)
    (root / "dogs" / "nowhere.png").symlink_to(root / "gone.png")
    os.mkfifo(root / "dogs" / "pipe.png")
    negative = np.full((16, 16), -5, dtype=np.int32)
    Image.fromarray(negative).save(root / "cats" / "negative.tif")
    return {
        "cats/truncated.jpg": "cannot be decoded",
        "cats/empty.png": "0 bytes",
        "cats/text.png": "not an image",
        "dogs/dot.png": "max_enlargement",
        "dogs/panorama.png": "max_aspect_ratio",
        "dogs/bomb.png": "bomb",
        "dogs/loop": "leads back",
        "dogs/away": "symbolic link",
        "dogs/nowhere.png": "leads nowhere",
        "dogs/pipe.png": "not a regular file",
        "cats/negative.tif": "8 or 16 bits",
    }


def test_a_hostile_folder_is_refused_and_each_file_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = write_hostile(tmp_path / "hostile")
    strange = os.fsencode(tmp_path / "hostile" / "cats") + b"/na\xefve.png"
    with Path(os.fsdecode(strange)).open("wb") as file:
        file.write(png(16, 77))
    assert main([f"--config={ROOT}/conf/images.yaml", "--data.root=hostile"]) == 2
    refusal = capsys.readouterr().err
    assert "11 of 32 files cannot be used" in refusal and "max_broken_share" in refusal
    listed = Path(next(word for word in refusal.replace(".txt.", ".txt").split() if word.endswith(".txt"))).read_text()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = ImageFolder("hostile", max_broken_share=0.5)
    summary = data.summary()
    for name, reason in reasons.items():
        assert any(line.startswith(name) and reason in line for line in summary.problems), (name, summary.problems)
        assert name in listed
    assert any("na\\xefve.png" in note and "UTF-8" in note for note in summary.notes)
    assert len(everything(data)) + len(data.dataset("held_out")) == 21
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB; the bomb would be 2.7 GB


def test_links_are_followed_on_request_but_never_in_circles(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", 6)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "cats").symlink_to(tmp_path / "elsewhere" / "cats", target_is_directory=True)
    (tmp_path / "links" / "dogs").symlink_to(tmp_path / "elsewhere" / "dogs", target_is_directory=True)
    with pytest.raises(UserError, match="follow_links"):
        _ = ImageFolder("links").spec
    (tmp_path / "elsewhere" / "cats" / "loop").symlink_to(tmp_path / "links", target_is_directory=True)
    data = ImageFolder("links", follow_links=True, max_broken_share=0.5, held_out_share=0)
    assert len(data.dataset("train")) == 6 and data.spec.tasks[0].labels == ("cats", "dogs")
    assert [line.split(":")[0] for line in data.summary().problems] == ["cats/loop"]


def test_a_zip_archive_is_read_where_it_lies(tmp_path: Path) -> None:
    names = write_folder(tmp_path / "folder", 12)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "folder" / name, name)
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    packed, loose = ImageFolder("images.zip"), ImageFolder("folder")
    assert packed.spec == loose.spec and packed.dataset("train").checksum(10) == loose.dataset("train").checksum(10)
    assert {path for path in tmp_path.rglob("*") if "cache" not in path.parts} == before | {tmp_path / "data"}


def test_a_hostile_archive_touches_nothing_outside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for value in range(8):
            archive.writestr(f"{value}.png", png(16, value))
        archive.writestr("../../escape.png", png(16, 99))
        archive.writestr("/absolute.png", png(16, 98))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("empty.png", b"")
    data = ImageFolder("bad.zip", max_broken_share=0.9, held_out_share=0)
    assert len(data.dataset("train")) == 8
    reasons = {line.split(":")[0]: line for line in data.summary().problems}
    assert reasons.keys() == {"../../escape.png", "/absolute.png", "link.png", "empty.png"}
    assert not list(tmp_path.parent.glob("escape.png"))
    (tmp_path / "none.zip").write_bytes(b"PK no")
    with pytest.raises(UserError, match=r"none\.zip is no zip archive"):
        _ = ImageFolder("none.zip").spec


TABLE = {
    "file": pyarrow.array([f"cats/{i:03d}.png" if i % 2 == 0 else f"dogs/{i:03d}.png" for i in range(30)]),
    "smile": pyarrow.array([bool(i % 3 == 0) if i % 7 else None for i in range(30)]),
    "side": pyarrow.array(["left" if i % 4 else "right" for i in range(30)]),
    "number": pyarrow.array([i % 5 if i != 4 else None for i in range(30)], type=pyarrow.int64()),
    "style": pyarrow.array([("oil", "ink", "a/b")[i % 3] for i in range(30)]),
    "age": pyarrow.array([float(i) + 0.5 if i != 3 else None for i in range(30)]),
    "year": pyarrow.array([1900 + 2 * i for i in range(30)]),
    "mask": pyarrow.array([f"masks/{i:03d}.png" if i != 5 else None for i in range(30)]),
    "type": pyarrow.array([i % 3 for i in range(30)]),
    "caption": pyarrow.array([f"image number {i}" for i in range(30)]),
    "same": pyarrow.array([1] * 30),
}


def write_table(root: Path, ending: str) -> None:
    write_folder(root, 30)
    (root / "masks").mkdir()
    for index in set(range(30)) - {5}:
        pixels = np.zeros((16, 16), dtype=np.uint8)
        pixels[: index % 16 + 1] = 255
        Image.fromarray(pixels).save(root / "masks" / f"{index:03d}.png")
    table = pyarrow.table(TABLE)
    if ending == "parquet":
        pyarrow.parquet.write_table(table, root / "labels.parquet")
    else:
        lines = [",".join(table.column_names)]
        lines += [",".join("" if v is None else str(v) for v in row.values()) for row in table.to_pylist()]
        (root / "labels.csv").write_text("\n".join(lines) + "\n")


def kinds(spec: DataSpec) -> dict[str, tuple[TaskKind, int]]:
    return {task.name: (task.kind, task.size) for task in spec.tasks}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tasks_follow_from_a_table(tmp_path: Path, ending: str) -> None:
    write_table(tmp_path / "table", ending)
    data = ImageFolder("table", held_out_share=0)
    spec = data.spec
    assert kinds(spec) == {
        "smile": (TaskKind.ATTRIBUTES, 1),
        "side": (TaskKind.ATTRIBUTES, 1),
        "number": (TaskKind.CLASSIFICATION, 5),
        "style": (TaskKind.CLASSIFICATION, 3),
        "age": (TaskKind.REGRESSION, 1),
        "year": (TaskKind.CLASSIFICATION, 30),
        "mask": (TaskKind.DENSE, 1),
        "type_": (TaskKind.CLASSIFICATION, 3),
    }
    complete = {task.name: task.is_complete for task in spec.tasks}
    assert complete == {name: name not in ("smile", "number", "age", "mask") for name in complete}
    notes = "\n".join(data.summary().notes)
    assert "caption is left out: 30 different texts" in notes and "same is left out" in notes and "type_" in notes
    assert next(task for task in spec.tasks if task.name == "style").labels == ("a_b", "ink", "oil")

    images, names = data.dataset("train"), data._data.names
    assert len(images) == 30  # masks are no images
    targets = images[torch.arange(30)]["targets"]
    for place, row in enumerate(images.rows.tolist()):
        index = int(Path(names[row]).stem)
        assert targets["number"][place] == (index % 5 if index != 4 else -1)
        assert targets["smile"][place, 0].isnan() if index % 7 == 0 else targets["smile"][place, 0] == (index % 3 == 0)
        assert targets["age"][place, 0].isnan() if index == 3 else targets["age"][place, 0] == index + 0.5
        mask = targets["mask"][place, 0]
        assert (mask == -1).all() if index == 5 else (mask > 127).sum() == 16 * (index % 16 + 1)
    assert spec.joint is not None and all(len(rows) == len(spec.joint["mask"]) for rows in spec.joint.values())
    assert all((rows >= 0).all() for rows in spec.joint.values())


def test_kinds_are_overridden_by_name(tmp_path: Path) -> None:
    write_table(tmp_path / "table", "csv")
    data = ImageFolder(
        "table",
        kinds={"year": "regression", "smile": "ignore", "caption": "classification", "side": "classification"},
        constraints={"tint": MeanColour()},
    )
    found = kinds(data.spec)
    assert found["year"] == (TaskKind.REGRESSION, 1) and "smile" not in found
    assert found["side"] == (TaskKind.CLASSIFICATION, 2) and found["caption"] == (TaskKind.CLASSIFICATION, 30)
    assert found["tint"] == (TaskKind.CONSTRAINT, 3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kinds": {"years": "regression"}}, "data.kinds names `years`; the columns of .* are smile"),
        ({"kinds": {"style": "regression"}}, "column style of .* cannot be a regression"),
        ({"kinds": {"style": "dense"}}, "column style of .* is dense, but there is no image oil"),
        ({"table": "other.csv"}, "data.table other.csv"),
        ({"root": "nothing"}, r"data\.root is nothing \(.*\), where there is nothing"),
        ({"image_size": 3}, "data.image_size is 3"),
        ({"max_broken_share": 1.5}, "data.max_broken_share is 1.5"),
        ({"background": (0, 0, 300)}, "data.background"),
        ({"constraints": {"style": MeanColour()}}, "data.constraints.style"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    write_table(tmp_path / "table", "csv")
    with pytest.raises(UserError, match=sentence):
        _ = ImageFolder(**{"root": "table", **change}).spec  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,age\na,1\n", "has no column of file names"),
        ("file,age\ncats/000.png,1\ncats/000.png,2\n", "twice \\(rows 1 and 2\\)"),
        ("file,age\ncats/000.png,1\ncats/999.png,2\n", "cats/999.png: a row of .*, but no such file"),
        ("file,age\ncats/000.png,1,2\n", "cannot be read"),
        ("file,age\ncats/000.png,inf\ndogs/001.png,2.5\n", "infinite"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    write_folder(tmp_path / "folder", 6)
    (tmp_path / "folder.csv").write_text(text)  # beside the folder
    with pytest.raises(UserError, match=sentence):
        _ = ImageFolder("folder").spec


def test_labels_as_stylegan_keeps_them(tmp_path: Path) -> None:
    names = write_folder(tmp_path / "style", 10, classes=("00000",))
    labels = [[name, index % 3] for index, name in enumerate(names)]
    with zipfile.ZipFile(tmp_path / "style.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "style" / name, name)
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    data = ImageFolder("style.zip", held_out_share=0)
    assert kinds(data.spec) == {"class": (TaskKind.CLASSIFICATION, 3)}
    images = data.dataset("train")
    by_name = {
        data._data.names[row]: int(t) for row, t in zip(images.rows.tolist(), images.labels["class"], strict=True)
    }
    assert by_name == dict(labels)


def test_folders_of_splits_are_no_classes(tmp_path: Path) -> None:
    write_folder(tmp_path / "data_set" / "train", 12)
    write_folder(tmp_path / "data_set" / "val", 8, size=18)
    data = ImageFolder("data_set")
    assert kinds(data.spec) == {"class": (TaskKind.CLASSIFICATION, 2)}
    assert (len(data.dataset("train")), len(data.dataset("held_out"))) == (12, 8)


def test_copies_are_reported_and_stay_on_one_side(tmp_path: Path) -> None:
    write_folder(tmp_path / "copies", 20)
    for copy in range(15):
        (tmp_path / "copies" / "cats" / f"copy{copy:02d}.png").write_bytes(
            (tmp_path / "copies" / "cats" / "002.png").read_bytes()
        )
    data = ImageFolder("copies", held_out_share=0.3)
    notes = [note for note in data.summary().notes if "the same image as cats/002.png" in note]
    assert len(notes) == 15
    sides = [name for name in ("train", "held_out") if any(map(is_copy(data), data.dataset(name).rows.tolist()))]
    assert len(sides) == 1


def is_copy(data: ImageFolder) -> object:
    return lambda row: "copy" in data._data.names[row] or "002" in data._data.names[row]


def test_a_class_with_few_images_is_warned_of(tmp_path: Path) -> None:
    write_folder(tmp_path / "few", 30)
    write_folder(tmp_path / "few", 2, classes=("rare", "dogs"))
    assert any("few images of rare (1)" in note for note in ImageFolder("few", held_out_share=0).summary().notes)


def test_the_store_is_kept_until_a_file_changes_and_made_again_when_damaged(tmp_path: Path) -> None:
    write_folder(tmp_path / "kept", 12)
    first = ImageFolder("kept")
    checksum, folder = first.dataset("train").checksum(10), first._data.store.folder
    stamp = (folder / "image.npy").stat().st_mtime_ns
    assert ImageFolder("kept").dataset("train").checksum(10) == checksum
    assert (folder / "image.npy").stat().st_mtime_ns == stamp
    content = bytearray((folder / "image.npy").read_bytes())
    content[-1] ^= 255
    (folder / "image.npy").write_bytes(content)
    assert ImageFolder("kept").dataset("train").checksum(10) == checksum
    quadrants(16).save(tmp_path / "kept" / "cats" / "000.png")
    assert ImageFolder("kept")._data.store.folder != folder


def build(folder: Path) -> None:
    os.chdir(folder)
    (folder / str(os.getpid())).write_text(ImageFolder("many").dataset("train").checksum(20))


def test_several_processes_build_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where the server of processes finds its modules
    write_folder(tmp_path / "many", 40)
    started = [SERVER.Process(target=build, args=(tmp_path,)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert len({(tmp_path / str(process.pid)).read_text() for process in started}) == 1
    assert len([path for path in (tmp_path / "data" / "cache").glob("store-*") if path.is_dir()]) == 1


@pytest.mark.parametrize("what", ["classes", "table"])
def test_training_starts_with_two_flags(tmp_path: Path, train: Train, what: str) -> None:
    if what == "classes":
        write_folder(tmp_path / "own", 40)
    else:
        write_table(tmp_path / "own", "csv")
    run = train(f"--config={ROOT}/conf/images.yaml", "--data.root=own", "--data.batch_size=8", "--trainer.max_steps=4")
    assert (run / "checkpoints" / "last.ckpt").is_file()
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    tasks = {"class"} if what == "classes" else {"smile", "side", "number", "style", "age", "mask", "type_"}
    assert {f"loss/generator/{name}" for name in tasks} <= set(header)
    if what == "table":
        generated = tmp_path / "generated"
        checkpoint = run / "checkpoints" / "last.ckpt"
        mask = tmp_path / "own" / "masks" / "007.png"
        asked = ["--condition=style=oil", f"--condition=mask={mask}", "--num_images=4"]
        assert tools(["generate", f"--checkpoint={checkpoint}", f"--output={generated}", *asked]) == 0
        assert len(list(generated.glob("0*.png"))) == 4


def test_images_may_stay_on_the_device_or_in_the_mapped_file(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageDataModule, "keeps_images_on", lambda self, device: True)  # as on a GPU
    write_table(tmp_path / "own", "csv")
    arguments = [f"--config={ROOT}/conf/images.yaml", "--data.root=own", "--data.batch_size=8", "--trainer.max_steps=4"]
    contents = []
    for number, mib in enumerate((1024, 0)):
        run = train(*arguments, f"--data.device_mib={mib}", runs=f"runs{number}")
        contents.append(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(contents[0][key], contents[1][key]) for key in contents[0])
    batches = []
    for mib in (1024, 0):
        domains: dict[str, ImageDataModule] = {
            "kept": ImageFolder("own", device_mib=mib),
            "mapped": ImageFolder("own", device_mib=0),
        }
        batches.append(next(served(Domains(domains, paired=True)))["domains"])
    for batch in batches:
        assert torch.equal(batch["kept"]["image"], batches[0]["mapped"]["image"])
        assert torch.equal(batch["kept"]["targets"]["mask"], batches[0]["mapped"]["targets"]["mask"])


@pytest.mark.parametrize("workers", [0, 2])
def test_two_ranks_see_every_image_once_in_an_epoch(tmp_path: Path, workers: int) -> None:
    write_folder(tmp_path / "own", 48)
    shown: list[bytes] = []
    for rank in range(2):
        data = ImageFolder("own", held_out_share=0, batch_size=12, num_workers=workers, device_mib=0)
        loader = served(data, rank=rank, ranks=2)
        for _ in range(4):
            shown += [image.numpy().tobytes() for image in next(loader)["image"]]
        go_on = next(loader)["image"]  # the next epoch, in another order
        resumed = served(data, step=4, rank=rank, ranks=2)
        assert torch.equal(next(resumed)["image"], go_on)
    images = data.dataset("train")
    assert sorted(shown) == sorted(image.numpy().tobytes() for image in images[torch.arange(48)]["image"])


def test_a_run_does_not_go_on_with_other_images(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path / "own", "csv")
    arguments = [f"--config={ROOT}/conf/images.yaml", "--data.root=own", "--data.batch_size=8"]
    train(*arguments, "--trainer.max_steps=2")
    again = [*SMALL, *arguments, f"--runs={tmp_path}/runs", "--ckpt_path=last", "--trainer.max_steps=4"]
    table = tmp_path / "own" / "labels.csv"
    text = table.read_text()
    table.write_text(text.replace("oil", "pastel", 1))
    assert main(again) == 2
    table.write_text(text.replace("4.5", "5.5", 1))
    assert main(again) == 2
    assert (
        "data.root own is not what the checkpoint was trained on: 27 training images then, 27 now"
        in capsys.readouterr().err
    )
    table.write_text(text)
    assert main(again) == 0


def test_inspecting_shows_everything_and_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "own", "csv")
    (tmp_path / "own" / "cats" / "empty.png").touch()
    arguments = ["inspect-data", f"--config={ROOT}/conf/images.yaml", "--data.root=own", "--output=look.png"]
    assert tools(arguments) == 2
    output = capsys.readouterr()
    assert "cats/empty.png: 0 bytes" in output.out and "data.max_broken_share to 0.04" in output.err
    assert tools([*arguments, "--data.max_broken_share=0.1"]) == 0
    output = capsys.readouterr()
    assert "classification, 5 classes" in output.out and not (tmp_path / "runs").exists()
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.width > 8 * 128  # each image beside its mask
    assert tools(["inspect-data", "--config=conf/nothing.yaml"]) == 2
    assert tools(["generate", "--checkpoint=x", "--wrong=1"]) == 2
