"""What a TaskSpec becomes: the size of its head, its loss, its targets, its metric, its conditions."""

from collections.abc import Sequence

from lightning_mtgan.tasks.attributes import Attributes
from lightning_mtgan.tasks.classification import Classification
from lightning_mtgan.tasks.constraint import Constraint, MeanColour, TextureEnergy
from lightning_mtgan.tasks.dense import Dense
from lightning_mtgan.tasks.regression import Regression, quantiles
from lightning_mtgan.tasks.task import Task
from lightning_mtgan.types import TaskKind, TaskSpec

__all__ = [
    "Attributes",
    "Classification",
    "Constraint",
    "Dense",
    "MeanColour",
    "Regression",
    "Task",
    "TextureEnergy",
    "make_tasks",
    "quantiles",
]

_TASKS: dict[TaskKind, type[Task]] = {
    TaskKind.CLASSIFICATION: Classification,
    TaskKind.ATTRIBUTES: Attributes,
    TaskKind.REGRESSION: Regression,
    TaskKind.DENSE: Dense,
    TaskKind.CONSTRAINT: Constraint,
}


def make_tasks(specs: Sequence[TaskSpec]) -> dict[str, Task]:
    """A Task for each TaskSpec, by name."""
    return {spec.name: _TASKS[spec.kind](spec) for spec in specs}
