"""Representations that several generators share: what they are, and how generators are drawn towards them."""

from lightning_mtgan.representations.consensus import consensus, normalized, spread, vitals
from lightning_mtgan.representations.representation import LearnedRepresentation, MeanRepresentation, Representation
from lightning_mtgan.representations.soft_sharing import SoftSharing

__all__ = [
    "LearnedRepresentation",
    "MeanRepresentation",
    "Representation",
    "SoftSharing",
    "consensus",
    "normalized",
    "spread",
    "vitals",
]
