"""Networks that know no loss."""

from lightning_mtgan.networks.embedding import TaskEmbedding
from lightning_mtgan.networks.exactness import refuse_inexact_layers
from lightning_mtgan.networks.generators import ConvGenerator, Generator
from lightning_mtgan.networks.heads import AdversarialHead, ProjectionHead, UnconditionalHead
from lightning_mtgan.networks.maps import MapHead
from lightning_mtgan.networks.mixing import (
    GlobalBatchNorm,
    MinibatchDeviation,
    MixesSamples,
    mixes_samples,
)
from lightning_mtgan.networks.trunks import ConvTrunk, Trunk

__all__ = [
    "AdversarialHead",
    "ConvGenerator",
    "ConvTrunk",
    "Generator",
    "GlobalBatchNorm",
    "MapHead",
    "MinibatchDeviation",
    "MixesSamples",
    "ProjectionHead",
    "TaskEmbedding",
    "Trunk",
    "UnconditionalHead",
    "mixes_samples",
    "refuse_inexact_layers",
]
