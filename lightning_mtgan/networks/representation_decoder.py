"""From a map that says what is to be seen to an image of one domain."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from lightning_mtgan.networks.domain_encoder import channels_of
from lightning_mtgan.networks.layered import Grow, Layered, Refine, Shrink, ToImage
from lightning_mtgan.types import DataSpec


class RepresentationDecoder(Layered):
    """From the map of a ``DomainEncoder`` to images (N, C, H, W) in [-1, 1] of one domain.

    Channels are counted from the map upwards, so that decoders of different domains begin alike.

    Args:
        spec: Size and channels of the images.
        num_features: Channels of the map.
        num_halvings: How often the encoder has halved height and width.
        width: Channels at the map's size, halved at each doubling.
        least_width: The least channels.

    Raises:
        UserError: If a number is out of range, or the image size cannot be halved so often.
    """

    def __init__(
        self, spec: DataSpec, num_features: int, num_halvings: int, width: int = 32, least_width: int = 16
    ) -> None:
        channels = channels_of(spec, width, num_halvings, least_width)
        layers: list[nn.Module] = [Shrink(num_features, channels[0], stride=1), Refine(channels[0])]
        for below, above in pairwise(channels):
            layers += [Grow(below, above), Refine(above)]
        super().__init__([*layers, ToImage(channels[-1], spec.num_channels)])
