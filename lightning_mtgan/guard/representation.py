"""Collapse of a shared representation: it says the same of every image, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class RepresentationCollapse(Rule):
    """What networks share no longer tells images apart, or has vanished; each in two readings in a row.

    A penalty that draws networks to what they share is at its least where all of that is constant, or 0.

    Args:
        spread: Standard deviation of the normalised representation over images: 0 if it is the same for every image,
            around 1 if it tells them apart.
        norm: Root mean square of the representation before normalisation, as a share of the highest in this run.
    """

    spread: float = 0.05
    norm: float = 1e-3
    verdict = "representation collapse"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        spreads = history.last("representation/spread", 2)
        if spreads and all(value < self.spread for value in spreads):
            return (
                f"the shared representation has spread {spreads[-1]:.2g} over images, where 1 is usual: it says nearly "
                "the same of all of them"
            )
        norms, highest = history.last("representation/norm", 2), history.highest.get("representation/norm", 0.0)
        if norms and all(value < self.norm * highest for value in norms):
            return f"the shared representation has shrunk to norm {norms[-1]:.3g}, it was {highest:.3g}"
        return None
