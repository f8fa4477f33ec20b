"""Networks that know no loss."""

from lightning_mtgan.networks.embedding import TaskEmbedding
from lightning_mtgan.networks.generators import ConvGenerator, Generator
from lightning_mtgan.networks.heads import AdversarialHead, ProjectionHead, UnconditionalHead
from lightning_mtgan.networks.trunks import ConvTrunk, Trunk

__all__ = [
    "AdversarialHead",
    "ConvGenerator",
    "ConvTrunk",
    "Generator",
    "ProjectionHead",
    "TaskEmbedding",
    "Trunk",
    "UnconditionalHead",
]
