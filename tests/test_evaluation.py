from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from prdc import compute_prdc
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from lightning_mtgan.conditions import condition_numbers
from lightning_mtgan.data import Digits, StackedDigits
from lightning_mtgan.data.handwriting import digits
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import (
    DigitsEvaluator,
    Judged,
    Jury,
    Known,
    Protocol,
    Reference,
    References,
    judge,
    measure,
    stored,
)
from lightning_mtgan.evaluation.classes import breakdowns
from lightning_mtgan.evaluation.extractor import load_weights
from lightning_mtgan.evaluation.frechet import Gaussian, frechet_distance
from lightning_mtgan.evaluation.mind import monge_inception_distance
from lightning_mtgan.evaluation.modes import count_modes, modes_kl_floor
from lightning_mtgan.evaluation.neighbours import neighbourhood, radius
from lightning_mtgan.evaluation.opinions import Opinions, calibration, overfitting
from lightning_mtgan.evaluation.spread import spread_within
from lightning_mtgan.tasks import make_tasks

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def jury() -> Jury:
    found = Jury.of(DigitsEvaluator(), None)
    assert found is not None
    return found


def judged(jury: Jury, split: str, count: int, data: Any = None) -> Judged:
    data = data or StackedDigits()
    found = judge(stored(data.dataset(split)), count, jury, data.spec.tasks, CPU)
    assert found is not None
    return found


def protocol(count: int, **changes: Any) -> Protocol:
    return Protocol(**{"num_images": count, "num_neighbour_images": 100, "kid_subsets": 2, **changes})


class Bytes(Dataset[Tensor]):
    """Images as torch-fidelity takes them."""

    def __init__(self, split: str, count: int) -> None:
        self.images = StackedDigits().dataset(split)[torch.arange(count)]["image"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.images)


def test_the_judge_knows_digits_of_other_writers() -> None:
    images, labels = digits(held_out=True)
    assert len(images) == 360
    judge_of_one = DigitsEvaluator(channels=("digit",))
    shown = judge_of_one.predictions(images[:, None], judge_of_one.features(images[:, None]))
    assert (shown["digit"] == labels).double().mean() >= 0.96


def test_real_stacks_score_as_real(jury: Jury) -> None:
    data = StackedDigits()
    one, other = (judged(jury, split, 3000, data) for split in ("train", "reference"))
    how = protocol(3000, num_neighbour_images=1000, kid_subsets=5)
    figures = measure(one, Reference(other), data.spec.tasks, how, jury)
    assert figures["fid"] < 6  # the bias of FID at this number of images
    assert abs(figures["kid"]) < 1
    assert figures["recall"] > 0.95
    assert figures["coverage"] > 0.9
    assert figures["density"] == pytest.approx(1, abs=0.1)
    assert min(figures[f"task_accuracy/{name}"] for name in ("red", "green", "blue")) > 0.99
    assert figures["modes_kl"] == pytest.approx(figures["modes_kl_floor"], rel=0.2)
    assert figures["inception_score"] > 50  # at most 300, the images in each of its splits
    assert figures["diversity"] == pytest.approx(1, abs=0.1)
    assert figures["duplicates"] < 0.03
    assert figures["recall/red/3"] > 0.8
    assert not breakdowns(figures)


def test_figures_equal_torch_fidelity(jury: Jury) -> None:
    count = 1200
    fake, real = (judged(jury, split, count) for split in ("held_out", "reference"))
    how = protocol(count, num_neighbour_images=count, num_neighbours=3, kid_subsets=7, kid_subset_size=500)
    ours = measure(fake, Reference(real), StackedDigits().spec.tasks, how, jury)
    theirs = calculate_metrics(
        input1=Bytes("held_out", count),
        input2=Bytes("reference", count),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="mtgan-stacked-digits",
        kid_subsets=7,
        kid_subset_size=500,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
    )
    assert ours["fid"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert ours["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert ours["inception_score"] == pytest.approx(theirs["inception_score_mean"], rel=1e-3)
    assert ours["precision"] == pytest.approx(theirs["precision"], rel=1e-3)
    assert ours["recall"] == pytest.approx(theirs["recall"], rel=1e-3)


def test_the_frechet_distance_of_gaussians_in_closed_form() -> None:
    torch.manual_seed(0)
    mean, scale = torch.randn(2, 5).double(), torch.rand(2, 5).double() + 0.5
    rotation = torch.linalg.qr(torch.randn(5, 5).double()).Q
    one, other = (Gaussian(m, rotation @ torch.diag(s**2) @ rotation.T) for m, s in zip(mean, scale, strict=True))
    exact = (mean[0] - mean[1]).square().sum() + (scale[0] - scale[1]).square().sum()  # covariances that commute
    assert frechet_distance(one, other) == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize("seed", [0, 1])
def test_neighbour_figures_equal_prdc(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(seed)
    real, fake, k = torch.randn(700, 24).double(), torch.randn(500, 24).double() * 0.9 + 0.1, 5
    hood = neighbourhood(fake, real, radius(fake, k), radius(real, k), k)
    theirs = compute_prdc(real.numpy(), fake.numpy(), k)
    capsys.readouterr()
    for name, value in hood.figures().items():
        assert value == pytest.approx(float(theirs[name]), abs=1e-6)


def test_mind_in_closed_form_and_against_a_naive_reference() -> None:
    torch.manual_seed(0)
    rows, shift = torch.randn(400, 6), torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0, 1.0])
    exact = 3 * float(shift.square().sum())
    assert monge_inception_distance(rows + shift, rows, 20_000) == pytest.approx(exact, rel=0.02)
    assert monge_inception_distance(rows, rows[torch.randperm(400)]) == pytest.approx(0, abs=1e-6)
    one, other = torch.randn(60, 4), torch.randn(50, 4) * 2  # the larger sample is cut to the smaller
    generator = torch.Generator().manual_seed(seed_of("mind", 0))
    total = 0.0
    for direction in torch.randn(10, 4, generator=generator):
        unit = direction / direction.norm()
        along = [sorted(float(row @ unit) for row in rows) for rows in (one[:50], other)]
        total += sum((a - b) ** 2 for a, b in zip(*along, strict=True)) / 50
    assert monge_inception_distance(one, other, 10) == pytest.approx(3 * 4 * total / 10, rel=1e-5)


def test_density_and_coverage_equal_a_naive_reference() -> None:
    torch.manual_seed(0)
    real, fake, k = torch.randn(40, 3), torch.randn(30, 3) + 0.5, 4
    inside, covered = 0, 0
    for i in range(40):
        distances = sorted(float((real[i] - real[j]).norm()) for j in range(40) if j != i)
        reach = distances[k - 1]
        hits = sum(float((real[i] - fake[j]).norm()) < reach for j in range(30))
        inside += hits
        covered += hits > 0
    figures = neighbourhood(fake, real, radius(fake, k), radius(real, k), k).figures()
    assert figures["density"] == pytest.approx(inside / (k * 30), rel=1e-6)
    assert figures["coverage"] == pytest.approx(covered / 40)


def test_modes_by_hand() -> None:
    labels = [torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 0])]
    modes, kl = count_modes(labels, [2, 2])
    assert modes == 3
    assert kl == pytest.approx(0.25 * math.log(1) * 2 + 0.5 * math.log(2))
    everything = [torch.arange(1000) // 100, torch.arange(1000) // 10 % 10, torch.arange(1000) % 10]
    assert count_modes(everything, [10, 10, 10]) == (1000, pytest.approx(0, abs=1e-12))


def test_the_floor_is_what_a_perfect_sampler_scores() -> None:
    assert modes_kl_floor(26_000, 1000) == pytest.approx(999 / 52_000, rel=0.03)


def test_task_figures_use_what_was_asked_for(jury: Jury) -> None:
    data = StackedDigits(tasks=("red", "even", "ink", "colour"))
    one = judged(jury, "train", 600, data)
    real = Reference(judged(jury, "train", 600, data))
    one.wanted["red"] = (one.predictions["red"] + 1) % 10
    figures = measure(one, real, data.spec.tasks, protocol(600), jury)
    assert figures["task_accuracy/red"] == 0
    assert figures["task_accuracy/even"] > 0.99
    assert figures["task_error/ink"] == pytest.approx(0, abs=1e-6)
    assert "task_error/colour" not in figures  # stored images carry no target of a constraint


def test_a_class_that_breaks_down_is_named(jury: Jury) -> None:
    """Where a generator shows an 8 when it is asked for a 3, in one channel."""
    data = StackedDigits()
    fake, real = judged(jury, "train", 5000), Reference(judged(jury, "reference", 5000))
    is_eight = fake.wanted["green"] == 8
    fake.wanted["green"] = torch.where(is_eight, 3, fake.wanted["green"])
    figures = measure(fake, real, data.spec.tasks, protocol(5000, num_neighbour_images=2000), jury)
    found = breakdowns(figures)
    assert [(one.task, one.name) for one in found] == [("green", "3")]
    assert "green 3 breaks down: task_accuracy" in str(found[0])
    assert not any(name.endswith("/green/8") for name in figures)  # nothing was asked for
    assert figures["fid/green/3"] > 5 * figures["fid/green/4"]


def test_kid_stands_in_where_a_class_has_too_few_images(jury: Jury) -> None:
    fake, real = judged(jury, "train", 5000), Reference(judged(jury, "reference", 5000))
    few = (fake.wanted["red"] != 1) | (torch.arange(5000) < 900)
    some = Judged(fake.features[few], *({n: t[few] for n, t in g.items()} for g in (fake.predictions, fake.wanted)))
    figures = measure(some, real, StackedDigits().spec.tasks, protocol(5000), jury)
    assert "kid/red/1" in figures
    assert "fid/red/1" not in figures
    sizes = {label: int((some.wanted["blue"] == label).sum()) for label in range(10)}
    for label, size in sizes.items():
        enough = min(size, int((real.judged.wanted["blue"] == label).sum())) >= 5 * 96
        assert (f"fid/blue/{label}" in figures) == enough
        assert (f"kid/blue/{label}" in figures) != enough


def test_a_generator_that_cannot_be_asked_is_judged_by_what_it_shows(jury: Jury) -> None:
    fake, real = judged(jury, "train", 2000), Reference(judged(jury, "reference", 2000))
    fake.wanted = {name: target.flip(0) for name, target in fake.wanted.items()}
    figures = measure(
        fake, real, StackedDigits().spec.tasks, protocol(2000, num_neighbour_images=1000), jury, obeys=False
    )
    assert figures["recall/red/4"] > 0.5
    assert "task_accuracy/red/4" not in figures  # it would be 1 by construction


def test_copies_and_duplicates_are_found(jury: Jury) -> None:
    data = StackedDigits(num_images=300)
    train, held_out = (Reference(judged(jury, split, 300, data)) for split in ("train", "held_out"))
    known, real = Known(train, held_out), Reference(judged(jury, "reference", 1000))
    how = protocol(300, num_neighbour_images=300, num_copy_images=300)
    honest = measure(judged(jury, "reference", 300), real, data.spec.tasks, how, jury, known)
    copied = measure(judged(jury, "train", 300, data), real, data.spec.tasks, how, jury, known)
    assert honest["memorisation"] < 0.7
    assert honest["copy_distance"] > 0.7
    assert copied["memorisation"] > 0.99
    assert copied["copy_distance"] < 0.01
    few = judged(jury, "train", 300, data)
    few.features = few.features[torch.arange(300) % 40] + 1e-4 * torch.randn(300, 96)
    assert honest["duplicates"] < 0.05
    assert measure(few, real, data.spec.tasks, how, jury)["duplicates"] == 1


def test_diversity_within_a_condition_equals_a_naive_reference(jury: Jury) -> None:
    torch.manual_seed(0)
    features, condition = torch.randn(40, 5) + 3, torch.randint(6, (40,))
    pairs = [
        float((features[i] - features[j]).square().sum())
        for i in range(40)
        for j in range(i)
        if condition[i] == condition[j]
    ]
    assert spread_within(features, condition) == pytest.approx(math.sqrt(sum(pairs) / len(pairs)), rel=1e-5)
    assert spread_within(features, torch.arange(40)) is None
    fake, real = judged(jury, "train", 2000), Reference(judged(jury, "reference", 2000))
    number = condition_numbers(fake.wanted, StackedDigits().spec.tasks)
    assert number is not None
    _, group = number.unique(return_inverse=True)
    first = torch.stack([(group == one).nonzero()[0, 0] for one in range(int(group.max()) + 1)])
    fake.features = fake.features[first[group]]  # each condition has one image
    figures = measure(fake, real, StackedDigits().spec.tasks, protocol(2000), jury)
    assert figures["diversity"] == pytest.approx(0, abs=1e-4)


def test_overfitting_and_calibration_by_hand() -> None:
    def opinions(level: float, spread: float = 0.1) -> Opinions:
        return Opinions(level + spread * torch.linspace(-1, 1, 100).double(), {}, {})

    assert overfitting(opinions(2), opinions(1.5), opinions(1))["overfitting"] == pytest.approx(0.5)
    assert overfitting(opinions(1), opinions(0), opinions(1)) == {}  # nothing is told apart
    tasks = make_tasks(StackedDigits().spec.tasks)
    sure = torch.full((100, 10), -50.0)
    sure[:, 3] = 50
    half_right = torch.where(torch.arange(100) < 50, 3, 4)
    figures = calibration(Opinions(None, {"red": sure}, {"red": half_right}), tasks)
    assert figures == {"head_accuracy/red": 0.5, "head_calibration/red": pytest.approx(0.5)}


def test_real_images_are_judged_once_and_kept(jury: Jury, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = StackedDigits()
    images, tasks = data.dataset("reference"), data.spec.tasks
    first = References(jury, tmp_path).get("reference", images, 600, tasks, CPU)
    assert first is not None
    (path,) = tmp_path.iterdir()
    counted: list[int] = []
    monkeypatch.setattr(DigitsEvaluator, "features", lambda *_: counted.append(1))
    again = References(jury, tmp_path).get("reference", images, 600, tasks, CPU)
    assert again is not None
    assert counted == []
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.judged.wanted["red"], again.judged.wanted["red"])
    monkeypatch.undo()

    def files() -> int:
        return len(list(tmp_path.iterdir()))

    References(jury, tmp_path).get("reference", images, 500, tasks, CPU)
    assert files() == 2  # another number of images is another reference
    References(jury, tmp_path).get("reference", StackedDigits(seed=1).dataset("train"), 500, tasks, CPU)
    assert files() == 3  # ... and so are other images
    other = DigitsEvaluator()
    monkeypatch.setattr(DigitsEvaluator, "checksum", "0" * 12)
    References(Jury(other, other), tmp_path).get("reference", images, 600, tasks, CPU)
    assert files() == 4  # ... and other weights
    monkeypatch.undo()

    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)  # one flipped bit
    healed = References(jury, tmp_path).get("reference", images, 600, tasks, CPU)
    assert healed is not None
    assert torch.equal(first.features, healed.features)
    assert torch.equal(torch.load(path, weights_only=True)["features"], first.features)


def test_many_may_keep_the_same_images_at_once(jury: Jury, tmp_path: Path) -> None:
    data = StackedDigits()

    def get(_: int) -> Tensor:
        found = References(jury, tmp_path).get("reference", data.dataset("reference"), 600, data.spec.tasks, CPU)
        assert found is not None
        return found.features

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(get, range(8))
    assert all(torch.equal(first, other) for other in others)
    assert [path.suffix for path in tmp_path.iterdir()] == [".pt"]


def test_a_cache_that_cannot_be_written_ends_nothing(jury: Jury, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").touch()
    data = StackedDigits()
    found = References(jury, tmp_path / "file" / "x").get("reference", data.dataset("reference"), 10, (), CPU)
    assert found is not None
    assert "this run goes on" in capsys.readouterr().out


def test_splits_do_not_overlap() -> None:
    every = load_digits()
    train, other = digits(held_out=False), digits(held_out=True)
    assert (len(train[0]), len(other[0])) == (1437, 360)
    assert other[1].tolist() == every.target[-360:].tolist()
    assert train[1].tolist() == every.target[:-360].tolist()
    assert (other[0].numpy() == (every.images[-360:] * 255 / 16).round()).all()
    assert torch.equal(Digits().dataset("held_out").images, other[0])
    assert torch.equal(StackedDigits().dataset("held_out").images, other[0])


def test_a_protocol_that_cannot_work_is_refused() -> None:
    with pytest.raises(UserError, match="more neighbour images"):
        Protocol(num_neighbour_images=3, num_neighbours=5)


def test_missing_or_broken_weights_are_named(tmp_path: Path) -> None:
    folder = tmp_path
    with pytest.raises(UserError, match=r"none\.pt are missing"):
        load_weights(folder / "none.pt")
    (folder / "broken.pt").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(UserError, match=r"broken\.pt cannot be read"):
        load_weights(folder / "broken.pt")


def test_judged_rows_keep_their_order(jury: Jury) -> None:
    images = StackedDigits().dataset("reference")
    found = judged(jury, "reference", 1100)
    direct = jury.extractor.features(images[torch.arange(1100)]["image"])
    assert torch.allclose(found.features, direct, atol=1e-4)
    assert torch.equal(found.wanted["red"], images[torch.arange(1100)]["targets"]["red"])


def test_another_extractor_leaves_the_tasks_to_the_evaluator() -> None:
    class Pixels(DigitsEvaluator):
        def features(self, image: Tensor) -> Tensor:
            return image.flatten(1).float()

    jury = Jury.of(DigitsEvaluator(), Pixels())
    assert jury is not None
    found = judged(jury, "train", 100)
    assert found.features.shape == (100, 192)
    assert (found.predictions["red"] == found.wanted["red"]).double().mean() > 0.95
