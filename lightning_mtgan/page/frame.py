"""What line charts have around their lines: axes, grid, and the alarms of the run; and any chart's caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_mtgan.page.markup import Markup, tag
from lightning_mtgan.page.numbers import in_short, is_drawable
from lightning_mtgan.page.scales import Axis

WIDTH, HEIGHT = 340, 190
WIDE = 560
"""Sizes of drawings, in pixels where there is room."""
TOP, BOTTOM = 10.0, HEIGHT - 34.0
"""Where the highest and the lowest value stand."""


@dataclass(frozen=True)
class Alarm:
    """A moment that every chart marks."""

    kimg: float
    label: str


@dataclass(frozen=True)
class Frame:
    """Where the numbers of two axes stand in a drawing.

    Args:
        time: The axis of kimg.
        values: The other one.
        left: Where the axis of kimg begins.
        right: Where it ends.
    """

    time: Axis
    values: Axis
    left: float
    right: float

    @classmethod
    def around(cls, time: Axis, values: Axis, width: int) -> Frame:
        """The frame of a drawing, with room for the labels of the values."""
        longest = max((len(label) for _, label in values.ticks()), default=1)
        return cls(time, values, 12 + 6.3 * longest, width - 14.0)

    def x(self, kimg: float) -> float:
        """The place of a moment, from the left."""
        return self.left + self.time.place(kimg) * (self.right - self.left)

    def y(self, value: float) -> float:
        """The place of a value, from the top."""
        return BOTTOM - self.values.place(value) * (BOTTOM - TOP)


def px(value: float) -> float:
    """A place as finely as it can be seen."""
    return round(value, 1)


def caption(title: str, about: str, notes: Sequence[str]) -> Markup:
    """A chart's title, and a line of explanation."""
    rest = " · ".join(part for part in (about, *notes) if part)
    return tag("figcaption", tag("strong", title), tag("span", rest) if rest else Markup())


def axes(frame: Frame) -> list[Markup]:
    """Both axes with the numbers beside them, and a line across at each value."""
    left, right, parts = px(frame.left), px(frame.right), []
    for value, label in frame.values.ticks():
        y = frame.y(value)
        parts.append(tag("line", x1=left, x2=right, y1=px(y), y2=px(y), class_="grid-line"))
        parts.append(tag("text", label, x=px(frame.left - 6), y=px(y + 4), class_="tick end"))
    for kimg, label in frame.time.ticks(count=round((frame.right - frame.left) / 70)):
        x = px(frame.x(kimg))
        parts.append(tag("line", x1=x, x2=x, y1=BOTTOM, y2=BOTTOM + 4, class_="axis-line"))
        parts.append(tag("text", label, x=x, y=BOTTOM + 16, class_="tick middle"))
    parts.append(tag("line", x1=left, x2=right, y1=BOTTOM, y2=BOTTOM, class_="axis-line"))
    parts.append(tag("text", "kimg", x=right, y=BOTTOM + 30, class_="tick end"))
    return parts


def alarm_marks(frame: Frame, alarms: Sequence[Alarm]) -> list[Markup]:
    """Lines at the alarms, the first of each two pixels: a run that is ill raises hundreds."""
    by_place: dict[int, Alarm] = {}
    for alarm in alarms:
        if is_drawable(alarm.kimg):
            by_place.setdefault(round(frame.x(alarm.kimg) / 2), alarm)
    return [_mark(px(frame.x(alarm.kimg)), alarm) for alarm in by_place.values()]


def _mark(x: float, alarm: Alarm) -> Markup:
    hint = tag("title", f"{alarm.label} at {in_short(alarm.kimg)} kimg")
    line = tag("line", x1=x, x2=x, y1=TOP, y2=BOTTOM)
    return tag("g", hint, line, tag("path", d=f"M{x - 5} {TOP - 8}h10l-5 8z"), class_="alarm")
