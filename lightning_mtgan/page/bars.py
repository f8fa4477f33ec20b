"""Bar charts of classes, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_mtgan.page.frame import WIDTH, caption, px
from lightning_mtgan.page.markup import Markup, tag
from lightning_mtgan.page.numbers import in_short, is_drawable
from lightning_mtgan.page.scales import Axis

MOST_BARS = 40
ROW = 20
"""Height of a bar with its room."""
LONGEST = 18
"""Characters of a class's name."""


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
    labels = [label for label, _ in shown]
    left = 12.0 + 6.3 * min(LONGEST, max(map(len, labels), default=0))
    scale = WIDTH - left - 112  # room for a value and a mark
    parts = []
    for index, (label, value) in enumerate(shown):
        middle = ROW * index + ROW / 2
        name = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
        parts.append(tag("text", name, x=left - 6, y=middle + 4, class_="label end"))
        zero, end = (left + scale * axis.place(number) for number in (0.0, value if is_drawable(value) else 0.0))
        parts += _bar(label, value, zero, end, middle, is_worst=value == worst != best)
    picture = tag("svg", *parts, viewBox=f"0 0 {WIDTH} {ROW * max(len(shown), 1)}", role="img", aria_label=title)
    return tag("figure", caption(title, about, notes), picture, class_="chart")


def _bar(label: str, value: float, zero: float, end: float, middle: float, is_worst: bool) -> list[Markup]:
    parts, mark = [], " worst" if is_worst else ""
    if is_drawable(value):
        start, length = min(zero, end), max(abs(end - zero), 1.0)
        hint = tag("title", f"{label}: {value:.6g}{', the worst' if is_worst else ''}")
        shape = {"x": px(start), "y": middle - 6, "width": px(length), "height": 12, "rx": 2}
        parts.append(tag("rect", hint, class_=f"bar{mark}", **shape))
    text = in_short(value) + (" ◀ worst" if is_worst else "")
    return [*parts, tag("text", text, x=px(max(zero, end) + 6), y=middle + 4, class_=f"label{mark}")]
