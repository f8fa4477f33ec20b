"""The generator of StyleGAN2: a learned constant, shaped by styles."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_mtgan.networks.generators import Generator
from lightning_mtgan.networks.mapping import MappingNetwork
from lightning_mtgan.networks.modulation import ModulatedConv2d, ModulatedUpConv2d, StyledLayer, ToImage
from lightning_mtgan.networks.resampling import Upsample
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec

WIDTH_TIMES_SIZE = 32768
"""Channels at full resolution times pixels of a side, in the paper's larger networks (configuration F)."""


class StyleGAN2Generator(Generator):
    """The generator of StyleGAN2, Karras et al. 2020 (arXiv:1912.04958), configurations E and F.

    The noise of every pixel is a part of the latent, so that an image is a function of its latent
    alone: the first ``z_dim`` numbers are mapped to styles, all others are the maps of noise, from
    4 x 4 on upwards. Images are around [-1, 1]: as in the paper, no function bounds them.

    The defaults have 512 channels up to 64 pixels. With ``num_mapping_layers`` 2 they are the network
    that StyleGAN2-ADA (arXiv:2006.06676, appendix C) uses for CIFAR-10.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector; 0 for an unconditional generator.
        z_dim: Length of the part of the latent that is mapped.
        style_dim: Length of a style.
        num_mapping_layers: Layers of the mapping network.
        width: Channels at full resolution, doubled at each halving; null for 32768 / image_size.
        max_channels: Upper limit of the channels.
        noise: Whether layers add noise.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        z_dim: int = 512,
        style_dim: int = 512,
        num_mapping_layers: int = 8,
        width: int | None = None,
        max_channels: int = 512,
        noise: bool = True,
    ) -> None:
        channels = widths(spec.image_size, width or max(1, WIDTH_TIMES_SIZE // spec.image_size), max_channels)[::-1]
        sizes = [SMALLEST << level for level in range(len(channels))]
        noise_sizes = [sizes[0], *(size for size in sizes[1:] for _ in range(2))] if noise else []
        super().__init__(latent_dim=z_dim + sum(size**2 for size in noise_sizes))
        self.z_dim = z_dim
        self.noise_sizes = noise_sizes
        self.num_styles = 2 * len(channels)
        self.mapping = MappingNetwork(z_dim, condition_dim, style_dim, num_mapping_layers)
        self.constant = nn.Parameter(torch.randn(channels[0], SMALLEST, SMALLEST))
        self.first = StyledLayer(ModulatedConv2d(channels[0], channels[0], 3, style_dim), noise)
        self.grow = nn.ModuleList(
            StyledLayer(ModulatedUpConv2d(below, above, style_dim), noise) for below, above in pairwise(channels)
        )
        self.refine = nn.ModuleList(
            StyledLayer(ModulatedConv2d(above, above, 3, style_dim), noise) for above in channels[1:]
        )
        self.to_image = nn.ModuleList(ToImage(here, spec.num_channels, style_dim) for here in channels)
        self.upsample = Upsample()

    def style(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Latents (N, latent_dim) and conditions to the same style for every layer, (N, num_styles, style_dim)."""
        style = self.mapping(latent[:, : self.z_dim], condition)
        return style[:, None].expand(-1, self.num_styles, -1)

    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, num_styles, style_dim), and the latents whose noise is added, to images around [-1, 1].

        Style 0 is that of the 4 x 4 layer, 2 k - 1 and 2 k those of the layers after k doublings; a
        layer that makes an image reads the style that comes next.
        """
        styles = style.unbind(1)
        noise = self._noise(latent)
        constant = self.constant.expand(len(style), -1, -1, -1)
        features = self.first(constant, styles[0], noise[0])
        image = self.to_image[0](features, styles[1])
        for level, (grow, refine) in enumerate(zip(self.grow, self.refine, strict=True), start=1):
            before, behind = 2 * level - 1, 2 * level
            features = grow(features, styles[before], noise[before])
            features = refine(features, styles[behind], noise[behind])
            image = self.upsample(image) + self.to_image[level](features, styles[behind + 1])
        return image

    def _noise(self, latent: Tensor) -> list[Tensor | None]:
        """The map of noise (N, 1, H, W) of each layer, or None."""
        if not self.noise_sizes:
            return [None] * (self.num_styles - 1)
        parts = latent[:, self.z_dim :].split([size**2 for size in self.noise_sizes], dim=1)
        return [part.unflatten(1, (1, size, size)) for part, size in zip(parts, self.noise_sizes, strict=True)]
