"""Figures within each class of each classification task, and which class breaks down."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch_fidelity.metric_kid import kid_features_to_metric

from lightning_mtgan.evaluation.frechet import Gaussian, frechet_distance
from lightning_mtgan.evaluation.judging import Judged
from lightning_mtgan.evaluation.neighbours import distances, radius
from lightning_mtgan.evaluation.protocol import Protocol
from lightning_mtgan.evaluation.reference import Reference
from lightning_mtgan.figure_names import in_words
from lightning_mtgan.types import TaskKind, TaskSpec

SAMPLES_PER_DIMENSION = 5
"""A class with fewer images for each feature dimension is judged by KID, whose bias does not depend on their number."""

BALLS_PER_NEIGHBOUR = 5
"""A class with fewer images for each of the k neighbours, on either side, has no recall."""

LEAST_ANSWERS = 30
"""A class that was asked for less often has no accuracy: its error would be taken for a breakdown."""

FAMILIES = ("fid", "kid", "recall", "task_accuracy")
"""The figures that a class may have."""

TELLING = ("task_accuracy", "recall", "fid")
"""Those that tell a breakdown, the plainest first."""


def class_figures(
    fake: Judged, real: Reference, tasks: Sequence[TaskSpec], protocol: Protocol, obeys: bool
) -> dict[str, float]:
    """``fid/<task>/<class>`` (or ``kid``, see SAMPLES_PER_DIMENSION), ``recall``, ``task_accuracy``.

    A generated image belongs to the class that it was asked to show; of a generator that cannot be
    asked, to the class that the evaluator sees.

    Args:
        fake: Generated images.
        real: Real images, which belong to the classes that they are.
        tasks: The tasks of the data.
        protocol: How to measure.
        obeys: Whether the generator is told what to show.
    """
    figures: dict[str, float] = {}
    shown = fake.wanted if obeys else fake.predictions
    for task in tasks:
        if task.kind is not TaskKind.CLASSIFICATION or task.name not in shown:
            continue
        for label in range(task.size):
            mine = (shown[task.name] == label).nonzero()[:, 0]
            for name, value in _one_class(fake, real, task, label, mine, protocol, obeys):
                figures[f"{name}/{task.name}/{class_name(task, label)}"] = value
    return figures


def class_name(task: TaskSpec, label: int) -> str:
    """The class by its label where it has one, else by its number."""
    return task.labels[label] if task.labels else str(label)


def _one_class(
    fake: Judged, real: Reference, task: TaskSpec, label: int, mine: Tensor, protocol: Protocol, obeys: bool
) -> Iterator[tuple[str, float]]:
    features, others = fake.features[mine], real.features[real.members(task.name, label)]
    least = min(len(features), len(others))
    if least >= SAMPLES_PER_DIMENSION * features.shape[1]:
        yield "fid", frechet_distance(Gaussian.of(features), real.gaussian_of(task.name, label))
    elif least >= 2:
        yield "kid", kid(features, others, 1, min(least, protocol.kid_subset_size))
    near = [rows[rows < protocol.num_neighbour_images] for rows in (mine, real.members(task.name, label))]
    if min(len(rows) for rows in near) >= BALLS_PER_NEIGHBOUR * protocol.num_neighbours:
        yield "recall", _recall(fake.features[near[0]], real.features[near[1]], protocol.num_neighbours)
    if obeys and task.name in fake.predictions and len(mine) >= LEAST_ANSWERS:
        yield "task_accuracy", (fake.predictions[task.name][mine] == label).double().mean().item()


def _recall(fake: Tensor, real: Tensor, k: int) -> float:
    """The share of real images inside some fake's ball."""
    return (distances(real, fake) < radius(fake, k)).any(1).double().mean().item()


def kid(fake: Tensor, real: Tensor, subsets: int, size: int) -> float:
    """KID, Bińkowski et al. 2018 (arXiv:1801.01401), by torch-fidelity."""
    result = kid_features_to_metric(
        fake.double(), real.double(), kid_subsets=subsets, kid_subset_size=size, verbose=False
    )
    return float(result["kernel_inception_distance_mean"])


@dataclass(frozen=True)
class Breakdown:
    """A class that is much worse than the others of its task.

    Args:
        task: The task; of one domain of several, ``<task>@<domain>``.
        name: The class.
        figure: What gives it away.
        value: Its figure.
        typical: The median of the task's classes.
    """

    task: str
    name: str
    figure: str
    value: float
    typical: float

    def __str__(self) -> str:
        return (
            f"{in_words(self.task, self.name)} breaks down: {self.figure} {self.value:.3g} "
            f"where the classes of {in_words(self.task)} have {self.typical:.3g} (median)"
        )


@dataclass(frozen=True)
class Limits:
    """How much worse than the median of its task a class may be.

    Args:
        accuracy_gap: Its task accuracy, below the median.
        recall_share: Its recall, as a share of the median.
        distance_ratio: Its FID, in medians.
    """

    accuracy_gap: float = 0.3
    recall_share: float = 0.5
    distance_ratio: float = 8.0

    def is_broken(self, figure: str, value: float, typical: float) -> bool:
        """Whether a figure of a class, one of ``TELLING``, is a breakdown beside what is typical."""
        return {
            "task_accuracy": value < typical - self.accuracy_gap,
            "recall": value < typical * self.recall_share,
            "fid": value > typical * self.distance_ratio,
        }[figure]


def breakdowns(figures: Mapping[str, float], limits: Limits = Limits()) -> list[Breakdown]:
    """The classes that break down while the others of their task work, by the first figure that shows it.

    Args:
        figures: Every figure by its name.
        limits: What is a breakdown.
    """
    found: dict[tuple[str, str], Breakdown] = {}
    for figure in TELLING:
        for task, values in by_task(figures, figure).items():
            typical = statistics.median(values.values())
            for name, value in values.items():
                if limits.is_broken(figure, value, typical) and len(values) > 2:
                    found.setdefault((task, name), Breakdown(task, name, figure, value, typical))
    return list(found.values())


def by_task(figures: Mapping[str, float], family: str) -> dict[str, dict[str, float]]:
    """The per-class figures of one family, by task and class."""
    found: dict[str, dict[str, float]] = {}
    for name, value in figures.items():
        head, _, rest = name.partition("/")
        task, _, label = rest.partition("/")
        if head == family and label:
            found.setdefault(task, {})[label] = value
    return found
