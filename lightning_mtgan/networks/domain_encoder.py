"""One encoder for the images of several domains."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.layered import Layered, Refine, Shrink
from lightning_mtgan.types import DataSpec


class DomainEncoder(Layered):
    """From images of any of several domains to one map, in which they can be compared.

    Channels are halved at each doubling of the size. There is no normalisation: images stay independent.

    Args:
        spec: Size of the images, and the most channels that one of them has.
        width: Channels of the map.
        num_halvings: How often height and width are halved on the way to it.
        least_width: The least channels.

    Raises:
        UserError: If a number is out of range, or the image size cannot be halved so often.
    """

    def __init__(self, spec: DataSpec, width: int = 32, num_halvings: int = 2, least_width: int = 16) -> None:
        channels = channels_of(spec, width, num_halvings, least_width)[::-1]
        layers: list[nn.Module] = [Shrink(spec.num_channels, channels[0], stride=1)]
        for above, below in pairwise(channels):
            layers += [Shrink(above, below), Refine(below)]
        super().__init__(layers)
        self.num_channels, self.num_features, self.num_halvings = spec.num_channels, channels[-1], num_halvings

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to (N, num_features, H / 2^num_halvings, W / 2^num_halvings).

        Grey ones, with C = 1, are repeated in each channel.
        """
        return super().forward(image.expand(-1, self.num_channels, -1, -1))


def channels_of(spec: DataSpec, width: int, num_halvings: int, least_width: int) -> list[int]:
    """Channels from the map up to the image's size.

    Raises:
        UserError: If a number is out of range, or the image size cannot be halved so often.
    """
    if width < 1 or least_width < 1:
        raise UserError(f"width is {width} and least_width {least_width}; layers need at least 1 channel, such as 16")
    if num_halvings < 0 or spec.image_size % 2**num_halvings:
        raise UserError(
            f"num_halvings is {num_halvings}, but images of {spec.image_size} pixels cannot be halved so often"
        )
    return [max(width >> level, least_width) for level in range(num_halvings + 1)]
