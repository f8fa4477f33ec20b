"""Divergence: numbers explode."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class Divergence(Rule):
    """A player's gradients explode, steps are left out, or the images fall apart.

    Args:
        gradient_ratio: A player's mean gradient norm over its usual one.
        num_skipped: Steps left out in a row, or between two readings, as their numbers were not finite.
        fid_ratio: FID over the best so far.
    """

    gradient_ratio: float = 8.0
    num_skipped: int = 3
    fid_ratio: float = 15.0
    verdict = "divergence"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        return self._skipped(history) or self._gradients(history) or self._fid(history)

    def _skipped(self, history: History) -> str | None:
        for name, count in history.now.items():
            if name.startswith("in_a_row/") and count >= self.num_skipped:
                phase = name.partition("/")[2]
                return f"{count:.0f} steps in a row of phase {phase} were left out, their numbers not finite"
            if name.startswith("skipped/") and len(counts := history.last(name, 2)) == 2:
                new = counts[1] - counts[0]
                if new >= self.num_skipped:
                    return f"{new:.0f} steps of phase {name.partition('/')[2]} were left out, their numbers not finite"
        return None

    def _gradients(self, history: History) -> str | None:
        for name, norm in history.now.items():
            usual = history.usual(name) if name.startswith("gradient_norm/") else None
            if usual is not None and not norm <= self.gradient_ratio * usual:
                player, times = name.partition("/")[2], norm / max(usual, 1e-12)
                return f"the gradient of the {player} has norm {norm:.3g}, {times:.3g} times its usual {usual:.3g}"
        return None

    def _fid(self, history: History) -> str | None:
        fid, best = history.now.get("fid"), history.lowest.get("fid")
        if fid is None or best is None or not fid > self.fid_ratio * best:
            return None
        return f"the FID is {fid:.4g}, its best was {best:.4g}"
