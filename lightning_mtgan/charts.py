"""Charts as inline SVG, and the markup they are made of, in which text is escaped unless it is markup itself."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

COLORS = ("blue", "orange", "green", "violet", "yellow", "cyan", "red")
"""Colours of series, by number; beyond the last they come again, with dashes."""
LOG_RATIO = 50.0
"""Positive values whose largest is this many times their smallest get a logarithmic axis."""
MOST_POINTS = 400
"""Points of one line, at most."""
MOST_DOTS = 80
"""Lines of at most so many points show each of them, with its value to hover over."""
MOST_BARS = 40
WIDTH, HEIGHT = 340, 190
WIDE = 560
"""Sizes of drawings, in pixels where there is room."""
LARGEST = 1e100
"""Numbers beyond are treated like infinity: differences of them would overflow."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is markup already and is not escaped again."""


@dataclass(frozen=True)
class Series:
    """One line of a chart, or single markers.

    Args:
        label: What it shows.
        points: (kimg, value), in order; values that are not finite are left out.
        color: Number of its colour.
        is_joined: Whether a line joins the points; without one they are diamonds.
        note: What to add to each point's tooltip.
    """

    label: str
    points: Sequence[tuple[float, float]]
    color: int = 0
    is_joined: bool = True
    note: str = ""


@dataclass(frozen=True)
class Alarm:
    """A moment that every chart marks."""

    kimg: float
    label: str


@dataclass(frozen=True)
class Axis:
    """The numbers from one end of a chart to the other."""

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, from 0 at the low end to 1."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """About ``count`` round numbers of the axis with their labels."""
        if self.is_log:
            return [(value, in_short(value)) for value in _log_ticks(self.low, self.high, count)]
        step = _round_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [number * step for number in range(first, last + 1)]
        return [(value, _with_step(value, step)) for value in values]


def tag(name: str, /, *content: str, **attributes: object) -> Markup:
    """An element.

    Args:
        name: Its name.
        content: Its children; text is escaped, markup is not.
        attributes: By name; a trailing underscore is dropped, others become hyphens. None leaves one out.
    """
    pairs = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    inside = "".join(f' {key}="{escape(str(value))}"' for key, value in pairs.items())
    return Markup(f"<{name}{inside}>{join(*content)}</{name}>" if content else f"<{name}{inside}/>")


def join(*content: str) -> Markup:
    """Several pieces one after the other; text is escaped, markup is not."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece) for piece in content))


def escape(text: str) -> Markup:
    """Text as a browser shows it; characters that no page may hold become question marks."""
    return Markup(html.escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)))


def is_drawable(value: float) -> bool:
    """Whether a chart can show a number."""
    return math.isfinite(value) and abs(value) <= LARGEST


def in_short(value: float) -> str:
    """A number in four digits; thousands, and whole numbers, in full."""
    if math.isfinite(value) and 10 <= abs(value) < 1e9 and (abs(value) >= 1000 or value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def time_axis(kimg: Sequence[float]) -> Axis:
    """The axis of kimg that all charts of a page share; it begins at 0 unless the run began late."""
    known = [value for value in kimg if is_drawable(value)]
    if not known:
        return Axis(0.0, 1.0)
    low, high = min(known), max(known)
    low = min(low, 0.0) if low < 0.5 * high else low
    return Axis(low, high) if high > low else Axis(min(low, 0.0), max(high, low + 1.0))


def value_axis(values: Sequence[float]) -> Axis:
    """An axis with some room around the values, logarithmic where they span orders of magnitude."""
    if not values:
        return Axis(0.0, 1.0)
    low, high = min(values), max(values)
    if low > 1 / LARGEST and high / low > LOG_RATIO:
        room = (high / low) ** 0.05
        return Axis(low / room, high * room, is_log=True)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / LARGEST):
        room = 0.1 * abs(low) or 1.0
    else:
        room = 0.06 * (high - low)
    return Axis(max(low - room, 0.0) if low >= 0 else low - room, high + room)


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points: the lowest and the highest of each stretch, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    length = math.ceil(2 * len(points) / most)
    kept: list[tuple[float, float]] = []
    for first in range(0, len(points), length):
        stretch = range(first, min(first + length, len(points)))
        extremes = {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
        kept += [points[index] for index in sorted(extremes)]
    return kept


def line_chart(
    title: str,
    series: Sequence[Series],
    time: Axis,
    alarms: Sequence[Alarm] = (),
    about: str = "",
    width: int = WIDTH,
) -> Markup:
    """Figures over kimg, with a legend where there are several.

    Args:
        title: What the chart shows.
        series: The lines; those of one colour share a label and stand in the legend once.
        time: The axis of kimg.
        alarms: Moments to mark.
        about: A line of explanation.
        width: Of the drawing.
    """
    drawn = [Series(s.label, _drawable(s.points), s.color, s.is_joined, s.note) for s in series]
    left_out = sum(len(before.points) - len(after.points) for before, after in zip(series, drawn, strict=True))
    axis = value_axis([value for one in drawn for _, value in one.points])
    notes = ["log scale"] if axis.is_log else []
    notes += [f"{left_out} value{'s' * (left_out > 1)} not finite"] if left_out else []
    caption = _caption(title, about, notes)
    if not any(one.points for one in drawn):
        return tag("figure", caption, tag("p", "No finite value.", class_="absent"), class_="chart")
    frame = _Frame.around(axis.ticks(), width)
    parts = [*_grid(frame, axis, time), *(_alarm(frame, time, alarm) for alarm in _apart(alarms, frame, time))]
    for one in drawn:
        parts += _line(frame, axis, time, one) if one.is_joined else _diamonds(frame, axis, time, one)
    picture = tag("svg", *parts, viewBox=f"0 0 {width} {HEIGHT}", role="img", aria_label=title)
    return tag("figure", caption, _legend(drawn), picture, class_="chart")


def bar_chart(title: str, bars: Sequence[tuple[str, float]], is_high_worse: bool, about: str = "") -> Markup:
    """One bar for each class, the worst of them marked; of very many classes, only the worst are shown.

    Args:
        title: What the chart shows.
        bars: (class, value); values that are not finite get no bar.
        is_high_worse: Whether the highest value is the worst one.
        about: A line of explanation.
    """
    values = [value for _, value in bars if is_drawable(value)]
    low, high = min([0.0, *values]), max([0.0, *values])
    axis = Axis(low, high if high > low else low + 1.0)
    worst = (max if is_high_worse else min)(values, default=None)
    best = (min if is_high_worse else max)(values, default=None)
    shown, notes = bars, []
    if len(bars) > MOST_BARS:
        shown = sorted((bar for bar in bars if is_drawable(bar[1])), key=lambda bar: bar[1], reverse=is_high_worse)
        shown = shown[:MOST_BARS]
        notes = [f"the worst {len(shown)} of {len(bars)} classes; best {in_short(best)}" if best is not None else ""]
    row = 20
    left = 12.0 + 6.3 * min(18, max((len(label) for label, _ in shown), default=0))
    scale = WIDTH - left - 112  # room for a value and a mark
    zero = left + scale * axis.place(0.0)
    parts = []
    for index, (label, value) in enumerate(shown):
        middle, is_worst = row * index + row / 2, value == worst != best
        name = label if len(label) <= 18 else label[:17] + "…"
        parts.append(tag("text", name, x=left - 6, y=middle + 4, class_="label end"))
        mark = "worst" if is_worst else ""
        if is_drawable(value):
            end = left + scale * axis.place(value)
            start, length = min(zero, end), max(abs(end - zero), 1.0)
            shape = {"x": _px(start), "y": middle - 6, "width": _px(length), "height": 12, "rx": 2}
            hint = tag("title", f"{label}: {value:.6g}{', the worst' if is_worst else ''}")
            parts.append(tag("rect", hint, class_=f"bar {mark}".strip(), **shape))
        text, after = in_short(value) + (" ◀ worst" if is_worst else ""), left + scale * axis.place(max(value, 0.0))
        x = after + 6 if is_drawable(value) else zero + 6
        parts.append(tag("text", text, x=_px(x), y=middle + 4, class_=f"label {mark}".strip()))
    picture = tag("svg", *parts, viewBox=f"0 0 {WIDTH} {row * max(len(shown), 1)}", role="img", aria_label=title)
    return tag("figure", _caption(title, about, notes), picture, class_="chart")


@dataclass(frozen=True)
class _Frame:
    """Where the axes stand in a drawing."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def around(cls, ticks: Sequence[tuple[float, str]], width: int) -> _Frame:
        longest = max((len(label) for _, label in ticks), default=1)
        return cls(12 + 6.3 * longest, width - 14.0, 10.0, HEIGHT - 34.0)

    def x(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

    def y(self, share: float) -> float:
        return self.bottom - share * (self.bottom - self.top)


def _caption(title: str, about: str, notes: Sequence[str]) -> Markup:
    rest = " · ".join(part for part in (about, *notes) if part)
    return tag("figcaption", tag("strong", title), tag("span", rest) if rest else Markup())


def _grid(frame: _Frame, axis: Axis, time: Axis) -> list[Markup]:
    parts = []
    for value, label in axis.ticks():
        y = frame.y(axis.place(value))
        parts.append(tag("line", x1=_px(frame.left), x2=_px(frame.right), y1=_px(y), y2=_px(y), class_="grid-line"))
        parts.append(tag("text", label, x=_px(frame.left - 6), y=_px(y + 4), class_="tick end"))
    for value, label in time.ticks(count=round((frame.right - frame.left) / 70)):
        x = frame.x(time.place(value))
        parts.append(
            tag("line", x1=_px(x), x2=_px(x), y1=_px(frame.bottom), y2=_px(frame.bottom + 4), class_="axis-line")
        )
        parts.append(tag("text", label, x=_px(x), y=_px(frame.bottom + 16), class_="tick middle"))
    base = {"y1": _px(frame.bottom), "y2": _px(frame.bottom)}
    parts.append(tag("line", x1=_px(frame.left), x2=_px(frame.right), **base, class_="axis-line"))
    parts.append(tag("text", "kimg", x=_px(frame.right), y=_px(frame.bottom + 30), class_="tick end"))
    return parts


def _alarm(frame: _Frame, time: Axis, alarm: Alarm) -> Markup:
    x = _px(frame.x(time.place(alarm.kimg)))
    hint = tag("title", f"{alarm.label} at {in_short(alarm.kimg)} kimg")
    line = tag("line", x1=x, x2=x, y1=_px(frame.top), y2=_px(frame.bottom))
    head = tag("path", d=f"M{x - 5} {frame.top - 8}h10l-5 8z")
    return tag("g", hint, line, head, class_="alarm")


def _apart(alarms: Sequence[Alarm], frame: _Frame, time: Axis) -> list[Alarm]:
    """The first alarm of each two pixels: a run that is ill raises hundreds."""
    by_place: dict[int, Alarm] = {}
    for alarm in alarms:
        if is_drawable(alarm.kimg):
            by_place.setdefault(round(frame.x(time.place(alarm.kimg)) / 2), alarm)
    return list(by_place.values())


def _line(frame: _Frame, axis: Axis, time: Axis, series: Series) -> list[Markup]:
    points = thinned(series.points)
    places = [(_px(frame.x(time.place(x))), _px(frame.y(axis.place(y)))) for x, y in points]
    parts = []
    if len(places) > 1:
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        parts.append(tag("path", tag("title", series.label), d=path, class_=f"line {_look(series)}"))
    if len(places) <= MOST_DOTS:
        for (x, y), point in zip(places, points, strict=True):
            hint = tag("title", _tooltip(series, point))
            parts.append(tag("circle", hint, cx=x, cy=y, r=2.5, class_=f"dot {_look(series)}"))
    return parts


def _diamonds(frame: _Frame, axis: Axis, time: Axis, series: Series) -> list[Markup]:
    parts = []
    for point in series.points:
        x, y = _px(frame.x(time.place(point[0]))), _px(frame.y(axis.place(point[1])))
        hint = tag("title", _tooltip(series, point))
        parts.append(tag("path", hint, d=f"M{x} {_px(y - 6)}l6 6l-6 6l-6 -6z", class_=f"diamond {_look(series)}"))
    return parts


def _tooltip(series: Series, point: tuple[float, float]) -> str:
    return f"{series.label}: {point[1]:.6g} at {in_short(point[0])} kimg" + (f" ({series.note})" if series.note else "")


def _legend(series: Sequence[Series]) -> Markup:
    """Each colour once, with its newest value, and behind it the newest one that no line joins."""
    colors: dict[int, list[Series]] = {}
    for one in series:
        if one.points:
            colors.setdefault(one.color, []).append(one)
    items = []
    for _, group in sorted(colors.items()):
        label = [group[0].label if len(colors) > 1 else "newest"]
        lines, marks = ([one for one in group if one.is_joined is joined] for joined in (True, False))
        for one in lines[-1:]:
            line = tag("line", x1=0, x2=20, y1=5, y2=5, class_=f"line {_look(one)}")
            key = tag("svg", line, viewBox="0 0 20 10", width=20, height=10, aria_hidden="true")
            label = [key, *label, tag("b", in_short(one.points[-1][1]))]
        for one in sorted(marks, key=lambda one: one.points[-1][0])[-1:]:
            mark = tag("path", d="M5 0l5 5l-5 5l-5 -5z", class_=f"diamond {_look(one)}")
            key = tag("svg", mark, viewBox="0 0 10 10", width=10, height=10, aria_hidden="true")
            label += [key, tag("b", in_short(one.points[-1][1]))]
        items.append(tag("li", *label))
    return tag("ul", *items, class_="legend")


def _look(series: Series) -> str:
    dashes = min(series.color // len(COLORS), 3)
    return f"color-{series.color % len(COLORS)}" + (f" dash-{dashes}" if dashes else "")


def _drawable(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if is_drawable(x) and is_drawable(y)]


def _px(value: float) -> float:
    return round(value, 1)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))


def _with_step(value: float, step: float) -> str:
    """A tick's label, with as many digits as tell it from its neighbours."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if value != 0 and (abs(value) >= 1e6 or decimals > 4):
        digits = math.floor(math.log10(abs(value)) + 1e-9) - math.floor(math.log10(step) + 1e-9) + 1
        return f"{value:.{max(digits, 1)}g}"
    return f"{value:,.{decimals}f}" if value else "0"


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten; with 2 and 5 times them where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [power for power in powers if low <= 10.0**power <= high]
    if len(inside) > 3:
        return [10.0**power for power in inside[:: math.ceil(len(inside) / (count + 1))]]
    fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [value for value in fine if low <= value <= high]


STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --card: #ffffff; --ink: #1a1a19; --quiet: #62615c; --rule: #e3e2dd;
  --good: #0a7a2f; --bad: #c22a2a; --color-0: #2a78d6; --color-1: #d95f1e; --color-2: #17936a; --color-3: #6a4fc4;
  --color-4: #c99000; --color-5: #0f9bb5; --color-6: #d9343f; }
@media (prefers-color-scheme: dark) { :root { --paper: #161615; --card: #1f1f1e; --ink: #f0efea; --quiet: #a9a8a1;
  --rule: #3a3a37; --good: #4cc374; --bad: #ff7b73; --color-0: #5a9ff0; --color-1: #f08a4b; --color-2: #2fbf8f;
  --color-3: #a18bf0; --color-4: #e0b030; --color-5: #43c3dc; --color-6: #f0606a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 10px; padding-top: 10px; border-top: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 4px 0 6px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 14px; }
a { color: var(--color-0); text-decoration: none; }
a:hover { text-decoration: underline; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px 32px; margin: 0; }
.tiles dt, .note, .absent, figcaption span { color: var(--quiet); font-size: 13px; }
.tiles dd { margin: 0; font-size: 17px; font-weight: 600; font-variant-numeric: tabular-nums; }
.note { margin: 8px 0; overflow-wrap: anywhere; }
.absent { font-style: italic; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.verdict { font-weight: 600; }
.scroll { max-height: 420px; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: break-word; }
th[scope=row] { width: 45%; }
th { font-weight: 500; color: var(--quiet); }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { overflow: auto; padding: 12px; background: var(--card); border: 1px solid var(--rule); font-size: 12.5px; }
summary { cursor: pointer; }
figure { margin: 0; }
figcaption strong { display: block; font-size: 14px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); gap: 16px;
  margin-bottom: 16px; }
.grid.pairs { grid-template-columns: repeat(auto-fill, minmax(min(540px, 100%), 1fr)); }
.chart { background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 10px 12px; }
.chart > svg { display: block; width: 100%; height: auto; }
.pairs .chart { overflow-x: auto; }
.pairs .chart > svg { min-width: 480px; }
.newest img { max-width: 100%; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(180px, 100%), 1fr)); gap: 12px;
  margin-top: 14px; }
.strip img { width: 100%; }
img { border: 1px solid var(--rule); display: block; }
.legend { display: flex; flex-wrap: wrap; gap: 0 14px; list-style: none; margin: 4px 0; padding: 0; font-size: 12.5px; }
.legend li { display: flex; align-items: center; gap: 5px; overflow-wrap: anywhere; }
.legend svg { flex: none; }
.legend b { white-space: nowrap; }
svg text { font-size: 11px; fill: var(--ink); }
svg .tick { fill: var(--quiet); font-variant-numeric: tabular-nums; }
svg .end { text-anchor: end; }
svg .middle { text-anchor: middle; }
.grid-line { stroke: var(--rule); }
.axis-line { stroke: var(--quiet); }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; }
.dot { stroke-width: 0; }
.diamond { stroke: var(--card); stroke-width: 1.5; }
.alarm line { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 4 3; }
.alarm path { fill: var(--bad); }
.bar { fill: var(--color-0); }
rect.worst { fill: var(--bad); }
svg text.worst { fill: var(--bad); font-weight: 600; }
.dash-1 { stroke-dasharray: 7 3; }
.dash-2 { stroke-dasharray: 2 3; }
.dash-3 { stroke-dasharray: 9 3 2 3; }
""" + "".join(
    f".line.color-{n} {{ stroke: var(--color-{n}); }}\n"
    f".dot.color-{n}, .diamond.color-{n} {{ fill: var(--color-{n}); }}\n"
    for n in range(len(COLORS))
)
