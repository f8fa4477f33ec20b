from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from lightning_mtgan.__main__ import main as commands
from lightning_mtgan.cli import main
from lightning_mtgan.conditions import draw_conditions
from lightning_mtgan.data import (
    Digits,
    Domains,
    FewLabels,
    ImageDataModule,
    ImageFolder,
    IndexedImages,
    Shapes,
    StackedDigits,
    Streamed,
    TaskBalanced,
)
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import DataSpec, is_known
from tests.conftest import CACHE, Train, farthest, own_images, served, weights

NUM_IMAGES = 400
KINDS = ("shape", "position", "mask", "energy")
"""A task of each kind but attributes."""


def shapes(num_images: int = 40) -> Shapes:
    return Shapes(image_size=16, num_images=num_images, tasks=KINDS)  # type: ignore[arg-type]


def stacks(**changes: Any) -> StackedDigits:
    return StackedDigits(num_images=NUM_IMAGES, **changes)


def labelled(data: ImageDataModule, task: str = "red") -> set[int]:
    return set(is_known(data.dataset("train").targets()[task]).nonzero()[:, 0].tolist())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("share", "count"), [(1e-6, 1), (0.01, 4), (0.1, 40), (0.333, 133), (0.999, 400)])
def test_exactly_a_share_keeps_its_labels(share: float, count: int) -> None:
    assert len(labelled(FewLabels(stacks(), share))) == count


def test_who_keeps_labels_follows_from_the_seed_and_nests() -> None:
    found = [labelled(FewLabels(stacks(), share, seed=7)) for share in (0.01, 0.1, 0.1, 0.5)]
    assert found[0] < found[1] == found[2] < found[3]
    others = [labelled(FewLabels(stacks(), 0.1, seed=seed)) for seed in range(5)]
    assert len(set(map(frozenset, others))) == 5
    counts = torch.zeros(NUM_IMAGES)
    for seed in range(200):
        counts[sorted(labelled(FewLabels(stacks(), 0.1, seed=seed)))] += 1
    # Each image is chosen about 20 times of 200: no place in the file is better than another.
    assert counts.min() > 4 and counts.max() < 40 and abs(counts[:200].mean() - 20) < 1


def test_all_tasks_of_an_image_together_and_images_stay() -> None:
    inner, data = shapes(), FewLabels(shapes(), 0.3, seed=3)
    images, every = data.dataset("train"), torch.arange(40)
    inner.seed = 3
    whole, some = inner.dataset("train")[every], images[every]
    assert torch.equal(some["image"], whole["image"])
    keeps = sorted(labelled(data, "shape"))
    assert len(keeps) == 12
    lacks = sorted(set(range(40)) - set(keeps))
    assert set(some["targets"]) == {"shape", "position", "mask"}  # the constraint is measured
    for name, target in some["targets"].items():
        before = whole["targets"][name]
        assert target.dtype == before.dtype and torch.equal(target[keeps], before[keeps])
        gone = target[lacks]
        assert bool((gone.isnan() if gone.is_floating_point() else gone == -1).all()), name
        assert torch.equal(images.has_target()[name], is_known(target))
    # NaN is not equal to itself, so bytes are compared: all at once, and in another order.
    order = torch.tensor([39, 0, 17, 17])
    for name, target in images[order]["targets"].items():
        assert torch.equal(target.nan_to_num(-5), images.targets()[name][order].nan_to_num(-5))


def test_other_splits_and_the_constraint_keep_everything() -> None:
    data = FewLabels(shapes(), 0.1)
    for split in ("reference", "held_out"):
        few, whole = (one.dataset(split)[torch.arange(50)]["targets"] for one in (data, shapes()))
        assert equal(few, whole)
        assert data.splits[split] == shapes().splits[split]
    assert data.splits["train"].endswith("drawn by the seed, and 10 % of all keep their labels")
    assert {task.name: task.is_complete for task in data.spec.tasks} == {
        "shape": False,
        "position": False,
        "mask": False,
        "energy": True,
    }


def test_all_labels_change_nothing() -> None:
    inner, data = shapes(), FewLabels(shapes(), 1, seed=5)
    inner.seed = 5
    assert data.spec == inner.spec and data.spec.joint is not None and inner.spec.joint is not None
    assert equal(data.spec.joint, inner.spec.joint) and data.splits == inner.splits
    every = torch.arange(40)
    one, other = data.dataset("train")[every], inner.dataset("train")[every]
    assert torch.equal(one["image"], other["image"]) and equal(one["targets"], other["targets"])
    assert FewLabels(stacks(), 1).spec.joint is None


def drawn(spec: DataSpec, count: int, given: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    tasks, generator = make_tasks(spec.tasks), torch.Generator().manual_seed(0)
    return draw_conditions(tasks, count, generator, torch.device("cpu"), given, spec.joint, spec.known_share)


@pytest.mark.parametrize("share", [0.01, 0.9])
@pytest.mark.parametrize("data", [stacks(), stacks(tasks=("red", "even", "ink", "colour")), shapes()])
def test_conditions_lack_labels_as_often_as_images(data: ImageDataModule, share: float) -> None:
    spec, inner, count = FewLabels(data, share).spec, data.spec, 20_000
    assert spec.known_share == share and inner.known_share == 1
    found, whole = drawn(spec, count), drawn(inner, count)
    assert list(found) == list(whole) == [task.name for task in spec.tasks]
    known = {task.name: is_known(found[task.name]) for task in spec.tasks}
    common = next(iter(known.values()))
    assert abs(common.double().mean().item() - share) < 5 * (share * (1 - share) / count) ** 0.5
    for task in spec.tasks:
        rows = found[task.name]
        assert rows.dtype == whole[task.name].dtype
        if task.measure is not None:
            assert torch.equal(rows, whole[task.name])
        else:
            # All labels of an image together, and hiding them changes no other draw.
            assert torch.equal(known[task.name], common) and torch.equal(rows[common], whole[task.name][common])
            gone = rows[~common]
            assert bool((gone.isnan() if gone.is_floating_point() else gone == -1).all())
        if task.name in ("red", "shape"):
            assert rows[common].unique().tolist() == list(range(task.size))
    assert (spec.joint is None) == (inner.joint is None)
    if inner.joint is not None and spec.joint is not None:
        # What is known of a row are targets of one and the same image.
        assert equal(spec.joint, inner.joint)
        name, numbers = ("ink", "colour") if "ink" in inner.joint else ("position", "energy")
        pairs = [torch.cat([one[name].flatten(1), one[numbers]], dim=1) for one in (found, inner.joint)]
        known_rows, real_rows = (set(map(tuple, some.tolist())) for some in (pairs[0][common], pairs[1]))
        assert known_rows <= real_rows and len(known_rows) > 100


def test_a_spec_is_the_same_for_every_seed_and_survives_a_checkpoint() -> None:
    for tasks in (("red", "green"), ("red", "even", "ink")):
        one, other = (FewLabels(stacks(tasks=tasks), 0.1, seed=seed).spec for seed in (0, 1))
        assert (one.joint is None) == (len(tasks) == 2) and not any(task.is_complete for task in one.tasks)
        for spec in (other, DataSpec.from_dict(one.to_dict())):
            assert spec == one and spec.known_share == 0.1 and equal(spec.joint or {}, one.joint or {})
        old = one.to_dict()
        assert old.pop("known_share") == 0.1
        before = DataSpec.from_dict(old)
        assert before.known_share == 1 and before == replace(one, known_share=1.0) != one


def test_many_classes_are_all_there_and_priors_count() -> None:
    class Many(Digits):
        @property
        def spec(self) -> DataSpec:
            spec = super().spec
            prior = ((0.5,) + (0.5 / 99,) * 99,)
            return replace(spec, tasks=(replace(spec.tasks[0], size=100, prior=prior),), joint=None)

    rows = drawn(FewLabels(Many(), 0.01).spec, 200_000)["digit"]
    counts = rows[rows >= 0].bincount(minlength=100)
    assert 1_800 < counts.sum() < 2_200 and 0.45 < counts[0] / counts.sum() < 0.55 and (counts > 0).all()
    assert rows.min() == -1


def test_who_is_asked_for_something_is_asked_for_all_of_it() -> None:
    wanted = {"red": torch.full((300,), 3)}
    for tasks in (("red", "green", "blue"), ("red", "even", "ink", "colour")):
        spec = FewLabels(stacks(tasks=tasks), 0.1).spec
        asked = drawn(spec, 300, wanted)
        assert (asked["red"] == 3).all()
        for name, target in asked.items():
            assert bool(is_known(target).all()) and (name == "red" or len(target.unique()) > 1)
        again = drawn(replace(spec, known_share=1.0), 300, wanted)
        assert equal(asked, again)
        # Also what is given as unknown stays as it is, so that drawn conditions can be given again.
        first = drawn(spec, 300)
        back = drawn(spec, 300, first)
        assert list(back) == list(tasks)
        assert equal({n: t.nan_to_num(-5) for n, t in back.items()}, {n: t.nan_to_num(-5) for n, t in first.items()})
        empty = drawn(spec, 300, {})
        assert all(torch.equal(is_known(empty[name]), is_known(first[name])) for name in tasks)


def test_without_labels_nothing_is_missing() -> None:
    for tasks in ((), ("colour",)):
        inner, data = stacks(tasks=tasks), FewLabels(stacks(tasks=tasks), 0.1)
        assert data.spec == inner.spec and (data.spec.joint is None) == (inner.spec.joint is None)
        assert set(data.dataset("train")[torch.arange(3)]["targets"]) == set()


def test_the_seed_reaches_the_data_whoever_sets_it() -> None:
    data = FewLabels(stacks(seed=1), 0.1, seed=4)
    assert data.data.seed == data.seed == 4
    Domains({"few": data}, seed=9)
    assert data.data.seed == data.seed == 9
    twice = FewLabels(FewLabels(stacks(), 0.5), 0.1, seed=6)
    assert twice.data.data.seed == 6  # type: ignore[attr-defined]
    first = served(data)
    batch = next(iter(first))
    again = next(iter(served(FewLabels(stacks(), 0.1, seed=9))))
    assert torch.equal(batch["image"], again["image"]) and equal(batch["targets"], again["targets"])


def test_the_sampling_of_the_data_counts_unless_another_is_given() -> None:
    balanced = FewLabels(stacks(sampling=TaskBalanced()), 0.1, batch_size=20)
    for data in (balanced, FewLabels(stacks(), 0.1, batch_size=20, sampling=TaskBalanced())):
        assert bool((next(iter(served(data)))["targets"]["red"] >= 0).all())
    known = is_known(next(iter(served(FewLabels(stacks(), 0.1, batch_size=200))))["targets"]["red"])
    assert 5 < known.sum() < 40


def test_a_persons_folder_keeps_its_own_gaps_and_its_checks() -> None:
    inner = ImageFolder(str(own_images()), cache=CACHE, image_size=16)
    data = FewLabels(inner, 0.5, seed=2)
    before, after = inner.dataset("train").has_target(), data.dataset("train").has_target()
    for name in ("kind", "age", "map"):
        assert bool((after[name] <= before[name]).all()) and 0 < after[name].sum() < before[name].sum()
    assert after["map"].sum() == round(0.5 * len(before["map"]))
    state = data.state_dict()
    data.load_state_dict(state)
    state["data"]["fingerprint"] = "other"
    with pytest.raises(UserError, match="is not what the checkpoint was trained on"):
        data.load_state_dict(state)
    names = [task.name for task in data.summary().tasks]
    assert names == ["kind", "age", "map"] and "labels" in data.summary().facts
    missing = {task.name: task.num_missing for task in data.summary().tasks}
    assert missing["map"] == len(before["map"]) - int(after["map"].sum())
    device = torch.device("cpu")
    kept, rows = data.dataset("train").resident(device, 1 << 30), torch.arange(9)
    assert isinstance(kept, IndexedImages) and data.resident_bytes == inner.resident_bytes > 0
    one, other = kept[rows]["targets"], data.dataset("train")[rows]["targets"]
    assert equal({n: t.nan_to_num(-1) for n, t in one.items()}, {n: t.nan_to_num(-1) for n, t in other.items()})
    assert data.dataset("train").resident(device, 1) is None and data.dataset("train").pair_keys()


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_one_sentence(share: float) -> None:
    with pytest.raises(UserError, match=r"^data\.share is .*; give a share above 0, or 1 for all labels$"):
        FewLabels(stacks(), share)


def test_streams_are_refused() -> None:
    with pytest.raises(UserError, match=r"^data\.data is Streamed, whose order is its own; use data with an index$"):
        FewLabels(Streamed.__new__(Streamed), 0.1)


def config(folder: Path, **changes: Any) -> str:
    """The main job with few labels, as a person would write it."""
    inner = {"class_path": "lightning_mtgan.data.StackedDigits", "init_args": {"num_images": NUM_IMAGES}}
    content = {
        "data": {
            "class_path": "lightning_mtgan.data.FewLabels",
            "init_args": {"batch_size": 16, "share": 0.1, "data": inner, **changes},
        },
    }
    path = folder / "few.yaml"
    path.write_text(yaml.safe_dump(content))
    return f"--config={path}"


def test_a_training_resumes_bit_by_bit_and_can_be_measured(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [config(tmp_path), "--seed_everything=3"]
    few = json.dumps({"num_images": 80, "num_neighbour_images": 60, "kid_subsets": 1, "num_copy_images": 60})
    whole = train(*arguments, f"--fidelity.final={few}", "--trainer.max_steps=4", runs="whole")
    halves = [*arguments, "--fidelity.final=null"]
    train(*halves, "--trainer.max_steps=2", runs="parts")
    parts = train(*halves, "--trainer.max_steps=4", "--ckpt_path=last", runs="parts")
    assert farthest(weights(whole), weights(parts)) == 0
    written = yaml.safe_load((whole / "config.yaml").read_text())["data"]["init_args"]
    assert set(written) == {"batch_size", "data", "micro_batches", "num_workers", "sampling", "share"}
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["protocol"]["trained_on"].endswith("and 10 % of all keep their labels")
    checkpoint = whole / "checkpoints" / "last.ckpt"
    figures = tmp_path / "figures.json"
    with torch.no_grad():
        assert commands(["evaluate", f"--checkpoint={checkpoint}", f"--output={figures}"]) == 0
    found = json.loads(figures.read_text())["figures"]
    assert found["fid"] == pytest.approx(summary["figures"]["fid"], rel=1e-6)
    capsys.readouterr()
    wrong = [config(tmp_path, share=0.2), "--wandb=off", f"--runs={tmp_path / 'parts'}", "--ckpt_path=last"]
    assert main([*wrong, "--seed_everything=3", "--trainer.max_steps=9"]) == 2
    assert "share = 0.1, but this run has 0.2" in capsys.readouterr().err


def test_the_command_line_reaches_the_inner_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["--data=lightning_mtgan.data.FewLabels", "--data.data=lightning_mtgan.data.StackedDigits"]
    keys += ["--data.data.num_images=50", "--data.share=0.1", "--seed_everything=2"]
    picture = tmp_path / "data.png"
    assert commands(["inspect-data", *keys, f"--output={picture}"]) == 0
    shown = capsys.readouterr().out
    assert "5 of 50 training images keep theirs" in shown and "45" in shown and picture.exists()
    assert main([*keys, "--data.share=2", f"--runs={tmp_path}"]) == 2
    assert "data.share is 2.0; give a share above 0, or 1 for all labels" in capsys.readouterr().err
