"""Networks that know no loss."""

from lightning_mtgan.networks.attention import SelfAttention
from lightning_mtgan.networks.biggan import BigGANGenerator, BigGANTrunk
from lightning_mtgan.networks.conditional_normalization import ConditionalBatchNorm
from lightning_mtgan.networks.conv_encoder import ConvEncoder
from lightning_mtgan.networks.dcgan import DCGANGenerator, DCGANTrunk
from lightning_mtgan.networks.domain_encoder import DomainEncoder
from lightning_mtgan.networks.embedding import TaskEmbedding
from lightning_mtgan.networks.equalized import EqualizedConv2d, EqualizedLinear
from lightning_mtgan.networks.equalized_heads import EqualizedHead, EqualizedProjectionHead
from lightning_mtgan.networks.exactness import refuse_inexact_layers
from lightning_mtgan.networks.feature_wise import FeatureWise, FeatureWiseBlock
from lightning_mtgan.networks.filling import filled
from lightning_mtgan.networks.generators import ConvGenerator, Generator
from lightning_mtgan.networks.grouped_deviation import GroupedMinibatchDeviation
from lightning_mtgan.networks.heads import (
    AdversarialHead,
    ProjectionHead,
    SpectralProjectionHead,
    SpectralUnconditionalHead,
    UnconditionalHead,
)
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.networks.image_translator import ImageTranslator
from lightning_mtgan.networks.joint_network import JointNetwork
from lightning_mtgan.networks.layered import Layered, LayeredGenerator, LayeredTrunk
from lightning_mtgan.networks.maps import MapHead
from lightning_mtgan.networks.mixing import (
    GlobalBatchNorm,
    GlobalNormalization,
    MinibatchDeviation,
    MixesSamples,
    mixes_samples,
)
from lightning_mtgan.networks.modulation import ModulatedConv2d, ModulatedUpConv2d
from lightning_mtgan.networks.nested import Nested
from lightning_mtgan.networks.nested_network import NestedNetwork
from lightning_mtgan.networks.parallel_network import ParallelNetwork
from lightning_mtgan.networks.patch_head import PatchHead
from lightning_mtgan.networks.patch_trunk import PatchTrunk
from lightning_mtgan.networks.predicted_transforms import PredictedTransforms
from lightning_mtgan.networks.r3gan import R3GANGenerator, R3GANTrunk
from lightning_mtgan.networks.r3gan_heads import R3GANHead, R3GANProjectionHead
from lightning_mtgan.networks.representation_decoder import RepresentationDecoder
from lightning_mtgan.networks.resampling import Blur, Downsample, Upsample
from lightning_mtgan.networks.residual_translator import ResidualTranslator
from lightning_mtgan.networks.sharing import (
    MTAN,
    NDDR,
    PLE,
    Column,
    ConvolutionalFusion,
    CrossStitch,
    FeatureFusion,
    Fusion,
    GatedFusion,
    HardSharing,
    MMoE,
    Separate,
    Sharing,
    Sluice,
    SoftSharing,
    WeightedFusion,
)
from lightning_mtgan.networks.side_by_side import SideBySide
from lightning_mtgan.networks.sngan import SNGANGenerator, SNGANTrunk
from lightning_mtgan.networks.spectral import spectral
from lightning_mtgan.networks.structured_trunk import StructuredTrunk
from lightning_mtgan.networks.stylegan2 import StyleGAN2Generator
from lightning_mtgan.networks.stylegan2_trunk import PlainDownBlock, ResidualDownBlock, StyleGAN2Trunk
from lightning_mtgan.networks.translator import Translator
from lightning_mtgan.networks.trunks import ConvTrunk, Trunk
from lightning_mtgan.networks.unet import UNet

__all__ = [
    "MTAN",
    "NDDR",
    "PLE",
    "AdversarialHead",
    "BigGANGenerator",
    "BigGANTrunk",
    "Blur",
    "Column",
    "ConditionalBatchNorm",
    "ConvEncoder",
    "ConvGenerator",
    "ConvTrunk",
    "ConvolutionalFusion",
    "CrossStitch",
    "DCGANGenerator",
    "DCGANTrunk",
    "DomainEncoder",
    "Downsample",
    "EqualizedConv2d",
    "EqualizedHead",
    "EqualizedLinear",
    "EqualizedProjectionHead",
    "FeatureFusion",
    "FeatureWise",
    "FeatureWiseBlock",
    "Fusion",
    "GatedFusion",
    "Generator",
    "GlobalBatchNorm",
    "GlobalNormalization",
    "GroupedMinibatchDeviation",
    "HardSharing",
    "ImageEncoder",
    "ImageTranslator",
    "JointNetwork",
    "Layered",
    "LayeredGenerator",
    "LayeredTrunk",
    "MMoE",
    "MapHead",
    "MinibatchDeviation",
    "MixesSamples",
    "ModulatedConv2d",
    "ModulatedUpConv2d",
    "Nested",
    "NestedNetwork",
    "ParallelNetwork",
    "PatchHead",
    "PatchTrunk",
    "PlainDownBlock",
    "PredictedTransforms",
    "ProjectionHead",
    "R3GANGenerator",
    "R3GANHead",
    "R3GANProjectionHead",
    "R3GANTrunk",
    "RepresentationDecoder",
    "ResidualDownBlock",
    "ResidualTranslator",
    "SNGANGenerator",
    "SNGANTrunk",
    "SelfAttention",
    "Separate",
    "Sharing",
    "SideBySide",
    "Sluice",
    "SoftSharing",
    "SpectralProjectionHead",
    "SpectralUnconditionalHead",
    "StructuredTrunk",
    "StyleGAN2Generator",
    "StyleGAN2Trunk",
    "TaskEmbedding",
    "Translator",
    "Trunk",
    "UNet",
    "UnconditionalHead",
    "Upsample",
    "WeightedFusion",
    "filled",
    "mixes_samples",
    "refuse_inexact_layers",
    "spectral",
]
