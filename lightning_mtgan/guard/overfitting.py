"""The discriminator overfits: it knows its training images by heart."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class DiscriminatorOverfitting(Rule):
    """The discriminator takes new real images for generated ones, and knows training images almost always.

    Both heuristics of Karras et al. 2020 (ADA, arXiv:2006.06676), equation 1. One alone says little: where
    real and generated images have become alike, r_v is noise, and an easy start has a high r_t.

    Args:
        r_v: From 0 (held-out images are as real as training images) to 1 (as unreal as generated ones).
        r_t: Share of training images judged right, minus the share judged wrong.
    """

    r_v: float = 0.6
    r_t: float = 0.8
    verdict = "discriminator overfitting"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        unreal, right = history.now.get("overfitting", 0.0), history.now.get("signal/r_t", 0.0)
        if unreal < self.r_v or right < self.r_t:
            return None
        return (
            f"the discriminator knows training images almost always (r_t {right:.2f}) and takes held-out real images "
            f"for generated ones (r_v {unreal:.2f}): it knows its training images by heart"
        )
