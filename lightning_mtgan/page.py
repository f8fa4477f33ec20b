"""A run's page: ``index.html`` in its folder, with curves, samples and verdicts, in one file without scripts."""

from __future__ import annotations

import base64
import csv
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

from lightning_mtgan.charts import (
    COLORS,
    STYLE,
    WIDE,
    WIDTH,
    Alarm,
    Axis,
    Markup,
    Series,
    bar_chart,
    in_short,
    is_drawable,
    line_chart,
    tag,
    time_axis,
)
from lightning_mtgan.errors import UserError

NUM_EARLIER_SAMPLES = 6
SAMPLE_BYTES = 2_100_000
"""PNG bytes that a page holds, beyond the newest picture: in base64 they take a third more."""
NOTHING_FOREIGN = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page; no script runs in it, whatever a file may hold."""
HEALTHY = "healthy"
LOWER, HIGHER = "lower is better", "higher is better"


class Figure(NamedTuple):
    """How a figure is called, what it says, and which way is better."""

    title: str
    about: str = ""
    better: str = ""

    @property
    def explanation(self) -> str:
        """What it says, and which way is better."""
        return "; ".join(part for part in (self.about, self.better) if part)


FIDELITY = {
    "fid": Figure("Fréchet inception distance (FID)", "of features", LOWER),
    "kid": Figure("Kernel inception distance (KID)", "of features, unbiased", LOWER),
    "mind": Figure("Monge inception distance (MIND)", "of features, for few images", LOWER),
    "inception_score": Figure("Inception score", "sure and diverse classes", HIGHER),
    "precision": Figure("Precision", "generated images that look real", HIGHER),
    "recall": Figure("Recall", "real images that the generator reaches", HIGHER),
    "density": Figure("Density", "precision, robust to outliers", HIGHER),
    "coverage": Figure("Coverage", "recall, robust to outliers", HIGHER),
    "modes": Figure("Modes", "combinations of classes that appear", HIGHER),
    "modes_kl": Figure("KL divergence of the modes from uniform", "how unevenly they appear", LOWER),
}
COPIES = {
    "diversity": Figure("Diversity", "of images asked for the same; 1 as in the data, 0 if they are all one"),
    "duplicates": Figure("Duplicates", "generated images that repeat each other; 0.01 is normal"),
    "memorisation": Figure("Memorisation", "nearness to training images; 0.5 is right, 1 if they are copied"),
    "copy_distance": Figure("Distance to training images", "1 as for new real images, 0 if they are copied"),
    "overfitting": Figure(
        "Overfitting of the discriminator", "1 if it takes new real images for generated ones", LOWER
    ),
}
SIGNALS = {
    "signal/margin": Figure("Margin of the discriminator", "mean logit of real minus generated images"),
    "signal/r_t": Figure("Overconfidence r_t", "mean sign of real images' logits; near 1 they are learned by heart"),
    "signal/diversity": Figure("Diversity within a batch", "of images asked for the same; 1 as in the data"),
    "gradient_norm": Figure("Gradient norm of each player", "before clipping"),
    "skipped": Figure("Steps left out so far", "loss or gradient was not finite"),
    "images_per_second": Figure("Throughput", "images per second, all ranks together"),
}
TASKS = {
    "task_accuracy": Figure("Task accuracy", "generated images that show what was asked", HIGHER),
    "task_error": Figure("Task error", "distance to what was asked, in the task's own unit", LOWER),
    "head_accuracy": Figure("Accuracy of the discriminator's heads", "on held-out images", HIGHER),
    "head_error": Figure("Error of the discriminator's heads", "in standard deviations", LOWER),
    "head_calibration": Figure("Calibration error of the discriminator's heads", "on held-out images", LOWER),
}
FACTS = {
    "modes_kl_floor": Figure("Least KL divergence at that number of images"),
    "kimg": Figure("Images seen, in thousands"),
    "seconds": Figure("Training time in seconds"),
    "peak_memory_mib": Figure("Peak memory in MiB"),
}
FIGURES = FIDELITY | COPIES | SIGNALS | TASKS | FACTS
LOSS_NAMES = {"adversarial": "adversarial", "r1": "R1 penalty", "r2": "R2 penalty", "margin": "margin of the logits"}
LOSS = re.compile(r"loss/([^/]+)/(.+)", re.DOTALL)
CLASS_FIGURE = re.compile(r"((?!loss/|signal/|gradient_norm/|skipped/)[^/]+)/([^/]+)/(.+)", re.DOTALL)


class Point(NamedTuple):
    """One cell of ``metrics.csv``."""

    kimg: float
    value: float
    protocol: str


@dataclass
class Metrics:
    """What ``metrics.csv`` holds, column by column."""

    columns: dict[str, list[Point]] = field(default_factory=dict)
    protocols: Counter[str] = field(default_factory=Counter)
    classes: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """The newest measurement of single classes: by task and figure, then by class."""
    steps: int | None = None

    @property
    def periodic_protocol(self) -> str:
        """The protocol of most measurements; the first of several."""
        return max(self.protocols, key=self.protocols.__getitem__, default="")

    def points(self) -> Iterator[Point]:
        """Every cell."""
        return chain.from_iterable(self.columns.values())

    def below(self, prefix: str) -> list[str]:
        """The columns ``<prefix>/<name>``."""
        return [name for name in self.columns if re.fullmatch(rf"{re.escape(prefix)}/[^/]+", name)]


@dataclass
class Run:
    """What a run's folder holds."""

    name: str
    metrics: Metrics
    verdicts: list[dict[str, Any]]
    summary: dict[str, Any]
    samples: list[tuple[float, Path]]
    configs: dict[str, str]
    problems: list[str]
    """Files that are not there yet or cannot be read, each a sentence."""

    @cached_property
    def alarms(self) -> list[Alarm]:
        """The verdicts that are none of health."""
        ill = [verdict for verdict in self.verdicts if verdict.get("verdict") != HEALTHY]
        return [Alarm(as_number(verdict.get("kimg")), str(verdict.get("verdict", ""))) for verdict in ill]

    @cached_property
    def time(self) -> Axis:
        """The axis of kimg that all charts share."""
        return time_axis([*(p.kimg for p in self.metrics.points()), *(alarm.kimg for alarm in self.alarms)])

    @cached_property
    def colors(self) -> dict[str, int]:
        """A colour for each task, the same in every chart, and for each other loss."""
        tasks = {name.rpartition("/")[2] for prefix in TASKS for name in self.metrics.below(prefix)}
        others = {match[2] for match in map(LOSS.fullmatch, self.metrics.columns) if match} - tasks
        labels = [*sorted(tasks), *sorted(others)]
        own = {label: COLORS.index(label) for label in labels if label in COLORS}  # a task `red` is red
        free = (number for number in count() if number not in own.values())
        return {label: own[label] if label in own else next(free) for label in labels}

    @property
    def is_complete(self) -> bool:
        """Whether the summary is of the run's last step, and not of an end that it has gone on from."""
        steps = as_number(_mapping(self.summary.get("run")).get("steps"))
        return bool(self.summary) and not steps < (self.metrics.steps or 0)


def write_page(folder: Path) -> Path:
    """Write a run's page, whole or not at all, from whatever its folder holds so far.

    Args:
        folder: The run's folder.

    Returns:
        The path of ``index.html``.

    Raises:
        UserError: If there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder of a run; name one such as runs/default/version_0")
    path = folder / "index.html"
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(render(read_run(folder)), encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_run(folder: Path) -> Run:
    """Everything of a run's folder that a page shows."""
    problems: list[str] = []
    verdicts = _read_json(folder / "verdicts.json", list, problems) if (folder / "verdicts.json").exists() else []
    place = folder.resolve()
    metrics = Metrics()
    try:
        with (folder / "metrics.csv").open(newline="", encoding="utf-8", errors="replace") as file:
            metrics = read_metrics(csv.DictReader(file))
    except FileNotFoundError:
        problems.append("metrics.csv is not there yet.")
    except (OSError, csv.Error) as error:
        problems.append(f"metrics.csv cannot be read ({error}).")
    summary = _read_json(folder / "summary.json", dict, problems)
    configs = {path.name: path.read_text("utf-8", "replace") for path in sorted(folder.glob("config*.yaml"))}
    if "config.yaml" not in configs:
        problems.append("config.yaml is not there yet.")
    matches = [(re.fullmatch(r"kimg_(\d+(?:\.\d+)?)\.png", path.name), path) for path in folder.glob("samples/*.png")]
    samples = sorted((float(match[1]), path) for match, path in matches if match)
    return Run(
        name=f"{place.parent.name}/{place.name}",
        metrics=metrics,
        verdicts=[verdict for verdict in verdicts if isinstance(verdict, dict)],
        summary=summary,
        samples=samples,
        configs=configs,
        problems=problems + ([] if samples else ["samples/ holds no picture yet."]),
    )


def read_metrics(rows: Iterable[Mapping[str | None, Any]]) -> Metrics:
    """The columns of ``metrics.csv``; empty cells, and the rest of a row that is being written, are left out."""
    metrics = Metrics()
    for row in rows:
        kimg, step = as_number(row.get("kimg")), as_number(row.get("step"))
        protocol = str(row.get("protocol") or "")
        if is_drawable(step):
            metrics.steps = max(int(step), metrics.steps or 0)
        if not is_drawable(kimg):
            continue
        if protocol:
            metrics.protocols[protocol] += 1
        cells = {name: as_number(cell) for name, cell in row.items() if name and name != "protocol" and is_number(cell)}
        for name, value in cells.items():
            metrics.columns.setdefault(name, []).append(Point(kimg, value, protocol))
        metrics.classes = by_class(cells) or metrics.classes
    for points in metrics.columns.values():
        points.sort(key=lambda point: point.kimg)
    return metrics


def by_class(cells: Mapping[str, float]) -> dict[tuple[str, str], dict[str, float]]:
    """The figures of single classes, by task and figure, then by class."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, value in cells.items():
        if name.count("/") > 1 and (match := CLASS_FIGURE.fullmatch(name)):
            figure, task, label = match.groups()
            found.setdefault((task, figure), {})[label] = value
    return found


def render(run: Run) -> str:
    """The page of a run."""
    sections = {
        "Verdicts": verdicts_section(run),
        "Samples": samples_section(run.samples),
        "Fidelity": fidelity_section(run),
        "Losses": losses_section(run),
        "Signals": signals_section(run),
        "Classes": classes_section(run),
        "Tasks": tasks_section(run),
        "Other figures": others_section(run),
        "Final figures": summary_section(run),
        "Configuration": configuration_section(run.configs),
    }
    sections = {title: content for title, content in sections.items() if content}
    links = [tag("a", title, href=f"#{_anchor(title)}") for title in sections]
    body = [tag("section", tag("h2", title), *content, id=_anchor(title)) for title, content in sections.items()]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=NOTHING_FOREIGN),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", run.name),
        tag("style", Markup(STYLE)),
    )
    page = tag("html", head, tag("body", header(run), tag("nav", *links), tag("main", *body)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def header(run: Run) -> Markup:
    """The run's name and how far it is."""
    kimg = max((point.kimg for point in run.metrics.points()), default=math.nan)
    newest = {name: run.metrics.columns[name][-1].value for name in ("fid", "seconds") if name in run.metrics.columns}
    facts = {
        "steps": "–" if run.metrics.steps is None else f"{run.metrics.steps:,}",
        "kimg (thousands of images seen)": _or_dash(kimg),
        "newest FID": _or_dash(newest.get("fid", math.nan)),
        "training time": duration(newest.get("seconds", math.nan)),
        "state": "complete" if run.is_complete else "in training, or ended early",
        "page written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    }
    tiles = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    missing = [_absent(" ".join(run.problems))] if run.problems else []
    return tag("header", tag("h1", run.name), tag("dl", *tiles, class_="tiles"), *missing)


def verdicts_section(run: Run) -> list[Markup]:
    """Every change of the verdict on the training, the newest first."""
    if unread := [problem for problem in run.problems if problem.startswith("verdicts.json")]:
        return [_absent(" ".join(unread))]
    if not run.verdicts:
        return [tag("p", "No alarm so far; verdicts.json comes with the first one.", class_="good")]
    newest_first = sorted(run.verdicts, key=_kimg_or_zero)[::-1]
    number, last = len(run.alarms), str(newest_first[0].get("verdict", ""))
    alarms = f"{number} alarm{'s' * (number > 1)}; every chart marks them in red" if number else "No alarm so far"
    now = tag("p", f"{alarms}. The newest verdict: {last}.", class_="good" if last == HEALTHY else "bad")
    rows = []
    for verdict in newest_first:
        name = str(verdict.get("verdict", ""))
        look = "good" if name == HEALTHY else "bad"
        kimg, step, evidence, reaction = (_cell(verdict.get(key)) for key in ("kimg", "step", "evidence", "reaction"))
        rows.append(tag("tr", kimg, step, tag("td", name, class_=f"verdict {look}"), evidence, reaction))
    head = tag("tr", *(tag("th", name) for name in ("kimg", "step", "verdict", "evidence", "reaction")))
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return [now, tag("div", table, class_="scroll")]


def samples_section(samples: Sequence[tuple[float, Path]]) -> list[Markup]:
    """The newest picture large, and earlier ones."""
    if not samples:
        return [_absent("No picture yet.")]
    kimg, newest = samples[-1]
    earlier = chosen_samples(samples[:-1])
    parts = [
        tag("figure", tag("figcaption", f"newest, at {in_short(kimg)} kimg"), _image(kimg, newest), class_="newest")
    ]
    if earlier:
        strip = [tag("figure", tag("figcaption", f"{in_short(k)} kimg"), _image(k, path)) for k, path in earlier]
        parts.append(tag("div", *strip, class_="strip"))
    if len(samples) > 1 + len(earlier):
        parts.append(tag("p", f"{1 + len(earlier)} of the {len(samples)} pictures in samples/.", class_="note"))
    return parts


def chosen_samples(samples: Sequence[tuple[float, Path]]) -> list[tuple[float, Path]]:
    """Pictures evenly spread over time, from the first on, as many as a page has room for."""
    for size in range(min(NUM_EARLIER_SAMPLES, len(samples)), 0, -1):
        first, last = samples[0][0], samples[-1][0]
        wanted = [first + (last - first) * index / max(size - 1, 1) for index in range(size)]
        nearest = {min(samples, key=lambda sample: abs(sample[0] - moment)) for moment in wanted}
        if sum(path.stat().st_size for _, path in nearest) <= SAMPLE_BYTES:
            return sorted(nearest)
    return []


def fidelity_section(run: Run) -> list[Markup]:
    """One chart for each figure of the measurements, then for each of copies and diversity."""
    parts = []
    for table in (FIDELITY, COPIES):
        charts = [single(run, name) for name in table if name in run.metrics.columns]
        parts += [tag("div", *charts, class_="grid")] if charts else []
    if not parts:
        return [_absent("No measurement yet.")]
    usual = run.metrics.periodic_protocol
    if usual:
        parts.append(tag("p", tag("b", "Line: "), usual, class_="note"))
    for protocol in run.metrics.protocols:
        if protocol != usual:
            text = f"{protocol}. Another protocol than the line's: the two do not compare."
            parts.append(tag("p", tag("b", "◆ "), text, class_="note"))
    return parts


def losses_section(run: Run) -> list[Markup]:
    """One chart for each phase, all its losses in it."""
    phases: dict[str, dict[str, str]] = {}
    for name in run.metrics.columns:
        if match := LOSS.fullmatch(name):
            phases.setdefault(match[1], {})[name] = match[2]
    charts = [
        several(run, Figure(f"Losses of the {phase}", "unweighted"), names, WIDE) for phase, names in phases.items()
    ]
    return [tag("div", *charts, class_="grid pairs")] if charts else [_absent("No loss yet.")]


def signals_section(run: Run) -> list[Markup]:
    """What every step tells of the players' balance, and how fast it goes."""
    charts = [single(run, name) for name in run.metrics.below("signal")]
    for prefix in ("gradient_norm", "skipped"):
        if names := run.metrics.below(prefix):
            charts.append(several(run, FIGURES[prefix], {name: name.partition("/")[2] for name in names}))
    charts += [single(run, name) for name in ("images_per_second",) if name in run.metrics.columns]
    return [tag("div", *charts, class_="grid")] if charts else [_absent("No signal yet.")]


def classes_section(run: Run) -> list[Markup]:
    """Bars of the newest measurement of each class."""
    charts: dict[str, list[Markup]] = {}
    for (task, name), values in sorted(run.metrics.classes.items()):
        figure = FIGURES.get(name, Figure(name))
        bars = [(label, values[label]) for label in in_order(values)]
        chart = bar_chart(f"{figure.title} by class", bars, is_high_worse=figure.better != HIGHER, about=figure.better)
        charts.setdefault(task, []).append(chart)
    parts = [[tag("h3", f"Task {task}"), tag("div", *group, class_="grid")] for task, group in charts.items()]
    return list(chain.from_iterable(parts)) or [_absent("No figure of single classes yet.")]


def tasks_section(run: Run) -> list[Markup]:
    """How well tasks are solved, by the judge and by the discriminator's own heads."""
    charts = []
    for prefix, figure in TASKS.items():
        names = {name: name.partition("/")[2] for name in run.metrics.below(prefix)}
        if prefix == "task_error":  # each in a unit of its own
            charts += [several(run, figure._replace(title=f"{figure.title}: {names[n]}"), {n: names[n]}) for n in names]
        elif names:
            charts.append(several(run, figure, names))
    return [tag("div", *charts, class_="grid")] if charts else [_absent("No figure of a task yet.")]


def others_section(run: Run) -> list[Markup]:
    """Curves of whatever else a run has logged, by its own name."""
    groups = ("signal", "gradient_norm", "skipped", *TASKS)
    known = {"step", *FIGURES, *(name for prefix in groups for name in run.metrics.below(prefix))}
    rest = [
        n for n in run.metrics.columns if n not in known and not LOSS.fullmatch(n) and not CLASS_FIGURE.fullmatch(n)
    ]
    return [tag("div", *(single(run, name) for name in rest), class_="grid")] if rest else []


def summary_section(run: Run) -> list[Markup]:
    """The figures that a run ended with, how they were measured, and by what kind of run."""
    if not run.summary:
        return [_absent("summary.json comes with a run's end.")]
    figures, protocol, facts = (_mapping(run.summary.get(key)) for key in ("figures", "protocol", "run"))
    rows = [(title_of(name), value) for name, value in figures.items() if name.count("/") < 2]
    words = f" on {shown(protocol['num_images'])} generated images" if "num_images" in protocol else ""
    words += f", compared with {shown(protocol['compared_with'])}" if "compared_with" in protocol else ""
    state = "" if run.is_complete else f" These are of step {shown(facts.get('steps'))}; the run has gone on since."
    tables = [("Figures", rows), ("Protocol", flat(protocol)), ("Run", flat(facts))]
    parts = [tag("div", tag("h3", title), _table(pairs)) for title, pairs in tables if pairs]
    return [tag("p", f"Measured{words}.{state}"), tag("div", *parts, class_="grid")]


def configuration_section(configs: Mapping[str, str]) -> list[Markup]:
    """The files that a run was started with."""
    if not configs:
        return [_absent("No config.yaml yet.")]
    return [tag("details", tag("summary", name), tag("pre", text)) for name, text in configs.items()]


def single(run: Run, name: str) -> Markup:
    """The chart of one figure; that of the modes has the least value possible beside it."""
    figure = FIGURES.get(name, Figure(name))
    series = curves(run.metrics, name, figure.title.partition(" of ")[0])
    if name == "modes_kl" and "modes_kl_floor" in run.metrics.columns:
        series += curves(run.metrics, "modes_kl_floor", "least at that number of images", 1)
    return line_chart(figure.title, series, run.time, run.alarms, figure.explanation)


def several(run: Run, figure: Figure, labels: Mapping[str, str], width: int = WIDTH) -> Markup:
    """The chart of several figures, by name with their labels."""
    series: list[Series] = []
    for index, (name, label) in enumerate(labels.items()):
        series += curves(run.metrics, name, LOSS_NAMES.get(label, label), run.colors.get(label, index))
    return line_chart(figure.title, series, run.time, run.alarms, figure.explanation, width)


def curves(metrics: Metrics, name: str, label: str, color: int = 0) -> list[Series]:
    """A figure's points: those of the usual protocol joined, those of any other protocol each for itself."""
    by_protocol: dict[str, list[tuple[float, float]]] = {}
    for point in metrics.columns[name]:
        by_protocol.setdefault(point.protocol, []).append((point.kimg, point.value))
    usual = metrics.periodic_protocol if metrics.periodic_protocol in by_protocol else ""
    return [
        Series(label, points, color, protocol == usual, "" if protocol == usual else protocol)
        for protocol, points in by_protocol.items()
    ]


def title_of(name: str) -> str:
    """A figure's name in words."""
    prefix, _, rest = name.partition("/")
    figure = FIGURES.get(name) or FIGURES.get(prefix)
    if figure is None:
        return name
    return figure.title if name in FIGURES else f"{figure.title}: {rest}"


def flat(facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Facts with their names in words; those inside others come with both names."""
    pairs: list[tuple[str, Any]] = []
    for key, value in facts.items():
        name = str(key).replace("num_", "number of ").replace("_", " ")
        pairs += [(f"{name}: {k}", v) for k, v in flat(value)] if isinstance(value, Mapping) else [(name, value)]
    return pairs


def shown(value: Any) -> str:
    """A plain value as text."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return in_short(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """A time in the two units that matter."""
    if not is_drawable(seconds):
        return "–"
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{seconds:.0f} s"


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels as a person sorts them: 2 before 10."""
    return sorted(labels, key=lambda label: [(not p.isdecimal(), p.zfill(20)) for p in re.split(r"(\d+)", label) if p])


def as_number(value: Any) -> float:
    """A cell or a value of a file as a number; nan for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def is_number(cell: Any) -> bool:
    """Whether a cell holds a number, nan among them."""
    return isinstance(cell, str) and (not math.isnan(as_number(cell)) or cell.strip().lower() == "nan")


def _kimg_or_zero(verdict: Mapping[str, Any]) -> float:
    kimg = as_number(verdict.get("kimg"))
    return kimg if is_drawable(kimg) else 0.0


def _or_dash(value: float) -> str:
    return in_short(value) if is_drawable(value) else "–"


def _read_json(path: Path, kind: type, problems: list[str]) -> Any:
    """A file's content; an empty one where it is missing or no ``kind``, and a sentence that says so."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if isinstance(content, kind):
            return content
        problems.append(f"{path.name} is no {kind.__name__}.")
    except FileNotFoundError:
        problems.append(f"{path.name} is not there yet.")
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read ({error}).")
    return kind()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _table(pairs: Iterable[tuple[str, Any]]) -> Markup:
    rows = [tag("tr", tag("th", name, scope="row"), _cell(value)) for name, value in pairs]
    return tag("table", tag("tbody", *rows))


def _cell(value: Any) -> Markup:
    return tag("td", shown(value), class_="number" if isinstance(value, (int, float)) else None)


def _image(kimg: float, path: Path) -> Markup:
    data = base64.b64encode(path.read_bytes()).decode()
    return tag("img", src=f"data:image/png;base64,{data}", alt=f"generated images at {in_short(kimg)} kimg")


def _absent(text: str) -> Markup:
    return tag("p", text, class_="absent")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
