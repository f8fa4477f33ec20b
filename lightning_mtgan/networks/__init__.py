"""Networks that know no loss."""

from lightning_mtgan.networks.attention import SelfAttention
from lightning_mtgan.networks.biggan import BigGANGenerator, BigGANTrunk
from lightning_mtgan.networks.conditional_normalization import ConditionalBatchNorm
from lightning_mtgan.networks.dcgan import DCGANGenerator, DCGANTrunk
from lightning_mtgan.networks.embedding import TaskEmbedding
from lightning_mtgan.networks.equalized import EqualizedConv2d, EqualizedLinear
from lightning_mtgan.networks.equalized_heads import EqualizedHead, EqualizedProjectionHead
from lightning_mtgan.networks.exactness import refuse_inexact_layers
from lightning_mtgan.networks.generators import ConvGenerator, Generator
from lightning_mtgan.networks.grouped_deviation import GroupedMinibatchDeviation
from lightning_mtgan.networks.heads import (
    AdversarialHead,
    ProjectionHead,
    SpectralProjectionHead,
    SpectralUnconditionalHead,
    UnconditionalHead,
)
from lightning_mtgan.networks.maps import MapHead
from lightning_mtgan.networks.mixing import (
    GlobalBatchNorm,
    GlobalNormalization,
    MinibatchDeviation,
    MixesSamples,
    mixes_samples,
)
from lightning_mtgan.networks.modulation import ModulatedConv2d, ModulatedUpConv2d
from lightning_mtgan.networks.r3gan import R3GANGenerator, R3GANTrunk
from lightning_mtgan.networks.r3gan_heads import R3GANHead, R3GANProjectionHead
from lightning_mtgan.networks.resampling import Blur, Downsample, Upsample
from lightning_mtgan.networks.sngan import SNGANGenerator, SNGANTrunk
from lightning_mtgan.networks.spectral import spectral
from lightning_mtgan.networks.stylegan2 import StyleGAN2Generator
from lightning_mtgan.networks.stylegan2_trunk import PlainDownBlock, ResidualDownBlock, StyleGAN2Trunk
from lightning_mtgan.networks.trunks import ConvTrunk, Trunk

__all__ = [
    "AdversarialHead",
    "BigGANGenerator",
    "BigGANTrunk",
    "Blur",
    "ConditionalBatchNorm",
    "ConvGenerator",
    "ConvTrunk",
    "DCGANGenerator",
    "DCGANTrunk",
    "Downsample",
    "EqualizedConv2d",
    "EqualizedHead",
    "EqualizedLinear",
    "EqualizedProjectionHead",
    "Generator",
    "GlobalBatchNorm",
    "GlobalNormalization",
    "GroupedMinibatchDeviation",
    "MapHead",
    "MinibatchDeviation",
    "MixesSamples",
    "ModulatedConv2d",
    "ModulatedUpConv2d",
    "PlainDownBlock",
    "ProjectionHead",
    "R3GANGenerator",
    "R3GANHead",
    "R3GANProjectionHead",
    "R3GANTrunk",
    "ResidualDownBlock",
    "SNGANGenerator",
    "SNGANTrunk",
    "SelfAttention",
    "SpectralProjectionHead",
    "SpectralUnconditionalHead",
    "StyleGAN2Generator",
    "StyleGAN2Trunk",
    "TaskEmbedding",
    "Trunk",
    "UnconditionalHead",
    "Upsample",
    "mixes_samples",
    "refuse_inexact_layers",
    "spectral",
]
