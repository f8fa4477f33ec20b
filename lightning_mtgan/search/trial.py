"""What the search knows of a training: its weights, its measurements, how it ended."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

from lightning_mtgan.figure_names import TASKS

Kind = Literal["task_accuracy", "task_error"]
FIGURES: tuple[Kind, ...] = ("task_accuracy", "task_error")
"""What a task may be judged by; the first one that some task has is the goal."""
State = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"]


class Measured(NamedTuple):
    """One measurement of a training."""

    kimg: float
    fid: float
    task: float
    """The mean of the task figures that the goal weighs."""
    protocol: str = ""
    figures: Mapping[str, float] = {}
    """Every task's figure by its name, those that the goal leaves out, too."""


def of_tasks(figures: Mapping[str, float]) -> dict[str, float]:
    """Those figures that tell how well a whole task is shown, ``task_accuracy/<task>`` and ``task_error/<task>``."""
    return {
        name: value for figure in FIGURES for name, value in figures.items() if re.fullmatch(f"{figure}/[^/@]+", name)
    }


@dataclass(frozen=True)
class Goal:
    """What is weighed against the FID.

    Args:
        figure: The figure of the tasks whose mean counts: ``task_accuracy``, where more is better, or ``task_error``.
    """

    figure: Kind

    @property
    def is_upward(self) -> bool:
        """Whether more is better."""
        return self.figure == "task_accuracy"

    @property
    def title(self) -> str:
        """Its name in words."""
        return TASKS[self.figure].title.lower()

    def of(self, figures: Mapping[str, float]) -> float:
        """The mean over the tasks; nan where nothing is known of them."""
        found = [value for name, value in of_tasks(figures).items() if name.startswith(f"{self.figure}/")]
        return fmean(found) if found else math.nan

    def costs(self, measured: Measured) -> tuple[float, float]:
        """Both figures such that less is better; what is no number is worse than any."""
        task = -measured.task if self.is_upward else measured.task
        return tuple(math.inf if math.isnan(cost) else cost for cost in (measured.fid, task))  # type: ignore[return-value]


@dataclass(frozen=True)
class Trial:
    """One training.

    Args:
        number: Its number, counted from 0.
        state: How it ended, or that it has not.
        weights: What is searched, by name.
        history: Its measurements while it was training.
        last: Its final figures, or the last ones that there are; None before the first.
        seconds: Time of its training over all starts; nan where it is not known.
        reason: Why it failed or was pruned.
    """

    number: int
    state: State
    weights: Mapping[str, float]
    history: tuple[Measured, ...] = ()
    last: Measured | None = None
    seconds: float = math.nan
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of its run, of its log and of its file of weights."""
        return f"trial_{self.number:04d}"
