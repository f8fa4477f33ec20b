"""The trunk of StyleGAN2's discriminator."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.equalized import LEAKY_RELU_GAIN, EqualizedConv2d, EqualizedLinear
from lightning_mtgan.networks.grouped_deviation import GroupedMinibatchDeviation
from lightning_mtgan.networks.resampling import Blur, Downsample
from lightning_mtgan.networks.stylegan2 import WIDTH_TIMES_SIZE
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec


class PlainDownBlock(nn.Module):
    """Two convolutions, the second of which halves the image: ProGAN (arXiv:1710.10196), table 2, with the filter.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        gain: What the output is multiplied by, beyond what keeps its size.
    """

    def __init__(self, in_channels: int, out_channels: int, gain: float = 1.0) -> None:
        super().__init__()
        self.refine = EqualizedConv2d(in_channels, in_channels, 3, gain=LEAKY_RELU_GAIN)
        self.blur = Blur(padding=2)
        self.shrink = EqualizedConv2d(in_channels, out_channels, 3, stride=2, padding=0, gain=LEAKY_RELU_GAIN * gain)

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        features = leaky_relu(self.refine(features), 0.2)
        return leaky_relu(self.shrink(self.blur(features)), 0.2)


class ResidualDownBlock(PlainDownBlock):
    """A ``PlainDownBlock`` with a way around it, StyleGAN2 (arXiv:1912.04958), figure 7c.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, gain=math.sqrt(0.5))  # both ways together keep the variance
        self.halve = Downsample()
        self.skip = EqualizedConv2d(in_channels, out_channels, 1, bias=False, gain=math.sqrt(0.5))

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        return super().forward(features) + self.skip(self.halve(features))


class StyleGAN2Trunk(Trunk):
    """The discriminator of StyleGAN2 without its last layer, Karras et al. 2020 (arXiv:1912.04958).

    The last layer is ``EqualizedHead`` or ``EqualizedProjectionHead``. For CIFAR-10 StyleGAN2-ADA
    (arXiv:2006.06676, appendix C) takes ``block`` ``PlainDownBlock`` and ``deviation_group`` 32.

    Args:
        spec: Size and channels of the images.
        width: Channels at full resolution, doubled at each halving; null for 32768 / image_size.
        max_channels: Upper limit of the channels.
        num_features: Length of the feature vector.
        block: From channels in and out to a layer that halves the image.
        deviation_group: Images over which the deviation at the lowest resolution is taken, at most those of
            a micro-batch; 0 for no such channel, so that images are judged independently.
    """

    def __init__(
        self,
        spec: DataSpec,
        width: int | None = None,
        max_channels: int = 512,
        num_features: int = 512,
        block: Callable[[int, int], nn.Module] = ResidualDownBlock,
        deviation_group: int = 4,
    ) -> None:
        super().__init__(num_features)
        channels = widths(spec.image_size, width or max(1, WIDTH_TIMES_SIZE // spec.image_size), max_channels)
        self.from_image = EqualizedConv2d(spec.num_channels, channels[0], 1, gain=LEAKY_RELU_GAIN)
        self.blocks = nn.ModuleList(block(above, below) for above, below in pairwise(channels))
        self.deviation = GroupedMinibatchDeviation(deviation_group) if deviation_group > 0 else nn.Identity()
        num_extra = GroupedMinibatchDeviation.num_extra if deviation_group > 0 else 0
        self.smallest = EqualizedConv2d(channels[-1] + num_extra, channels[-1], 3, gain=LEAKY_RELU_GAIN)
        self.gather = EqualizedLinear(channels[-1] * SMALLEST**2, num_features, gain=LEAKY_RELU_GAIN)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features)."""
        features = leaky_relu(self.from_image(image), 0.2)
        for block in self.blocks:
            features = block(features)
        features = leaky_relu(self.smallest(self.deviation(features)), 0.2)
        return leaky_relu(self.gather(features.flatten(1)), 0.2)
