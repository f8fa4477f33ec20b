"""The sections of the page that hold charts: each chooses columns, and says so where there are none yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

from lightning_mtgan.figure_names import (
    COPIES,
    FIDELITY,
    FIGURES,
    HIGHER,
    LOSS_NAMES,
    RESTORATIONS,
    SIGNALS,
    TASKS,
    Figure,
    is_of_a_class,
    losses_of,
    phase_and_loss,
)
from lightning_mtgan.page.bars import bar_chart
from lightning_mtgan.page.charts import Charts
from lightning_mtgan.page.frame import WIDE
from lightning_mtgan.page.markup import Markup, absent, grid, tag
from lightning_mtgan.page.metrics import Metrics

TOO_FEW = "for classes with too few images for an FID"
"""Where KID stands in."""


def fidelity_section(charts: Charts) -> list[Markup]:
    """One chart for each figure of the measurements, then for each of copies and diversity."""
    metrics = charts.metrics
    groups = [[charts.single(name) for name in table if name in metrics.columns] for table in (FIDELITY, COPIES)]
    parts = [grid(*group) for group in groups if group]
    if not parts:
        return [absent("No measurement yet.")]
    usual = metrics.periodic_protocol
    if usual:
        parts.append(tag("p", tag("b", "Line: "), usual, class_="note"))
    for protocol in metrics.protocols:
        if protocol != usual:
            text = f"{protocol}. Another protocol than the line's: the two do not compare."
            parts.append(tag("p", tag("b", "◆ "), text, class_="note"))
    return parts


def losses_section(charts: Charts) -> list[Markup]:
    """One chart for each phase, all its losses in it."""
    phases: dict[str, dict[str, str]] = {}
    for name in charts.metrics.columns:
        if known := phase_and_loss(name):
            phases.setdefault(known[0], {})[name] = LOSS_NAMES.get(known[1], known[1])
    drawn = [charts.several(losses_of(phase), names, WIDE) for phase, names in phases.items()]
    return [tag("div", *drawn, class_="grid pairs")] if drawn else [absent("No loss yet.")]


def signals_section(charts: Charts) -> list[Markup]:
    """What every step tells of the players' balance, and how fast it goes."""
    metrics = charts.metrics
    drawn = [charts.single(name) for name in metrics.below("signal")]
    for name, figure in SIGNALS.items():
        if names := metrics.below(name):
            drawn.append(charts.several(figure, names))
        elif name in metrics.columns and not name.startswith("signal/"):
            drawn.append(charts.single(name))
    return [grid(*drawn)] if drawn else [absent("No signal yet.")]


def classes_section(charts: Charts) -> list[Markup]:
    """Bars of the newest measurement of each class."""
    drawn: dict[str, list[Markup]] = {}
    for (task, name), values in sorted(charts.metrics.classes.items()):
        figure = FIGURES.get(name, Figure(name))
        bars = [(label, values[label]) for label in in_order(values)]
        about = f"{figure.better}; {TOO_FEW}" if name == "kid" else figure.better
        chart = bar_chart(f"{figure.title} by class", bars, is_high_worse=figure.better != HIGHER, about=about)
        drawn.setdefault(task, []).append(chart)
    parts = [[tag("h3", f"Task {task}"), grid(*group)] for task, group in drawn.items()]
    return list(chain.from_iterable(parts)) or [absent("No figure of single classes yet.")]


def tasks_section(charts: Charts) -> list[Markup]:
    """How well tasks are solved, by the judge and by the discriminator's own heads, and images restored."""
    drawn = []
    for prefix, figure in (TASKS | RESTORATIONS).items():
        names = charts.metrics.below(prefix)
        if prefix in charts.metrics.columns:  # the mean over all
            drawn.append(charts.single(prefix))
        if prefix == "task_error":  # each in a unit of its own
            for name, task in names.items():
                drawn.append(charts.several(figure._replace(title=f"{figure.title}: {task}"), {name: task}))
        elif names:
            drawn.append(charts.several(figure, names))
    return [grid(*drawn)] if drawn else [absent("No figure of a task yet.")]


def others_section(charts: Charts) -> list[Markup]:
    """Curves of whatever else a run has logged, by its own name."""
    rest = undescribed(charts.metrics)
    return [grid(*(charts.single(name) for name in rest))] if rest else []


def undescribed(metrics: Metrics) -> list[str]:
    """The columns that no other section shows."""
    groups = ["signal", *FIGURES]
    known = {"step", *FIGURES, *chain.from_iterable(metrics.below(group) for group in groups)}
    return [n for n in metrics.columns if n not in known and not phase_and_loss(n) and not is_of_a_class(n)]


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels as a person sorts them: 2 before 10."""
    return sorted(labels, key=lambda label: [(not p.isdecimal(), p.zfill(20)) for p in re.split(r"(\d+)", label) if p])
