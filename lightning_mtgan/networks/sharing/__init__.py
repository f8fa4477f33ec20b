"""One structure that several tasks share a network by, one file."""

from lightning_mtgan.networks.sharing.convolutional_fusion import ConvolutionalFusion
from lightning_mtgan.networks.sharing.cross_stitch import CrossStitch
from lightning_mtgan.networks.sharing.feature_fusion import FeatureFusion
from lightning_mtgan.networks.sharing.fusion import Fusion
from lightning_mtgan.networks.sharing.gated_fusion import GatedFusion
from lightning_mtgan.networks.sharing.hard_sharing import HardSharing
from lightning_mtgan.networks.sharing.mmoe import MMoE
from lightning_mtgan.networks.sharing.mtan import MTAN
from lightning_mtgan.networks.sharing.nddr import NDDR
from lightning_mtgan.networks.sharing.ple import PLE
from lightning_mtgan.networks.sharing.separate import Separate
from lightning_mtgan.networks.sharing.sharing import Column, Sharing
from lightning_mtgan.networks.sharing.sluice import Sluice
from lightning_mtgan.networks.sharing.soft_sharing import SoftSharing
from lightning_mtgan.networks.sharing.weighted_fusion import WeightedFusion

__all__ = [
    "MTAN",
    "NDDR",
    "PLE",
    "Column",
    "ConvolutionalFusion",
    "CrossStitch",
    "FeatureFusion",
    "Fusion",
    "GatedFusion",
    "HardSharing",
    "MMoE",
    "Separate",
    "Sharing",
    "Sluice",
    "SoftSharing",
    "WeightedFusion",
]
