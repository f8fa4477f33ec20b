"""What the guard remembers of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import median
from typing import Any

KEEP = 24
"""Readings of each figure that are remembered one by one."""


class History:
    """The last readings of each figure, those of healthy times, and the extremes of all."""

    def __init__(self) -> None:
        self.now: dict[str, float] = {}
        """The last reading of each figure."""
        self.readings: dict[str, list[float]] = {}
        self.healthy: dict[str, list[float]] = {}
        self.lowest: dict[str, float] = {}
        self.highest: dict[str, float] = {}
        self._new: dict[str, float] = {}

    def observe(self, figures: Mapping[str, float], gone: Collection[str] = ()) -> None:
        """Take in what was measured or written at one step.

        Args:
            figures: The readings by name.
            gone: Figures that a measurement no longer has, so that their last reading says nothing.
        """
        self._new = dict(figures)
        self.now = {name: value for name, value in self.now.items() if name not in gone}
        self.now |= figures
        for name, value in figures.items():
            _append(self.readings, name, value)
            self.lowest[name] = min(value, self.lowest.get(name, value))
            self.highest[name] = max(value, self.highest.get(name, value))

    def accept(self) -> None:
        """What came in last was found healthy."""
        for name, value in self._new.items():
            _append(self.healthy, name, value)

    def begin_anew(self) -> None:
        """Forget readings, after a rollback; extremes stay."""
        self.now, self.readings, self.healthy, self._new = {}, {}, {}, {}

    def last(self, name: str, count: int) -> list[float]:
        """The last ``count`` readings of a figure; nothing if there are fewer."""
        readings = self.readings.get(name, [])
        return readings[-count:] if len(readings) >= count else []

    def usual(self, name: str, least: int = 2) -> float | None:
        """The median of the healthy readings before this one; None if there are fewer than ``least``."""
        before = self.healthy.get(name, [])
        return median(before) if len(before) >= least else None

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        names = ("now", "readings", "healthy", "lowest", "highest")
        return {name: dict(getattr(self, name)) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.now, self.lowest, self.highest = dict(state["now"]), dict(state["lowest"]), dict(state["highest"])
        self.readings = {name: list(values) for name, values in state["readings"].items()}
        self.healthy = {name: list(values) for name, values in state["healthy"].items()}


def _append(lists: dict[str, list[float]], name: str, value: float) -> None:
    lists.setdefault(name, []).append(value)
    del lists[name][:-KEEP]
