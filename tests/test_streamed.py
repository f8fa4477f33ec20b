"""Images that are streamed: each once in an epoch, in an order that goes on where it was stopped."""

from __future__ import annotations

import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from lightning_mtgan.cli import main
from lightning_mtgan.data import Digits, ImageDataModule, IndexedImages
from lightning_mtgan.data.streams import Streamed, write_stream
from lightning_mtgan.data.streams.lanes import LaneBatches, LaneOrder
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec, TaskKind, TaskSpec
from tests.conftest import ROOT, SMALL, Train, farthest, newest_run, saboteur, weights
from tests.test_resume import Launch, seen


class NumberedImages(IndexedImages):
    """Image k is full of k, and every kind of target says k, too."""

    def __init__(self, num_images: int) -> None:
        self.num_images = num_images

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        targets = {
            "label": indices,
            "size": torch.stack([indices.float(), torch.full_like(indices, torch.nan, dtype=torch.float32)], dim=1),
            "map": indices.to(torch.int16)[:, None, None, None].expand(-1, 1, 4, 4) - 1,
        }
        return {"image": indices.to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8), "targets": targets}


class Numbered(ImageDataModule):
    splits = {"train": "numbers", "reference": "the same numbers", "held_out": "none"}

    def __init__(self, num_images: int = 197) -> None:
        super().__init__(batch_size=4, seed=0, num_workers=0)
        self.num_images = num_images

    @property
    def spec(self) -> DataSpec:
        tasks = (
            TaskSpec("label", TaskKind.CLASSIFICATION, 256),
            TaskSpec("size", TaskKind.REGRESSION, 2, is_complete=False),
            TaskSpec("map", TaskKind.DENSE, 1, resolution=4, is_complete=False),
        )
        return DataSpec(8, 3, tasks, {"label": torch.arange(3)})

    def dataset(self, split: str) -> NumberedImages:
        return NumberedImages(0 if split == "held_out" else self.num_images)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream of 197 numbered images in chunks of 23, of which 10 is the reference."""
    folder = tmp_path_factory.mktemp("streams") / "numbers"
    write_stream(Numbered(), folder, chunk_bytes=23 * 290)
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams") / "digits"
    write_stream(Digits(), folder, num_workers=1, chunk_bytes="16KB")
    return folder


def attached(data: Streamed, step: int = 0, rank: int = 0, ranks: int = 1) -> Streamed:
    """The data as a trainer would ask it for batches."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_step=step, global_rank=rank, world_size=ranks, strategy=strategy)  # type: ignore[assignment]
    return data


def labels(batches: Any, count: int) -> list[list[int]]:
    return [batch["targets"]["label"].tolist() for batch, _ in zip(batches, range(count), strict=False)]


def test_what_was_written_is_read(numbers: Path) -> None:
    data, source = Streamed(str(numbers)), Numbered()
    assert data.spec == source.spec
    assert torch.equal(data.spec.joint["label"], source.spec.joint["label"])  # type: ignore[index]
    assert data.splits == {"train": "numbers", "reference": "the same numbers"}
    for split in ("train", "reference"):
        images = data.dataset(split)
        assert len(images) == 197
        batch = images[torch.arange(197)]
        order = batch["targets"]["label"]
        assert torch.equal(order.sort().values, torch.arange(197))
        assert (split == "reference") == torch.equal(order, torch.arange(197))
        wanted = source.dataset(split)[order]
        assert batch["image"].dtype == torch.uint8
        assert torch.equal(batch["image"], wanted["image"])
        for name, target in wanted["targets"].items():
            found = batch["targets"][name]
            assert found.dtype == target.dtype
            assert torch.equal(found.nan_to_num(-7), target.nan_to_num(-7)), name
    assert len(list((numbers / "train").glob("*.bin"))) > 6


def test_a_reference_that_is_missing_is_taken_from_the_training_images(numbers: Path, tmp_path: Path) -> None:
    shutil.copytree(numbers, tmp_path / "copy")
    about = torch.load(tmp_path / "copy" / "about.pt", weights_only=True)
    del about["splits"]["reference"]
    torch.save(about, tmp_path / "copy" / "about.pt")
    data = Streamed(str(tmp_path / "copy"))
    assert len(data.dataset("reference")) == 197
    assert data.splits["reference"] == "197 of the training images"


@pytest.mark.parametrize("lanes", [1, 3, 4, 250])
def test_lanes_share_out_each_epoch(lanes: int) -> None:
    order = LaneOrder(5, [23, 23, 1, 50, 100], lanes)
    epochs: dict[int, Counter[int]] = {epoch: Counter() for epoch in range(4)}
    for lane in range(lanes):
        whole: list[int] = []
        for pieces in order.pieces(lane, 0):
            if pieces[0].epoch >= 4:
                break
            images = [image for piece in pieces for image in order.images(piece)]
            epochs[pieces[0].epoch].update(images)
            whole += images
        assert len(whole) == order.taken(lane, 4)
        assert abs(len(whole) - 4 * 197 / lanes) < 1  # no lane runs ahead of the others
        for place in {0, 1, len(whole) // 2, len(whole) - 1} & set(range(len(whole))):
            after: list[int] = []
            for pieces in order.pieces(lane, place):
                after += [image for piece in pieces for image in order.images(piece)]
                if len(after) >= len(whole) - place:
                    break
            assert after[: len(whole) - place] == whole[place:]
    assert all(count == Counter(range(197)) for count in epochs.values())


@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (1, 2), (2, 2)])
def test_every_image_once_in_an_epoch_through_the_loader(ranks: int, workers: int, tmp_path: Path) -> None:
    """Two epochs of 192 images in batches of 8: 48 steps, over lanes that hold the same number of them."""
    write_stream(Numbered(192), tmp_path / "stream", chunk_bytes=23 * 290)
    epochs: list[list[int]] = [[], []]
    for rank in range(ranks):
        data = Streamed(str(tmp_path / "stream"), 8, seed=3, num_workers=workers)
        loader = attached(data, rank=rank, ranks=ranks).train_dataloader()
        steps = labels(loader, 48)
        assert all(len(batch) == 8 // ranks for batch in steps)
        for step, batch in enumerate(steps):
            epochs[step // 24] += batch
        again = attached(data, step=29, rank=rank, ranks=ranks).train_dataloader()
        assert labels(again, 7) == steps[29:36]  # wherever it was stopped, with whatever fetched ahead
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(192))
    assert epochs[0] != epochs[1]


def test_batches_cross_the_end_of_an_epoch(numbers: Path) -> None:
    """197 images in batches of 4: nothing is dropped."""
    batches = attached(Streamed(str(numbers), 4, num_workers=0)).train_dataloader()
    found = [label for batch in labels(batches, 197) for label in batch]
    for epoch in range(4):
        assert sorted(found[197 * epoch : 197 * (epoch + 1)]) == list(range(197))


def test_any_step_can_be_asked_for(numbers: Path) -> None:
    def batches() -> LaneBatches:
        return LaneBatches(str(numbers / "train"), LaneOrder(1, Streamed(str(numbers))._sizes["train"], 6), 1, 3, 5)

    in_order = batches()
    steps = [in_order[step]["targets"]["label"].tolist() for step in range(60)]
    jumping = batches()
    for step in (59, 3, 4, 0, 31):
        assert jumping[step]["targets"]["label"].tolist() == steps[step]


@pytest.mark.filterwarnings("ignore:unclosed file <_io.FileIO .*chunk-:ResourceWarning")  # litdata 0.2.76 drops them
def test_a_bucket_is_read_through_the_cache(numbers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``local:`` is litdata's stand-in for a store: everything goes through its downloads."""
    monkeypatch.setattr("litdata.utilities.dataset_utilities._DEFAULT_CACHE_DIR", str(tmp_path / "cache"))
    there, here = Streamed(f"local:{numbers}", 4, num_workers=1), Streamed(str(numbers), 4, num_workers=0)
    assert there.spec == here.spec
    expected = labels(attached(here).train_dataloader(), 120)
    assert labels(attached(there).train_dataloader(), 120) == expected
    assert labels(attached(there, step=70).train_dataloader(), 20) == expected[70:90]
    with pytest.raises(UserError, match=r"local:/nowhere/about\.pt cannot be read"):
        Streamed("local:/nowhere")


def config(tmp_path: Path, root: Path, **arguments: Any) -> list[str]:
    """The command line of a training on a stream of digits."""
    path = tmp_path / "streamed.yaml"
    content = {
        "class_path": "lightning_mtgan.data.Streamed",
        "init_args": {"root": str(root), "batch_size": 64, "num_workers": 0} | arguments,
    }
    path.write_text(yaml.safe_dump({"data": content}))
    return [f"--config={ROOT / 'conf' / 'digits.yaml'}", f"--config={path}"]


def test_a_run_goes_on_with_the_next_image(digits: Path, tmp_path: Path, train: Train) -> None:
    """From an older checkpoint, as after a kill: in the second of three epochs, while workers had read ahead."""
    arguments = [*config(tmp_path, digits, num_workers=2), "--checkpoints.every_kimg=0.576"]  # every 9 steps

    def run(steps: int, name: str, *more: str) -> Path:
        witness = saboteur("Witness", folder=str(tmp_path / "seen" / name))
        return train(*arguments, f"--trainer.max_steps={steps}", witness, *more, runs=name.split("-")[0])

    whole = run(50, "whole")
    stopped = run(31, "parts-1") / "checkpoints"
    (stopped / "previous.ckpt").replace(stopped / "last.ckpt")
    parts = run(50, "parts-2", "--ckpt_path=last")
    assert farthest(weights(whole), weights(parts)) == 0
    images = [seen(tmp_path / "seen" / name) for name in ("whole", "parts-1", "parts-2")]
    assert images[1] == images[0][:31]
    assert images[2] == images[0][27:]


def test_a_killed_run_of_two_ranks_goes_on_to_the_same_bits(digits: Path, tmp_path: Path, launch: Launch) -> None:
    arguments = [*config(tmp_path, digits), "--trainer.max_steps=12", "--checkpoints.every_kimg=0.32"]  # every 5 steps
    whole = launch(*arguments, ranks=2, runs="whole")
    killed = launch(*arguments, saboteur("Kill", step=8, rank=1), ranks=2)
    assert whole.wait() == [0, 0], whole.text()
    assert killed.wait()[1] == -signal.SIGKILL, killed.text()
    resumed = launch(*arguments, "--ckpt_path=last", ranks=2)
    assert resumed.wait() == [0, 0], resumed.text()
    assert "step 5" in resumed.text()
    assert farthest(weights(newest_run(whole.runs)), weights(newest_run(resumed.runs))) == 0


def test_another_topology_is_refused(
    digits: Path, tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(*config(tmp_path, digits), "--trainer.max_steps=2")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["Streamed"] == {"images": 1437, "batch_size": 64, "ranks": 1, "workers": 1}
    more = [*SMALL, f"--runs={tmp_path / 'runs'}", "--trainer.max_steps=4", "--ckpt_path=last"]
    capsys.readouterr()
    assert main([*more, *config(tmp_path, digits, num_workers=2)]) == 2
    assert "streamed with 1 loader processes on each rank, this run has 2" in capsys.readouterr().err
    data = attached(Streamed(str(digits), num_workers=2), ranks=2)
    for name, words in {"ranks": "1 ranks, this run has 2", "images": "5 training images, this run has 1437"}.items():
        with pytest.raises(UserError, match=words):
            data.load_state_dict({**data.state_dict(), name: 5 if name == "images" else 1})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train/index.json", None, r"train/index\.json cannot be read"),
        ("train/index.json", b'{"chunks": [{', r"train/index\.json is damaged"),
        ("train/index.json", b'{"chunks": []}', r"train/index\.json lists no images"),
        ("train/chunk-0-1.bin", None, r"train/chunk-0-1\.bin does not exist"),
        ("reference/index.json", None, r"reference/index\.json cannot be read"),
        ("about.pt", None, r"about\.pt cannot be read"),
        ("about.pt", b"nothing", r"about\.pt is damaged"),
    ],
)
def test_a_broken_stream_is_named(
    file: str, content: bytes | None, message: str, numbers: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(numbers, broken)
    (broken / file).unlink()
    if content is not None:
        (broken / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        Streamed(str(broken))


def test_images_that_are_not_as_described_are_named(numbers: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    shutil.copytree(numbers, wrong)
    splits = {"train": "numbers"}
    for spec, words in (
        (DataSpec(16, 3), r"is torch\.uint8 \(3, 8, 8\), but about\.pt says uint8 \(3, 16, 16\)"),
        (DataSpec(8, 3, (TaskSpec("colour", TaskKind.CLASSIFICATION, 2),)), "has no target `colour`"),
    ):
        torch.save({"spec": spec.to_dict(), "splits": splits}, wrong / "about.pt")
        with pytest.raises(UserError, match=words):
            attached(Streamed(str(wrong))).train_dataloader()


def test_a_stream_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    with pytest.raises(UserError, match="full exists and is not empty"):
        write_stream(Numbered(), tmp_path / "full")
    (tmp_path / "empty").mkdir()
    write_stream(Numbered(9), tmp_path / "empty")
    assert len(Streamed(str(tmp_path / "empty")).dataset("train")) == 9

    def fail(self: NumberedImages, indices: Tensor) -> dict[str, Any]:
        raise ValueError("no such image")

    monkeypatch.setattr(NumberedImages, "__getitem__", fail)
    with pytest.raises(ValueError, match="no such image"):
        write_stream(Numbered(9), tmp_path / "failed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]


def test_a_missing_litdata_is_told(numbers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litdata", None)
    with pytest.raises(UserError, match="pip install litdata"):
        Streamed(str(numbers))
