"""Deterioration: the images get worse, whatever the reason."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.rule import Rule


@dataclass(frozen=True)
class Deterioration(Rule):
    """The FID rises, and no other rule says why.

    Args:
        fid_ratio: FID over the best so far.
        fid_rise: The same of two measurements in a row.
    """

    fid_ratio: float = 2.0
    fid_rise: float = 1.4
    verdict = "divergence"

    def evidence(self, history: History) -> str | None:
        """See the class."""
        best = history.lowest.get("fid")
        for count, ratio in ((1, self.fid_ratio), (2, self.fid_rise)):
            fids = history.last("fid", count)
            if best is not None and fids and all(fid > ratio * best for fid in fids):
                return f"the FID is {fids[-1]:.4g}, its best was {best:.4g}"
        return None
