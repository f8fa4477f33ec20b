"""What a rule of the guard is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lightning_mtgan.guard.history import History

HEALTHY = "healthy"


class Rule(ABC):
    """One way in which a run goes wrong."""

    verdict: str
    """What it is called."""

    @abstractmethod
    def evidence(self, history: History) -> str | None:
        """What speaks for this verdict, in one sentence; None if nothing does."""
