"""The rules of the collapse guard: one way of going wrong, one file."""

from lightning_mtgan.guard.condition import CollapseInCondition
from lightning_mtgan.guard.deterioration import Deterioration
from lightning_mtgan.guard.divergence import Divergence
from lightning_mtgan.guard.domination import DiscriminatorDomination
from lightning_mtgan.guard.dropping import ModeDropping
from lightning_mtgan.guard.history import History
from lightning_mtgan.guard.memorising import Memorising
from lightning_mtgan.guard.overfitting import DiscriminatorOverfitting
from lightning_mtgan.guard.representation import RepresentationCollapse
from lightning_mtgan.guard.rule import HEALTHY, Rule

__all__ = [
    "HEALTHY",
    "CollapseInCondition",
    "Deterioration",
    "DiscriminatorDomination",
    "DiscriminatorOverfitting",
    "Divergence",
    "History",
    "Memorising",
    "ModeDropping",
    "RepresentationCollapse",
    "Rule",
]
