"""The discriminator wins: the generator no longer gets a usable gradient."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class DiscriminatorDomination(Rule):
    """The discriminator has come to tell training images from generated ones almost always.

    Args:
        r_t: Share of training images judged right, minus the share judged wrong, in two readings in a
            row (Karras et al. 2020, arXiv:2006.06676, equation 1).
        rise: How far that must lie above its lowest value in this run: a discriminator that was always
            this good is no alarm.
    """

    r_t: float = 0.9
    rise: float = 0.15
    verdict = "discriminator overfitting"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        readings, lowest = history.last("signal/r_t", 2), history.lowest.get("signal/r_t", 1.0)
        if not readings or min(readings) < max(self.r_t, lowest + self.rise):
            return None
        return (
            f"the discriminator tells training from generated images almost always (r_t {readings[-1]:.2f}, it was "
            f"{lowest:.2f}): the generator gets no usable gradient"
        )
