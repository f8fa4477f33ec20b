"""A convolutional encoder."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.networks.r3gan import LEAKY_RELU_GAIN, initialized


class ConvEncoder(ImageEncoder):
    """Convolutions of stride 2, each followed by a residual one, as in ``ConvTrunk``, but to a map at each size.

    Channels double at each halving, ``width`` * 2^l at level l. There is no normalisation, so that images stay
    independent and R1 is exact. At the full resolution there is but one convolution, which keeps it cheap.
    Images of which H or W is no multiple are halved upwards: 5 pixels to 3.

    Args:
        num_channels: Channels of the images.
        width: Channels at full resolution; doubled at each halving.
        num_halvings: How often height and width are halved.

    Raises:
        UserError: If the width is not at least 1, or the number of halvings negative.
    """

    def __init__(self, num_channels: int, width: int = 16, num_halvings: int = 2) -> None:
        if width < 1:
            raise UserError(f"width is {width}; an image encoder needs at least 1 channel, such as 16")
        if num_halvings < 0:
            raise UserError(f"num_halvings is {num_halvings}; use 0 for none, or 1 to 4")
        super().__init__([width << level for level in range(num_halvings + 1)])
        self.from_image = initialized(nn.Conv2d(num_channels, width, 3, padding=1))
        self.shrink = nn.ModuleList(
            initialized(nn.Conv2d(above, below, 3, stride=2, padding=1), LEAKY_RELU_GAIN)
            for above, below in pairwise(self.widths)
        )
        self.refine = nn.ModuleList(
            initialized(nn.Conv2d(below, below, 3, padding=1), LEAKY_RELU_GAIN) for below in self.widths[1:]
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) to maps (N, widths[l], H / 2^l, W / 2^l)."""
        maps = [leaky_relu(self.from_image(image), 0.2)]
        for shrink, refine in zip(self.shrink, self.refine, strict=True):
            features = leaky_relu(shrink(maps[-1]), 0.2)
            maps.append((features + leaky_relu(refine(features), 0.2)) * math.sqrt(0.5))
        return maps
