"""Tasks that need no labels, beside the adversarial loss: one change of images, or one way to ask for it, in a file."""

from lightning_mtgan.self_supervision.jigsaw import Jigsaw
from lightning_mtgan.self_supervision.label_augmented import LabelAugmented
from lightning_mtgan.self_supervision.rotations import Rotations
from lightning_mtgan.self_supervision.self_supervision import SelfSupervision, Trunk
from lightning_mtgan.self_supervision.spectral_linear import SpectralLinear
from lightning_mtgan.self_supervision.transformation import Transformation
from lightning_mtgan.self_supervision.transformation_prediction import TransformationPrediction

__all__ = [
    "Jigsaw",
    "LabelAugmented",
    "Rotations",
    "SelfSupervision",
    "SpectralLinear",
    "Transformation",
    "TransformationPrediction",
    "Trunk",
]
