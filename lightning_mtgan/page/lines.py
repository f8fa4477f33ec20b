"""Line charts over kimg, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lightning_mtgan.page.frame import HEIGHT, WIDTH, Alarm, Frame, alarm_marks, axes, caption, px
from lightning_mtgan.page.markup import Markup, absent, tag
from lightning_mtgan.page.numbers import in_short, is_drawable
from lightning_mtgan.page.scales import Axis, value_axis
from lightning_mtgan.page.style import COLORS

MOST_POINTS = 400
"""Points of one line, at most."""
MOST_DOTS = 80
"""Lines of at most so many points show each of them, with its value to hover over."""


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
    drawn = [replace(one, points=_drawable(one.points)) for one in series]
    left_out = sum(len(before.points) - len(after.points) for before, after in zip(series, drawn, strict=True))
    values = value_axis([value for one in drawn for _, value in one.points])
    notes = ["log scale"] if values.is_log else []
    notes += [f"{left_out} value{'s' * (left_out > 1)} not finite"] if left_out else []
    words = caption(title, about, notes)
    if not any(one.points for one in drawn):
        return tag("figure", words, absent("No finite value."), class_="chart")
    frame = Frame.around(time, values, width)
    parts = [*axes(frame), *alarm_marks(frame, alarms)]
    for one in drawn:
        parts += _line(frame, one) if one.is_joined else _diamonds(frame, one)
    picture = tag("svg", *parts, viewBox=f"0 0 {width} {HEIGHT}", role="img", aria_label=title)
    return tag("figure", words, _legend(drawn), picture, class_="chart")


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


def _line(frame: Frame, series: Series) -> list[Markup]:
    points, look = thinned(series.points), _look(series)
    places = [(px(frame.x(kimg)), px(frame.y(value))) for kimg, value in points]
    parts = []
    if len(places) > 1:
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        parts.append(tag("path", tag("title", series.label), d=path, class_=f"line {look}"))
    if len(places) <= MOST_DOTS:
        for (x, y), point in zip(places, points, strict=True):
            hint = tag("title", _tooltip(series, point))
            parts.append(tag("circle", hint, cx=x, cy=y, r=2.5, class_=f"dot {look}"))
    return parts


def _diamonds(frame: Frame, series: Series) -> list[Markup]:
    parts = []
    for point in series.points:
        x, y = px(frame.x(point[0])), px(frame.y(point[1]) - 6)
        hint = tag("title", _tooltip(series, point))
        parts.append(tag("path", hint, d=f"M{x} {y}l6 6l-6 6l-6 -6z", class_=f"diamond {_look(series)}"))
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
