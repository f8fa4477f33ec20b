"""What generated images are asked to show: drawn, given by a person, numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import TaskEmbedding
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import TaskKind, TaskSpec, hidden, is_known

FAR = 1e6
"""Deviations between what is asked for and a row that does not know it."""


def condition_numbers(targets: Mapping[str, Tensor], specs: Sequence[TaskSpec]) -> Tensor | None:
    """The number of each image's combination of classes, int64 (N,), -1 where unknown; None if there are none."""
    known = [spec for spec in specs if spec.kind is TaskKind.CLASSIFICATION and spec.name in targets]
    if not known:
        return None
    index = torch.zeros_like(targets[known[0].name])
    complete = torch.ones_like(index, dtype=torch.bool)
    for spec in known:
        index = index * spec.size + targets[spec.name]
        complete &= targets[spec.name] >= 0
    return index.where(complete, -1)


def embedded(
    embedding: TaskEmbedding | None, tasks: Mapping[str, Task], targets: Mapping[str, Tensor], like: Tensor
) -> Tensor:
    """The embedding of the targets, (N, condition_dim), computed in the type of ``like``; of length 0 without one."""
    if embedding is None:
        return like.new_zeros(len(like), 0)
    codes = {name: task.code(targets[name]) for name, task in tasks.items()}
    return embedding({name: c.to(like.dtype) if c.is_floating_point() else c for name, c in codes.items()})


def draw_conditions(
    tasks: Mapping[str, Task],
    num_images: int,
    generator: torch.Generator,
    device: torch.device,
    given: Mapping[str, Tensor] | None = None,
    joint: Mapping[str, Tensor] | None = None,
    known_share: float = 1.0,
) -> dict[str, Tensor]:
    """A target of each task for each image: as given, and at random for the other tasks.

    Args:
        tasks: The tasks by name.
        num_images: Rows of the result.
        generator: Source of randomness, on the device.
        device: Where the result is.
        given: Targets that are fixed, each with ``num_images`` rows.
        joint: Targets of real images: whole rows are drawn, for each image among those that agree
            with what is given, so that dependent tasks never contradict each other. Without it
            every task is drawn by itself, given or not, so that fixing one leaves the others as
            they were.
        known_share: Where nothing is given, the chance that an image is asked for anything but what is measured on it.
    """
    fixed = {name: value.to(device) for name, value in (given or {}).items()}
    if joint is None:
        drawn = {name: task.draw(num_images, generator, device) for name, task in tasks.items()}
    else:
        where = torch.rand(num_images, generator=generator, device=device, dtype=torch.float32)
        if fixed.keys() >= joint.keys():  # nothing is left to draw, and to look for agreeing rows takes long
            return {name: fixed[name] for name in joint} | fixed
        rows = _agreeing_rows(joint, fixed, where)
        drawn = {name: target.to(device)[rows] for name, target in joint.items()}
    if known_share < 1 and not fixed:
        keeps = torch.rand(num_images, generator=generator, device=device, dtype=torch.float32) < known_share
        drawn |= {n: hidden(target, keeps) for n, target in drawn.items() if tasks[n].spec.measure is None}
    return {**drawn, **fixed}


def _agreeing_rows(joint: Mapping[str, Tensor], fixed: Mapping[str, Tensor], where: Tensor) -> Tensor:
    """For each of (N,) numbers in [0, 1) a row of ``joint``, among those nearest to what is fixed."""
    num_rows = len(next(iter(joint.values())))
    if not fixed:
        return (where * num_rows).long()
    distance = torch.zeros(len(where), num_rows, device=where.device)
    for name, value in fixed.items():
        rows, wanted = joint[name].to(where.device).float(), value.float()
        if rows.ndim > 2:  # of a map its coarse layout
            rows, wanted = (adaptive_avg_pool2d(maps, 8).flatten(1) for maps in (rows, wanted))
        known = is_known(joint[name]).to(where.device)
        rows, wanted = rows.view(num_rows, -1), wanted.view(len(where), -1)
        scale = rows[known].std(0, correction=0).nan_to_num(1.0).clamp(min=1e-6)
        gap = torch.cdist(wanted / scale, (rows / scale).nan_to_num(0.0), p=1) / rows.shape[1]
        distance += gap.where(known, FAR)
    nearest = distance <= distance.min(dim=1, keepdim=True).values + 1e-6
    # The floor(where * count)-th of the agreeing rows of each image.
    order = (where * nearest.sum(1)).long()
    return (nearest.cumsum(1) > order[:, None]).float().argmax(1)


def parse_conditions(tasks: Mapping[str, Task], texts: Sequence[str], num_images: int) -> dict[str, Tensor]:
    """What a person asks for, ``task=value`` for each task, as targets for every image.

    Raises:
        UserError: If a task is unknown or a value is no target of its task.
    """
    conditions = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise UserError(f"condition {text}: write task=value, for example {next(iter(tasks), 'red')}=3")
        if name not in tasks:
            known = ", ".join(tasks) or "none: this generator has no tasks"
            raise UserError(f"condition {text}: no task is called `{name}`; the tasks are {known}")
        target = tasks[name].parse(value)
        conditions[name] = target.expand(num_images, *target.shape).clone()
    return conditions
