"""Generators: a latent and a condition become an image."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec


class Generator(nn.Module, ABC):
    """A network from latent (N, latent_dim) and condition (N, condition_dim) to images in [-1, 1].

    Args:
        latent_dim: Length of the latent vector.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def style(self, latent: Tensor, condition: Tensor) -> Tensor:
        """What the layers are steered by, (N, L, D): both vectors, where no mapping comes first (L = 1)."""
        return torch.cat([latent, condition], dim=1)[:, None]

    @abstractmethod
    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, L, D), and the latents they were made of, to images (N, C, H, W) in [-1, 1]."""

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Latents (N, latent_dim) and conditions (N, condition_dim) to images (N, C, H, W) in [-1, 1]."""
        return self.render(self.style(latent, condition), latent)


class ConvGenerator(Generator):
    """A convolutional generator; without normalisation, as it is by default, images stay independent.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector; 0 for an unconditional generator.
        latent_dim: Length of the latent vector.
        width: Channels at full resolution; doubled at each halving.
        normalization: From a number of channels to a layer behind each doubling, for example
            ``GlobalBatchNorm``; null for none.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        latent_dim: int = 32,
        width: int = 32,
        normalization: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__(latent_dim)
        channels = widths(spec.image_size, width)[::-1]
        self.lift = nn.Linear(latent_dim + condition_dim, channels[0] * SMALLEST**2)
        self.smallest = nn.Conv2d(channels[0], channels[0], 3, padding=1)
        has_bias = normalization is None  # a normalisation takes away what a bias adds, and has its own
        self.grow = nn.ModuleList(
            nn.Conv2d(below, above, 3, padding=1, bias=has_bias) for below, above in pairwise(channels)
        )
        self.normalize = nn.ModuleList(
            normalization(above) if normalization is not None else nn.Identity() for above in channels[1:]
        )
        self.refine = nn.ModuleList(nn.Conv2d(above, above, 3, padding=1) for above in channels[1:])
        self.to_image = nn.Conv2d(channels[-1], spec.num_channels, 3, padding=1)

    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, 1, latent_dim + condition_dim) to images (N, C, H, W) in [-1, 1]."""
        features = self.lift(style.flatten(1))
        features = leaky_relu(features, 0.2).unflatten(1, (-1, SMALLEST, SMALLEST))
        features = leaky_relu(self.smallest(features), 0.2)
        for grow, normalize, refine in zip(self.grow, self.normalize, self.refine, strict=True):
            features = leaky_relu(normalize(grow(interpolate(features, scale_factor=2.0))), 0.2)
            features = (features + leaky_relu(refine(features), 0.2)) * math.sqrt(0.5)
        return self.to_image(features).tanh()
