"""Mode dropping: part of the data is no longer generated."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.evaluation.classes import Breakdown, Limits, breakdowns
from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class ModeDropping(Rule):
    """Recall, coverage or the number of modes falls, or one class of a task breaks down while the others work.

    A class that has fallen as far below its own best is an alarm at once; one that never worked, in the
    third measurement in a row that does not improve it: some classes are learned later than others.

    Args:
        share: Of the best value so far, below which recall, coverage or modes are an alarm.
        accuracy_gap: See ``Limits``.
        recall_share: See ``Limits``.
        distance_ratio: See ``Limits``.
    """

    share: float = 0.75
    accuracy_gap: float = 0.3
    recall_share: float = 0.5
    distance_ratio: float = 8.0
    verdict = "mode dropping"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        for name in ("recall", "coverage", "modes"):
            value, best = history.now.get(name), history.highest.get(name, 0.0)
            if value is not None and value < self.share * best:
                return f"{name} has fallen to {value:.3g}, it was {best:.3g}"
        limits = Limits(self.accuracy_gap, self.recall_share, self.distance_ratio)
        found = [broken for broken in breakdowns(history.now, limits) if _counts(broken, limits, history)]
        if not found:
            return None
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return f"{found[0]}{more}"


def _counts(broken: Breakdown, limits: Limits, history: History) -> bool:
    """Whether the class has fallen from its own best, or does not work in three measurements without getting better."""
    name = f"{broken.figure}/{broken.task}/{broken.name}"
    own_best = (history.lowest if broken.figure == "fid" else history.highest)[name]
    if limits.is_broken(broken.figure, broken.value, own_best):
        return True
    readings = history.last(name, 3)
    if not readings or not all(limits.is_broken(broken.figure, value, broken.typical) for value in readings):
        return False
    gain = readings[-1] - readings[0]
    return (-gain if broken.figure == "fid" else gain) <= 0.1 * abs(readings[0])
