"""What a rule of the guard is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields

from lightning_mtgan.errors import UserError
from lightning_mtgan.guard.history import History

HEALTHY = "healthy"


class Rule(ABC):
    """One way in which a run goes wrong."""

    verdict: str
    """What it is called."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not value > 0:
                raise UserError(f"guard.rules: {field.name} of {type(self).__name__} is {value}; it must be above 0")

    @abstractmethod
    def evidence(self, history: History) -> str | None:
        """What speaks for this verdict, in one sentence; None if nothing does."""
