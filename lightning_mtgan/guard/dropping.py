"""Mode dropping: part of the data is no longer generated."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.evaluation.classes import breakdowns
from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class ModeDropping(Rule):
    """Recall, coverage or the number of modes falls, or one class of a task breaks down while the others work.

    Args:
        share: Of the best value so far, below which recall, coverage or modes are an alarm.
        accuracy_gap: How far a class's task accuracy may lie below the median of its task.
        recall_share: Of the median recall of its task, below which a class breaks down.
        distance_ratio: Times the median FID of its task, above which a class breaks down.
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
        found = breakdowns(history.now, self.accuracy_gap, self.recall_share, self.distance_ratio)
        if found:
            more = f" (and {len(found) - 1} more classes)" if len(found) > 1 else ""
            return f"{found[0]}{more}"
        return None
