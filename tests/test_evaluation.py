from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from lightning_mtgan.data import Digits, StackedDigits
from lightning_mtgan.data.handwriting import digits
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import DigitsEvaluator, Judged, Protocol, judge, measure, stored
from lightning_mtgan.evaluation.evaluator import load_weights
from lightning_mtgan.evaluation.modes import count_modes, modes_kl_floor
from lightning_mtgan.evaluation.neighbours import density_coverage

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def evaluator() -> DigitsEvaluator:
    return DigitsEvaluator()


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


def test_real_stacks_score_as_real(evaluator: DigitsEvaluator) -> None:
    data = StackedDigits()
    protocol = Protocol(num_images=3000, num_neighbour_images=1000, kid_subsets=5)
    one, other = (
        judge(stored(data.dataset(split)), 3000, evaluator, data.spec.tasks, CPU) for split in ("train", "reference")
    )
    figures = measure(one, other, data.spec.tasks, protocol)
    assert figures["fid"] < 6  # the bias of FID at this number of images
    assert abs(figures["kid"]) < 1
    assert figures["recall"] > 0.95
    assert figures["coverage"] > 0.9
    assert figures["density"] == pytest.approx(1, abs=0.1)
    assert min(figures[f"task_accuracy/{name}"] for name in ("red", "green", "blue")) > 0.99
    assert figures["modes_kl"] == pytest.approx(figures["modes_kl_floor"], rel=0.2)


def test_figures_equal_torch_fidelity(evaluator: DigitsEvaluator) -> None:
    data = StackedDigits()
    count = 1200
    judged = [
        judge(stored(data.dataset(split)), count, evaluator, data.spec.tasks, CPU)
        for split in ("held_out", "reference")
    ]
    protocol = Protocol(
        num_images=count, num_neighbour_images=count, num_neighbours=3, kid_subsets=7, kid_subset_size=500
    )
    ours = measure(*judged, data.spec.tasks, protocol)
    theirs = calculate_metrics(
        input1=Bytes("held_out", count),
        input2=Bytes("reference", count),
        cuda=False,
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
    assert ours["precision"] == pytest.approx(theirs["precision"], abs=1e-3)
    assert ours["recall"] == pytest.approx(theirs["recall"], abs=1e-3)


def test_density_and_coverage_equal_a_naive_reference() -> None:
    torch.manual_seed(0)
    real, fake, k = torch.randn(40, 3), torch.randn(30, 3) + 0.5, 4
    inside, covered = 0, 0
    for i in range(40):
        distances = sorted(float((real[i] - real[j]).norm()) for j in range(40) if j != i)
        radius = distances[k - 1]
        hits = sum(float((real[i] - fake[j]).norm()) < radius for j in range(30))
        inside += hits
        covered += hits > 0
    density, coverage = density_coverage(real, fake, k)
    assert density == pytest.approx(inside / (k * 30), rel=1e-6)
    assert coverage == pytest.approx(covered / 40)


def test_modes_by_hand() -> None:
    labels = [torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 0])]
    modes, kl = count_modes(labels, [2, 2])
    assert modes == 3
    assert kl == pytest.approx(0.25 * math.log(1) * 2 + 0.5 * math.log(2))
    everything = [torch.arange(1000) // 100, torch.arange(1000) // 10 % 10, torch.arange(1000) % 10]
    assert count_modes(everything, [10, 10, 10]) == (1000, pytest.approx(0, abs=1e-12))


def test_the_floor_is_what_a_perfect_sampler_scores() -> None:
    assert modes_kl_floor(26_000, 1000) == pytest.approx(999 / 52_000, rel=0.03)


def test_task_figures_use_what_was_asked_for(evaluator: DigitsEvaluator) -> None:
    data = StackedDigits(tasks=("red", "even", "ink", "colour"))
    judged = judge(stored(data.dataset("train")), 600, evaluator, data.spec.tasks, CPU)
    judged.wanted["red"] = (judged.predictions["red"] + 1) % 10
    figures = measure(
        judged, judged, data.spec.tasks, Protocol(num_images=600, num_neighbour_images=100, kid_subsets=2)
    )
    assert figures["task_accuracy/red"] == 0
    assert figures["task_accuracy/even"] > 0.99
    assert figures["task_error/ink"] == pytest.approx(0, abs=1e-6)
    assert "task_error/colour" not in figures  # stored images carry no target of a constraint


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


def test_judged_rows_keep_their_order(evaluator: DigitsEvaluator) -> None:
    data = StackedDigits()
    images = data.dataset("reference")
    judged: Judged = judge(stored(images), 1100, evaluator, data.spec.tasks, CPU)
    direct = evaluator.features(images[torch.arange(1100)]["image"])
    assert torch.allclose(judged.features, direct, atol=1e-4)
    assert torch.equal(judged.wanted["red"], images[torch.arange(1100)]["targets"]["red"])
