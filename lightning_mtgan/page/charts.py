"""The charts of one run: they share the axis of kimg, the alarms, and a colour for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from lightning_mtgan.figure_names import FIGURES, RESTORATIONS, TASKS, Figure, phase_and_loss
from lightning_mtgan.page.frame import WIDTH, Alarm
from lightning_mtgan.page.lines import Series, line_chart
from lightning_mtgan.page.markup import Markup
from lightning_mtgan.page.metrics import Metrics
from lightning_mtgan.page.numbers import as_number
from lightning_mtgan.page.reading import Run
from lightning_mtgan.page.scales import Axis, time_axis
from lightning_mtgan.page.style import COLORS


@dataclass(frozen=True)
class Charts:
    """What draws the charts of one run."""

    metrics: Metrics
    alarms: list[Alarm]
    time: Axis
    colors: Mapping[str, int]

    @classmethod
    def of(cls, run: Run) -> Charts:
        """Those of a run."""
        alarms = [Alarm(as_number(told.get("kimg")), str(told.get("verdict", ""))) for told in run.alarms]
        time = time_axis([*run.metrics.moments, *(alarm.kimg for alarm in alarms)])
        return cls(run.metrics, alarms, time, _colors(run.metrics))

    def single(self, name: str) -> Markup:
        """The chart of one figure, of what belongs beside it, and of what there is of it in each domain."""
        figure = FIGURES.get(name, Figure(name))
        domains = self.metrics.below(name)
        if name in FIGURES and not figure.each and domains:
            return self.several(figure, {name: "mean", **domains})
        series = self._curves(name, figure.label)
        if figure.beside in self.metrics.columns:
            series += self._curves(figure.beside, FIGURES[figure.beside].label, 1)
        return line_chart(figure.title, series, self.time, self.alarms, figure.explanation)

    def several(self, figure: Figure, labels: Mapping[str, str], width: int = WIDTH) -> Markup:
        """The chart of several columns, by name with their labels."""
        series: list[Series] = []
        for index, (name, label) in enumerate(labels.items()):
            series += self._curves(name, label, self.colors.get(name.split("/", 2)[-1], index))
        return line_chart(figure.title, series, self.time, self.alarms, figure.explanation, width)

    def _curves(self, name: str, label: str, color: int = 0) -> list[Series]:
        """A column's points: those of the usual protocol joined, those of any other protocol each for itself."""
        by_protocol: dict[str, list[tuple[float, float]]] = {}
        for point in self.metrics.columns[name]:
            by_protocol.setdefault(point.protocol, []).append((point.kimg, point.value))
        usual = self.metrics.periodic_protocol if self.metrics.periodic_protocol in by_protocol else ""
        return [
            Series(label, points, color, protocol == usual, "" if protocol == usual else protocol)
            for protocol, points in by_protocol.items()
        ]


def _colors(metrics: Metrics) -> dict[str, int]:
    """A colour for each task, the same in every chart, and for each other loss."""
    tasks = {task for figure in (*TASKS, *RESTORATIONS) for task in metrics.below(figure).values()}
    losses = {known[1] for known in map(phase_and_loss, metrics.columns) if known}
    labels = [*sorted(tasks), *sorted(losses - tasks)]
    own = {label: COLORS.index(label) for label in labels if label in COLORS}  # a task `red` is red
    free = (number for number in count() if number not in own.values())
    return {label: own[label] if label in own else next(free) for label in labels}
