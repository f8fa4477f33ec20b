"""R3GAN: a generator and a trunk of the same blocks, without normalisation, styles or noise."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.generators import Generator
from lightning_mtgan.networks.resampling import Downsample, Upsample
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec

WIDTH_TIMES_SIZE = 24576
"""Channels at full resolution times pixels of a side, in the paper's networks for 32 to 256 pixels."""
LEAKY_RELU_GAIN = math.sqrt(2 / (1 + 0.2**2))
"""With this gain before it, a leaky ReLU of slope 0.2 keeps the variance, He et al. 2015 (arXiv:1502.01852)."""

Weighted = TypeVar("Weighted", nn.Conv2d, nn.Linear)


def initialized(layer: Weighted, gain: float = 1.0) -> Weighted:
    """The layer with weights from N(0, gain^2 / fan_in), and biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _point(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A convolution of one by one without bias."""
    return initialized(nn.Conv2d(in_channels, out_channels, 1, bias=False))


class R3GANBlock(nn.Module):
    """x + W_3 act(W_2 act(W_1 x)), Huang et al. 2024 (arXiv:2501.05441), section 4.

    An inverted bottleneck around a grouped convolution; Fix-up's initialisation (arXiv:1901.09321):
    W_3 is 0 and the others are smaller the more blocks there are. At first W_1 and W_2 have no
    gradient therefore; they have one from the second step on.

    Args:
        channels: Channels of the input and of the output.
        num_blocks: Blocks in the whole network.
        channels_per_group: Channels in a group of the convolution.
        expansion: How many times more channels there are within.
    """

    def __init__(self, channels: int, num_blocks: int, channels_per_group: int = 16, expansion: int = 2) -> None:
        super().__init__()
        inner = channels * expansion
        if inner % channels_per_group != 0:
            raise UserError(
                f"width {channels} times expansion {expansion} is no multiple of channels_per_group, which is "
                f"{channels_per_group}; change one of them"
            )
        gain = LEAKY_RELU_GAIN * num_blocks ** (-1 / 4)  # 4: twice the number of layers before the last
        groups = inner // channels_per_group
        self.widen = initialized(nn.Conv2d(channels, inner, 1), gain)
        self.mix = initialized(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), gain)
        self.narrow = initialized(nn.Conv2d(inner, channels, 1, bias=False), 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        inner = leaky_relu(self.widen(features), 0.2)
        inner = leaky_relu(self.mix(inner), 0.2)
        return features + self.narrow(inner)


def _stages(channels: list[int], blocks_per_stage: int, channels_per_group: int, expansion: int) -> list[nn.Sequential]:
    """The blocks at each resolution."""
    num_blocks = blocks_per_stage * len(channels)
    return [
        nn.Sequential(*(R3GANBlock(here, num_blocks, channels_per_group, expansion) for _ in range(blocks_per_stage)))
        for here in channels
    ]


def _channels(spec: DataSpec, width: int | None, max_channels: int) -> list[int]:
    """Channels from the full resolution down."""
    return widths(spec.image_size, width or max(8, WIDTH_TIMES_SIZE // spec.image_size), max_channels)


class R3GANGenerator(Generator):
    """The generator of R3GAN, Huang et al. 2024 (arXiv:2501.05441), section 4, configuration E.

    The defaults are the paper's networks for CIFAR-10 and for FFHQ with 64 and 256 pixels. For
    ImageNet it takes ``width`` and ``max_channels`` 1536 and ``channels_per_group`` 32. Images are
    around [-1, 1]: as in the paper, no function bounds them.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector; 0 for an unconditional generator.
        latent_dim: Length of the latent vector, and of the embedded condition.
        width: Channels at full resolution, doubled at each halving; null for 24576 / image_size.
        max_channels: Upper limit of the channels.
        blocks_per_stage: Blocks at each resolution.
        channels_per_group: Channels in a group of the grouped convolutions.
        expansion: How many times more channels blocks have within.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        latent_dim: int = 64,
        width: int | None = None,
        max_channels: int = 768,
        blocks_per_stage: int = 2,
        channels_per_group: int = 16,
        expansion: int = 2,
    ) -> None:
        super().__init__(latent_dim)
        channels = _channels(spec, width, max_channels)[::-1]
        has_condition = condition_dim > 0
        self.embed = initialized(nn.Linear(condition_dim, latent_dim, bias=False)) if has_condition else None
        self.basis = nn.Parameter(torch.randn(channels[0], SMALLEST, SMALLEST))
        self.weigh = initialized(nn.Linear(latent_dim * (1 + has_condition), channels[0], bias=False))
        self.stages = nn.ModuleList(_stages(channels, blocks_per_stage, channels_per_group, expansion))
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Identity() if below == above else _point(below, above), Upsample())
            for below, above in pairwise(channels)
        )
        self.to_image = _point(channels[-1], spec.num_channels)

    def style(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Latents (N, latent_dim), beside the embedded conditions: (N, 1, latent_dim or twice that)."""
        if self.embed is None:
            return latent[:, None]
        return torch.cat([latent, self.embed(condition)], dim=1)[:, None]

    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, 1, D) to images (N, C, H, W) around [-1, 1]."""
        features = self.stages[0](self.basis * self.weigh(style.flatten(1))[:, :, None, None])
        for grow, stage in zip(self.grow, self.stages[1:], strict=True):
            features = stage(grow(features))
        return self.to_image(features)


class R3GANTrunk(Trunk):
    """The discriminator of R3GAN without its last layer, Huang et al. 2024 (arXiv:2501.05441), section 4.

    The mirror image of the generator; each channel of the lowest resolution is weighed by a map of
    its own. The last layer is ``R3GANHead`` or ``R3GANProjectionHead``.

    Args:
        spec: Size and channels of the images.
        width: Channels at full resolution, doubled at each halving; null for 24576 / image_size.
        max_channels: Upper limit of the channels, and length of the features of large enough images.
        blocks_per_stage: Blocks at each resolution.
        channels_per_group: Channels in a group of the grouped convolutions.
        expansion: How many times more channels blocks have within.
    """

    def __init__(
        self,
        spec: DataSpec,
        width: int | None = None,
        max_channels: int = 768,
        blocks_per_stage: int = 2,
        channels_per_group: int = 16,
        expansion: int = 2,
    ) -> None:
        channels = _channels(spec, width, max_channels)
        super().__init__(num_features=channels[-1])
        self.from_image = _point(spec.num_channels, channels[0])
        self.stages = nn.ModuleList(_stages(channels, blocks_per_stage, channels_per_group, expansion))
        self.shrink = nn.ModuleList(
            nn.Sequential(Downsample(), nn.Identity() if above == below else _point(above, below))
            for above, below in pairwise(channels)
        )
        last = channels[-1]
        self.basis = initialized(nn.Conv2d(last, last, SMALLEST, groups=last, bias=False))

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features)."""
        features = self.from_image(image)
        for stage, shrink in zip(self.stages, self.shrink, strict=False):  # behind the last stage comes the basis
            features = shrink(stage(features))
        return self.basis(self.stages[-1](features)).flatten(1)
