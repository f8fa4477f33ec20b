"""SNGAN: residual networks whose discriminator is bounded layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from lightning_mtgan.networks.attention import attention_behind
from lightning_mtgan.networks.conditional_normalization import ConditionalBatchNorm, UnconditionalBatchNorm
from lightning_mtgan.networks.generators import Generator
from lightning_mtgan.networks.mixing import GlobalBatchNorm
from lightning_mtgan.networks.residual_blocks import DiscriminatorBlock, GeneratorBlock
from lightning_mtgan.networks.spectral import spectral
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec

LARGEST_FLAT = 32
"""Up to this size all blocks have the same width; beyond, it doubles at each halving, up to 16 times."""


def _xavier(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """The layer, started at random by Glorot and Bengio 2010, equation 16, without a bias."""
    nn.init.xavier_uniform_(layer.get_parameter("weight"), gain)
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def _bounded(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    return spectral(_xavier(layer, gain))


class SNGANGenerator(Generator):
    """A residual generator, Miyato et al. 2018 (arXiv:1802.05957), tables 4 and 6.

    The latent is the 4 x 4 start. A condition speaks through gain and bias of the normalisations in
    the blocks, as in Miyato and Koyama 2018 (arXiv:1802.05637).

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector; 0 for an unconditional generator.
        latent_dim: Length of the latent vector.
        width: Channels at full resolution; null for 256 up to 32 pixels, where all blocks have as
            many, and 64 beyond, where they double at each halving, up to 16 times as many.
        attention_at: Resolution behind whose block there is ``SelfAttention``, in pixels; null for none.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        latent_dim: int = 128,
        width: int | None = None,
        attention_at: int | None = None,
    ) -> None:
        super().__init__(latent_dim)
        self.condition_dim = condition_dim
        is_flat = spec.image_size <= LARGEST_FLAT
        width = width or (256 if is_flat else 64)
        channels = widths(spec.image_size, width, maximum=width if is_flat else 16 * width)[::-1]
        normalization: Callable[[int], nn.Module] = UnconditionalBatchNorm
        if condition_dim > 0:
            normalization = partial(ConditionalBatchNorm, condition_dim=condition_dim)
        branch = partial(_xavier, gain=math.sqrt(2))
        self.lift = _xavier(nn.Linear(latent_dim, channels[0] * SMALLEST**2))
        self.blocks = nn.ModuleList(
            GeneratorBlock(below, above, normalization, branch, _xavier) for below, above in pairwise(channels)
        )
        resolutions = [SMALLEST << level for level in range(1, len(channels))]
        self.attend = attention_behind(channels[1:], resolutions, attention_at, _xavier)
        self.normalize = GlobalBatchNorm(channels[-1])
        self.to_image = _xavier(nn.Conv2d(channels[-1], spec.num_channels, 3, padding=1))

    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, 1, latent_dim + condition_dim) to images (N, C, H, W) in [-1, 1]."""
        start, condition = style.flatten(1).split([self.latent_dim, self.condition_dim], dim=1)
        features = self.lift(start).unflatten(1, (-1, SMALLEST, SMALLEST))
        for block, attend in zip(self.blocks, self.attend, strict=True):
            features = attend(block(features, condition))
        return self.to_image(relu(self.normalize(features))).tanh()


class SNGANTrunk(Trunk):
    """A residual trunk with spectral normalisation, Miyato et al. 2018 (arXiv:1802.05957), tables 4, 6.

    Args:
        spec: Size and channels of the images.
        width: Channels of the first block; null for 128 up to 32 pixels, where all four blocks have as
            many, and 64 beyond, where they double from block to block, up to 16 times as many.
        attention_at: Resolution behind whose first block there is ``SelfAttention``, in pixels; null
            for none.
    """

    def __init__(self, spec: DataSpec, width: int | None = None, attention_at: int | None = None) -> None:
        num_doublings = len(widths(spec.image_size, 1)) - 1
        if spec.image_size <= LARGEST_FLAT:
            width, num_halvings = width or 128, min(num_doublings, 2)
            channels = [width] * 4
        else:  # 64 pixels are halved down to 2 x 2, larger images down to 4 x 4 with one block more
            width, num_halvings = width or 64, max(num_doublings, 5)
            channels = [width << min(level, 4) for level in range(num_doublings + 1)]
        super().__init__(channels[-1])
        branch = partial(_bounded, gain=math.sqrt(2))
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                above, below, below if index == 0 else above, branch, _bounded, index < num_halvings, index == 0
            )
            for index, (above, below) in enumerate(pairwise([spec.num_channels, *channels]))
        )
        resolutions = [spec.image_size >> min(index + 1, num_halvings) for index in range(len(channels))]
        self.attend = attention_behind(channels, resolutions, attention_at, _bounded)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features), summed over places."""
        features = image
        for block, attend in zip(self.blocks, self.attend, strict=True):
            features = attend(block(features))
        return relu(features).sum((2, 3))
