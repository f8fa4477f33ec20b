"""Transforms that make images better by a fixed rule, without a network; also large ones, in strips."""

from lightning_mtgan.transforms.auto_contrast import AutoContrast
from lightning_mtgan.transforms.clahe import CLAHE
from lightning_mtgan.transforms.contrast import Contrast
from lightning_mtgan.transforms.equalisation import HistogramEqualisation
from lightning_mtgan.transforms.files import METHODS, named, read, write
from lightning_mtgan.transforms.gamma import Gamma
from lightning_mtgan.transforms.pipeline import Pipeline
from lightning_mtgan.transforms.saturation import Saturation
from lightning_mtgan.transforms.transform import Adjustable, Strip, Transform
from lightning_mtgan.transforms.unsharp_mask import UnsharpMask
from lightning_mtgan.transforms.white_balance import WhiteBalance

__all__ = [
    "CLAHE",
    "METHODS",
    "Adjustable",
    "AutoContrast",
    "Contrast",
    "Gamma",
    "HistogramEqualisation",
    "Pipeline",
    "Saturation",
    "Strip",
    "Transform",
    "UnsharpMask",
    "WhiteBalance",
    "named",
    "read",
    "write",
]
