"""Mode dropping: part of the data is no longer generated."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.evaluation.classes import Breakdown, breakdowns
from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class ModeDropping(Rule):
    """Recall, coverage or the number of modes falls, or one class of a task breaks down while the others work.

    A class that has worked before is an alarm at once; one that never has, in the second measurement
    in a row: some classes are learned later than others.

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
        found = [broken for broken in found if self._counts(broken, history)]
        if not found:
            return None
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return f"{found[0]}{more}"

    def _counts(self, broken: Breakdown, history: History) -> bool:
        """Whether the class has worked before, or did not in the measurement before, either."""
        name = f"{broken.figure}/{broken.task}/{broken.name}"
        readings = history.last(name, 2)
        has_worked = not self._is_broken(broken, self._best(broken.figure, name, history))
        return has_worked or (len(readings) == 2 and all(self._is_broken(broken, value) for value in readings))

    def _best(self, figure: str, name: str, history: History) -> float:
        return (history.lowest if figure == "fid" else history.highest)[name]

    def _is_broken(self, broken: Breakdown, value: float) -> bool:
        """Whether a value would be a breakdown beside what is typical now."""
        return {
            "task_accuracy": value < broken.typical - self.accuracy_gap,
            "recall": value < broken.typical * self.recall_share,
            "fid": value > broken.typical * self.distance_ratio,
        }[broken.figure]
