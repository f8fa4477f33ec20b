"""Memorising: the generator repeats its training images."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class Memorising(Rule):
    """Generated images are much nearer to training images than new real images are.

    Args:
        memorisation: Probability that a fake is nearer to its nearest training image than a held-out
            image to its own.
        copy_distance: Ratio of the median distances, which must be small as well.
    """

    memorisation: float = 0.9
    copy_distance: float = 0.6
    verdict = "memorising"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        odds, ratio = (history.now.get(name) for name in ("memorisation", "copy_distance"))
        if odds is None or ratio is None or odds < self.memorisation or ratio > self.copy_distance:
            return None
        return (
            f"{odds:.0%} of the comparisons find a generated image nearer to a training image than a held-out image "
            f"is, at {ratio:.2g} times its distance"
        )
