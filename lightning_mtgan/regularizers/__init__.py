"""Penalties and regularisers that a Game takes as a list: one method, one file."""

from lightning_mtgan.regularizers.consistency import FakeConsistency, RealConsistency
from lightning_mtgan.regularizers.diversity import DiversitySensitive, ModeSeeking
from lightning_mtgan.regularizers.feature_matching import FeatureMatching
from lightning_mtgan.regularizers.gradient_norms import R1, R2
from lightning_mtgan.regularizers.gradient_penalty import GradientPenalty
from lightning_mtgan.regularizers.latent_consistency import LatentConsistency, LatentSpread
from lightning_mtgan.regularizers.lecam import LeCam
from lightning_mtgan.regularizers.path_length import PathLength
from lightning_mtgan.regularizers.play import Pass, Play, Seen
from lightning_mtgan.regularizers.regularizer import DiscriminatorRegularizer, GeneratorRegularizer, Regularizer

__all__ = [
    "R1",
    "R2",
    "DiscriminatorRegularizer",
    "DiversitySensitive",
    "FakeConsistency",
    "FeatureMatching",
    "GeneratorRegularizer",
    "GradientPenalty",
    "LatentConsistency",
    "LatentSpread",
    "LeCam",
    "ModeSeeking",
    "Pass",
    "PathLength",
    "Play",
    "RealConsistency",
    "Regularizer",
    "Seen",
]
