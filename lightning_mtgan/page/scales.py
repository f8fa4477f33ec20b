"""Scales of charts: which numbers an axis spans, and which of them are written beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_mtgan.page.numbers import LARGEST, in_short, is_drawable

LOG_RATIO = 50.0
"""Positive values whose largest is this many times their smallest get a logarithmic axis."""


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
