"""Numbers as files hold them, and as a person reads them."""

from __future__ import annotations

import math
from typing import Any

LARGEST = 1e100
"""Numbers beyond are treated like infinity: differences of them would overflow."""


def as_number(value: Any) -> float:
    """A cell or a value of a file as a number; nan for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def is_drawable(value: float) -> bool:
    """Whether a chart can show a number."""
    return -LARGEST <= value <= LARGEST


def in_short(value: float) -> str:
    """A number in four digits; thousands, and whole numbers, in full."""
    if math.isfinite(value) and 10 <= abs(value) < 1e9 and (abs(value) >= 1000 or value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def or_dash(value: float) -> str:
    """A number in short, or a dash where there is none."""
    return in_short(value) if is_drawable(value) else "–"


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
