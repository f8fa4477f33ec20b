"""From the columns of labels to the description of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_mtgan.data.changes import SPOIL_MAPS, ChangeName
from lightning_mtgan.data.files.assembly import Assembled
from lightning_mtgan.data.files.columns import TAKEN, Column, task_name
from lightning_mtgan.data.files.stored import StoredImages
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import quantiles
from lightning_mtgan.types import Change, DataSpec, Measure, TaskKind, TaskSpec

NUM_JOINT = 16_384
"""Rows of real targets behind joint conditions."""
NUM_JOINT_MAPS = 512
"""The same, where maps are among them."""
LEAST_WHOLE = 0.5
"""Share of rows without a gap below which rows with gaps are drawn, too: a few would be asked for again and again."""


def spec_of(
    data: Assembled,
    images: StoredImages,
    constraints: Mapping[str, Measure],
    spoiled_by: Mapping[str, Sequence[ChangeName]],
) -> DataSpec:
    """Size, channels and tasks.

    Args:
        data: What lies there.
        images: The training images.
        constraints: Measures that the generator has to hit, by the task's name.
        spoiled_by: Changes that make a task's targets false, by its name; of maps more than those are known.

    Raises:
        UserError: If a task has no values, a constraint takes another task's name, or there is no such task.
    """
    size, channels = data.format.size, data.format.channels
    names = [column.name for column in data.columns]
    for name in spoiled_by:
        if name not in names:
            raise UserError(
                f"data.spoiled_by names `{name}`; the tasks with labels are {', '.join(names)}"
                if names
                else f"data.spoiled_by names `{name}`, but no task has labels; leave it away"
            )
    changes = {name: frozenset(map(Change, spoiled_by.get(name, ()))) for name in names}
    tasks = [_task(column, images, size, changes[column.name]) for column in data.columns]
    measured = _measured(images, constraints)
    for name, measure in constraints.items():
        if name in TAKEN or name in images.labels or name in images.maps or name != task_name(name):
            raise UserError(f"data.constraints.{name}: a task cannot be called so, or is already; choose another name")
        prior = quantiles(measured[name])
        tasks.append(TaskSpec(name, TaskKind.CONSTRAINT, measure.size(channels), (), prior, measure))
    return DataSpec(size, channels, tuple(tasks), _joint(tasks, images, measured))


def _task(column: Column, images: StoredImages, size: int, spoiled_by: frozenset[Change]) -> TaskSpec:
    name = column.name
    known = images.has_target()[name]
    is_complete = bool(known.all())
    if not bool(known.any()):
        raise UserError(f"task {name} has no values among the training images; set data.kinds.{name} to ignore")
    if column.kind == "dense":
        channels = images.maps[name].shape[1]
        return TaskSpec(
            name,
            TaskKind.DENSE,
            channels,
            resolution=size,
            is_complete=is_complete,
            spoiled_by=spoiled_by | SPOIL_MAPS,
        )
    values = images.labels[name][known]
    prior: tuple[tuple[float, ...], ...]
    if column.kind == "classification":
        counts = torch.bincount(values, minlength=len(column.labels)).double()
        kind, length, prior = TaskKind.CLASSIFICATION, len(column.labels), (tuple((counts / counts.sum()).tolist()),)
    elif column.kind == "attribute":
        kind, length, prior = TaskKind.ATTRIBUTES, 1, ((values.mean().item(),),)
    else:
        kind, length, prior = TaskKind.REGRESSION, 1, quantiles(values)
    return TaskSpec(name, kind, length, column.labels, prior, is_complete=is_complete, spoiled_by=spoiled_by)


def _measured(images: StoredImages, constraints: Mapping[str, Measure]) -> dict[str, Tensor]:
    """What the constraints measure on the first images."""
    if not constraints:
        return {}
    parts = torch.arange(min(len(images), NUM_JOINT)).split(500)
    pixels = (images[part]["image"].float() / 127.5 - 1 for part in parts)
    rows = [{name: measure(one) for name, measure in constraints.items()} for one in pixels]
    return {name: torch.cat([row[name] for row in rows]) for name in constraints}


def _joint(tasks: Sequence[TaskSpec], images: StoredImages, measured: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Whole rows of real targets, where tasks may depend on each other or are maps, which nobody can draw."""
    has_maps = bool(images.maps)
    if not tasks or (len(tasks) == 1 and not has_maps):
        return None
    num_rows = min([len(images), *map(len, measured.values())])
    whole = torch.ones(num_rows, dtype=torch.bool)
    for known in images.has_target().values():
        whole &= known[:num_rows]
    most = NUM_JOINT_MAPS if has_maps else NUM_JOINT
    rows = whole.nonzero()[:, 0][:most]
    if len(rows) < LEAST_WHOLE * min(num_rows, most):
        # Rows with gaps: what a generator is asked for may leave a task open.
        rows = torch.arange(min(num_rows, most))
    found = images.targets_of(rows) | {name: values[rows] for name, values in measured.items()}
    return {task.name: found[task.name].clone() for task in tasks}
