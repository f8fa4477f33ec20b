"""``metrics.csv``, column by column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lightning_mtgan.figure_names import by_class, is_of_a_class
from lightning_mtgan.page.numbers import as_number, is_drawable


class Point(NamedTuple):
    """One cell."""

    kimg: float
    value: float
    protocol: str


@dataclass
class Metrics:
    """What the file holds."""

    columns: dict[str, list[Point]] = field(default_factory=dict)
    protocols: Counter[str] = field(default_factory=Counter)
    classes: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """The newest measurement of single classes: by task and figure, then by class."""
    steps: int | None = None

    @property
    def periodic_protocol(self) -> str:
        """The protocol of most measurements; the first of several."""
        return max(self.protocols, key=self.protocols.__getitem__, default="")

    @property
    def moments(self) -> list[float]:
        """The kimg of every row."""
        return [point.kimg for point in self.columns.get("kimg", ())]

    def newest(self, name: str) -> float:
        """The last value of a column; nan where there is none."""
        return self.columns[name][-1].value if name in self.columns else math.nan

    def below(self, prefix: str) -> dict[str, str]:
        """The columns ``<prefix>/<part>``, each with its part."""
        pairs = {name: name.partition("/") for name in self.columns}
        return {name: part for name, (start, _, part) in pairs.items() if start == prefix and part and "/" not in part}


def read_metrics(rows: Iterator[Sequence[str]]) -> Metrics:
    """The columns; empty cells, and the rest of a row that is being written, are left out.

    Args:
        rows: The file's rows, the names of its columns first.
    """
    metrics = Metrics()
    names = next(rows, ())
    of_classes, newest = {name for name in names if is_of_a_class(name)}, dict[str, float]()
    for row in rows:
        cells = {name: cell for name, cell in zip(names, row, strict=False) if cell}  # most are empty
        protocol = cells.pop("protocol", "")
        values = {name: as_number(cell) for name, cell in cells.items() if name}
        values = {name: value for name, value in values.items() if value == value or _is_nan(cells[name])}
        if is_drawable(step := values.get("step", math.nan)):
            metrics.steps = max(int(step), metrics.steps or 0)
        if not is_drawable(kimg := values.get("kimg", math.nan)):
            continue
        if protocol:
            metrics.protocols[protocol] += 1
        for name, value in values.items():
            metrics.columns.setdefault(name, []).append(Point(kimg, value, protocol))
        newest = newest if of_classes.isdisjoint(values) else values
    metrics.classes = by_class(newest)
    for points in metrics.columns.values():
        points.sort(key=lambda point: point.kimg)
    return metrics


def _is_nan(cell: str) -> bool:
    """Whether a cell that is no number means one."""
    return cell.strip().lower() == "nan"
