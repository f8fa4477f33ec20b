"""BigGAN: residual networks with a latent and a condition in every block."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.attention import attention_behind
from lightning_mtgan.networks.conditional_normalization import ConditionalBatchNorm
from lightning_mtgan.networks.generators import Generator
from lightning_mtgan.networks.mixing import GlobalBatchNorm
from lightning_mtgan.networks.residual_blocks import DiscriminatorBlock, GeneratorBlock
from lightning_mtgan.networks.spectral import spectral
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec

CHUNK = 20
"""Length of the part of the latent that each block reads, as published."""
GENERATOR = {64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}
"""Channels from 4 x 4 up, in widths; up to 32 pixels 4 everywhere."""
TRUNK = {64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}
"""Channels of the blocks, in widths, of which all but the last halve; up to 32 pixels 4 times 4."""
GENERATOR_ATTENTION = {64: 32, 128: 64, 256: 128}
"""Resolution of the attention; none up to 32 pixels."""
TRUNK_ATTENTION = {64: 32, 128: 64, 256: 64}
"""Resolution of the attention; none up to 32 pixels."""


def _bounded(layer: nn.Module) -> nn.Module:
    """The layer, started orthogonal and without a bias, with spectral normalisation."""
    nn.init.orthogonal_(layer.get_parameter("weight"))
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.get_parameter("bias"))
    return spectral(layer)


def _bounded_linear(in_features: int, out_features: int) -> nn.Module:
    return _bounded(nn.Linear(in_features, out_features, bias=False))


def _check(spec: DataSpec) -> int:
    """How often 4 x 4 is doubled to the size of the images.

    Raises:
        UserError: If the size is not 8, 16, 32, 64, 128 or 256.
    """
    if spec.image_size > max(GENERATOR):
        raise UserError(f"image_size is {spec.image_size}, but BigGAN has at most {max(GENERATOR)}; resize the images")
    return len(widths(spec.image_size, 1)) - 1


class BigGANGenerator(Generator):
    """A residual generator with spectral normalisation, Brock et al. 2019 (arXiv:1809.11096), appendix B, table 4a.

    The latent is cut into parts of the same length: the first is the 4 x 4 start, each other one
    steers a block, together with the condition.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector; 0 for an unconditional generator.
        latent_dim: Length of the latent vector, a multiple of one more than there are blocks; null
            for 20 each: 80 at 32 pixels, 120 at 128.
        width: Channels of which each block has a multiple; null for 64 up to 32 pixels and 96 beyond.
        attention_at: Resolution behind whose block there is ``SelfAttention``, in pixels; null as
            published: 64 for images of 128 pixels, none for 32; 0 for none.

    Raises:
        UserError: If the latent cannot be cut into equal parts.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        latent_dim: int | None = None,
        width: int | None = None,
        attention_at: int | None = None,
    ) -> None:
        num_blocks = _check(spec)
        latent_dim = latent_dim or CHUNK * (num_blocks + 1)
        if latent_dim % (num_blocks + 1):
            raise UserError(
                f"latent_dim is {latent_dim}, but at {spec.image_size} pixels it is cut into {num_blocks + 1} equal "
                f"parts; use a multiple of {num_blocks + 1}"
            )
        super().__init__(latent_dim)
        self.condition_dim, self.chunk_dim = condition_dim, latent_dim // (num_blocks + 1)
        width = width or (96 if spec.image_size in GENERATOR else 64)
        channels = [width * factor for factor in GENERATOR.get(spec.image_size, (4,) * (num_blocks + 1))]
        normalization = partial(
            ConditionalBatchNorm, condition_dim=condition_dim + self.chunk_dim, linear=_bounded_linear
        )
        self.lift = _bounded(nn.Linear(self.chunk_dim, channels[0] * SMALLEST**2))
        self.blocks = nn.ModuleList(
            GeneratorBlock(below, above, normalization, _bounded, _bounded) for below, above in pairwise(channels)
        )
        resolutions = [SMALLEST << level for level in range(1, len(channels))]
        place = GENERATOR_ATTENTION.get(spec.image_size) if attention_at is None else attention_at or None
        self.attend = attention_behind(channels[1:], resolutions, place, _bounded)
        self.normalize = GlobalBatchNorm(channels[-1])
        self.to_image = _bounded(nn.Conv2d(channels[-1], spec.num_channels, 3, padding=1))

    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, 1, latent_dim + condition_dim) to images (N, C, H, W) in [-1, 1]."""
        whole, condition = style.flatten(1).split([self.latent_dim, self.condition_dim], dim=1)
        start, *chunks = whole.split(self.chunk_dim, dim=1)
        features = self.lift(start).unflatten(1, (-1, SMALLEST, SMALLEST))
        for block, attend, chunk in zip(self.blocks, self.attend, chunks, strict=True):
            features = attend(block(features, torch.cat([condition, chunk], dim=1)))
        return self.to_image(relu(self.normalize(features))).tanh()


class BigGANTrunk(Trunk):
    """A residual trunk with spectral normalisation, Brock et al. 2019 (arXiv:1809.11096), appendix B, table 4b.

    Args:
        spec: Size and channels of the images.
        width: Channels of which each block has a multiple; null for 64 up to 32 pixels and 96 beyond.
        attention_at: Resolution behind whose first block there is ``SelfAttention``, in pixels; null as
            published: 64 for images of 128 pixels, none for 32; 0 for none.
    """

    def __init__(self, spec: DataSpec, width: int | None = None, attention_at: int | None = None) -> None:
        num_doublings = _check(spec)
        width = width or (96 if spec.image_size in TRUNK else 64)
        channels = [width * factor for factor in TRUNK.get(spec.image_size, (4,) * 4)]
        num_halvings = num_doublings if spec.image_size in TRUNK else min(num_doublings, 2)
        super().__init__(channels[-1])
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(above, below, below, _bounded, _bounded, index < num_halvings, index == 0)
            for index, (above, below) in enumerate(pairwise([spec.num_channels, *channels]))
        )
        resolutions = [spec.image_size >> min(index + 1, num_halvings) for index in range(len(channels))]
        place = TRUNK_ATTENTION.get(spec.image_size) if attention_at is None else attention_at or None
        self.attend = attention_behind(channels, resolutions, place, _bounded)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features), summed over places."""
        features = image
        for block, attend in zip(self.blocks, self.attend, strict=True):
            features = attend(block(features))
        return relu(features).sum((2, 3))
