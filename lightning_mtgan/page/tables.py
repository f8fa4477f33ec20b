"""What a run's files say in words and numbers: how far it is, what it ended with, how it was started."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lightning_mtgan.figure_names import title_of
from lightning_mtgan.page.markup import Markup, absent, grid, tag
from lightning_mtgan.page.numbers import duration, or_dash, shown
from lightning_mtgan.page.reading import Run, mapping


def header(run: Run) -> Markup:
    """The run's name and how far it is."""
    facts = {
        "steps": "–" if run.metrics.steps is None else f"{run.metrics.steps:,}",
        "kimg (thousands of images seen)": or_dash(max(run.metrics.moments, default=math.nan)),
        "newest FID": or_dash(run.metrics.newest("fid")),
        "training time": duration(run.metrics.newest("seconds")),
        "state": "complete" if run.is_complete else "in training, or ended early",
        "page written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    }
    tiles = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    missing = [absent(" ".join(run.problems))] if run.problems else []
    return tag("header", tag("h1", run.name), tag("dl", *tiles, class_="tiles"), *missing)


def summary_section(run: Run) -> list[Markup]:
    """The figures that a run ended with, how they were measured, and by what kind of run."""
    if not run.summary:
        return [absent("summary.json comes with a run's end.")]
    figures, protocol, facts = (mapping(run.summary.get(key)) for key in ("figures", "protocol", "run"))
    rows = [(title_of(name), value) for name, value in figures.items() if name.count("/") < 2]
    words = f" on {shown(protocol['num_images'])} generated images" if "num_images" in protocol else ""
    words += f", compared with {shown(protocol['compared_with'])}" if "compared_with" in protocol else ""
    state = "" if run.is_complete else f" These are of step {shown(facts.get('steps'))}; the run has gone on since."
    tables = [("Figures", rows), ("Protocol", flat(protocol)), ("Run", flat(facts))]
    parts = [tag("div", tag("h3", title), table(pairs)) for title, pairs in tables if pairs]
    return [tag("p", f"Measured{words}.{state}"), grid(*parts)]


def configuration_section(configs: Mapping[str, str]) -> list[Markup]:
    """The files that a run was started with."""
    if not configs:
        return [absent("No config.yaml yet.")]
    return [tag("details", tag("summary", name), tag("pre", text)) for name, text in configs.items()]


def flat(facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Facts with their names in words; those inside others come with both names."""
    pairs: list[tuple[str, Any]] = []
    for key, value in facts.items():
        name = str(key).replace("num_", "number of ").replace("_", " ")
        pairs += [(f"{name}: {k}", v) for k, v in flat(value)] if isinstance(value, Mapping) else [(name, value)]
    return pairs


def table(pairs: Iterable[tuple[str, Any]]) -> Markup:
    """Values, each beside its name."""
    rows = [tag("tr", tag("th", name, scope="row"), cell(value)) for name, value in pairs]
    return tag("table", tag("tbody", *rows))


def cell(value: Any) -> Markup:
    """A plain value in a table."""
    return tag("td", shown(value), class_="number" if isinstance(value, (int, float)) else None)
