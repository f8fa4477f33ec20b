"""Augmentations of what the discriminator sees: differentiable, on the device, the same on any number of ranks."""

from lightning_mtgan.augment.ada import ADA
from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.colour_jitter import BrightnessSaturationContrast
from lightning_mtgan.augment.cutout import Cutout, OccasionalCutout
from lightning_mtgan.augment.diff_augment import DiffAugment
from lightning_mtgan.augment.enhancement import RandomTransforms
from lightning_mtgan.augment.pipe import GeometricPart, PipePart, PixelPart
from lightning_mtgan.augment.pipe_colour import Colour
from lightning_mtgan.augment.pipe_geometry import Blitting, Geometry
from lightning_mtgan.augment.probability import (
    AdaptiveProbability,
    FixedProbability,
    Probability,
    ScheduledProbability,
)
from lightning_mtgan.augment.translation import Translation

__all__ = [
    "ADA",
    "AdaptiveProbability",
    "Augmentation",
    "Blitting",
    "BrightnessSaturationContrast",
    "Colour",
    "Cutout",
    "DiffAugment",
    "FixedProbability",
    "GeometricPart",
    "Geometry",
    "OccasionalCutout",
    "PipePart",
    "PixelPart",
    "Probability",
    "RandomTransforms",
    "ScheduledProbability",
    "Translation",
]
