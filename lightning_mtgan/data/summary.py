"""What a data set holds, task by task, for people to look at before they train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from lightning_mtgan.types import TaskKind, TaskSpec, is_known

FEW = 10
"""A class with fewer images is warned of: they are learned by heart."""
SHOWN = 8
"""Classes of a task that are shown, the largest first."""


@dataclass(frozen=True)
class TaskSummary:
    """One task in words.

    Args:
        name: Of the task.
        kind: Its kind, and how many classes, answers or numbers it has.
        values: How its values are distributed.
        num_missing: Images that lack it.
    """

    name: str
    kind: str
    values: str
    num_missing: int

    def of(self, domain: str) -> TaskSummary:
        """The same task, as one of a domain."""
        return replace(self, name=f"{domain}: {self.name}")


@dataclass
class Summary:
    """What a data set holds.

    Args:
        facts: What there is to know, by a word or two.
        tasks: The tasks.
        problems: Everything that cannot be used, by name, with the reason.
        notes: What else should be known.
    """

    facts: dict[str, str]
    tasks: list[TaskSummary]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def print_summary(summary: Summary, most: int | None = None) -> None:
    """Print it as tables.

    Args:
        summary: What to print.
        most: Problems and notes that are printed at most; None for every one.
    """
    console = Console(soft_wrap=True, highlight=False)
    facts = Table(title="The data", show_header=False, title_justify="left")
    for name, value in summary.facts.items():
        facts.add_row(name, escape(value))
    console.print(facts)
    if summary.tasks:
        tasks = Table("task", "kind", "values", "missing", title="Tasks", title_justify="left")
        for task in summary.tasks:
            tasks.add_row(escape(task.name), task.kind, escape(task.values), f"{task.num_missing:,}")
        console.print(tasks)
    for title, lines in (("Cannot be used", summary.problems), ("Notes", summary.notes)):
        if lines:
            console.print(f"{title}: {len(lines):,}")
            for line in lines[:most]:
                console.print(f"  {escape(line)}")
            if most is not None and len(lines) > most:
                console.print(f"  and {len(lines) - most:,} more, which `python -m lightning_mtgan inspect-data` lists")


def summarise(
    specs: Sequence[TaskSpec], targets: Mapping[str, Tensor], known_of: Mapping[str, Tensor]
) -> tuple[list[TaskSummary], list[str]]:
    """Each task in words, and warnings about them.

    Args:
        specs: The tasks.
        targets: The targets of all images, by task; of maps those of some; constraints have none.
        known_of: Which images have their target, by task.
    """
    tasks: list[TaskSummary] = []
    warnings: list[str] = []
    for spec in specs:
        if spec.name not in targets:
            tasks.append(TaskSummary(spec.name, f"constraint, {_count(spec.size, 'number')}", "measured", 0))
            continue
        target = targets[spec.name]
        values = target[is_known(target)]
        if spec.kind is TaskKind.CLASSIFICATION:
            kind, words = f"classification, {spec.size} classes", _classes(spec, values, warnings)
        elif spec.kind is TaskKind.ATTRIBUTES:
            kind, words = _count(spec.size, "attribute"), _shares(spec, values)
        elif spec.kind is TaskKind.DENSE:
            kind = f"dense, {spec.size} x {spec.resolution} x {spec.resolution}"
            words = f"{values.clamp(min=0).double().mean().item() / 255:.0%} filled" if len(values) else ""
        else:
            kind, words = f"regression, {_count(spec.size, 'number')}", _ranges(values)
        tasks.append(TaskSummary(spec.name, kind, words, int((~known_of[spec.name]).sum())))
    return tasks, warnings


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _classes(spec: TaskSpec, values: Tensor, warnings: list[str]) -> str:
    counts = torch.bincount(values, minlength=spec.size)
    names = spec.labels or tuple(str(number) for number in range(spec.size))
    small = [f"{names[i]} ({int(counts[i])})" for i in range(spec.size) if counts[i] < FEW]
    if small:
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        warnings.append(f"task {spec.name}: few images of {', '.join(small[:5])}{more}; they will be learned by heart")
    order = counts.argsort(descending=True, stable=True).tolist()
    shown = ", ".join(f"{names[i]}: {int(counts[i]):,}" for i in order[:SHOWN])
    if len(order) <= SHOWN:
        return shown
    return f"{shown} … {names[order[-1]]}: {int(counts[order[-1]]):,}"


def _shares(spec: TaskSpec, values: Tensor) -> str:
    names = spec.labels or (("yes",) if spec.size == 1 else tuple(str(number) for number in range(spec.size)))
    shares = values.nanmean(0).tolist()
    shown = ", ".join(f"{name} {share:.0%}" for name, share in list(zip(names, shares, strict=True))[:SHOWN])
    return shown + (" …" if len(names) > SHOWN else "")


def _ranges(values: Tensor) -> str:
    parts = []
    for column in values.T[:SHOWN]:
        present = column[~column.isnan()].double()
        parts.append(f"{present.min():.3g} to {present.max():.3g}, mean {present.mean():.3g}")
    return "; ".join(parts)
