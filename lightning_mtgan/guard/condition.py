"""Collapse inside a condition: what is asked for always looks the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class CollapseInCondition(Rule):
    """Images that show the same classes hardly differ from each other.

    Args:
        signal: Distance of generated images of a condition in the discriminator's features, over that
            of real ones, in two readings in a row.
        diversity: The same in the extractor's features, over many images.
        duplicates: Share of generated images that have a near-duplicate.
    """

    signal: float = 0.25
    diversity: float = 0.5
    duplicates: float = 0.2
    verdict = "collapse inside a condition"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        readings = history.last("signal/diversity", 2)
        if readings and max(readings) < self.signal:
            return (
                f"images of one condition lie {readings[-1]:.2g} times as far apart as real ones in the "
                "discriminator's features: the latent has hardly any effect"
            )
        if (value := history.now.get("diversity", math.inf)) < self.diversity:
            return f"images of one condition lie {value:.2g} times as far apart as real ones"
        if (value := history.now.get("duplicates", 0.0)) > self.duplicates:
            return f"{value:.0%} of the generated images have a near-duplicate, of real ones 1 % have"
        return None
