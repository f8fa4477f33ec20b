"""Networks that are plain sequences of layers, so that several of them may have some layers in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec


class Layered(nn.Module):
    """A sequence of layers, each from one tensor to one tensor.

    Args:
        layers: The layers, from the input to the output.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, value: Tensor) -> Tensor:
        """The input, (N, ...), through all layers."""
        for layer in self.layers:
            value = layer(value)
        return value


class Lift(nn.Module):
    """A vector becomes the smallest map: act(W x), 4 x 4 pixels.

    Args:
        length: Length of the vector.
        num_channels: Channels of the map.
    """

    def __init__(self, length: int, num_channels: int) -> None:
        super().__init__()
        self.lift = nn.Linear(length, num_channels * SMALLEST**2)

    def forward(self, vector: Tensor) -> Tensor:
        """(N, length) to (N, num_channels, 4, 4)."""
        return leaky_relu(self.lift(vector), 0.2).unflatten(1, (-1, SMALLEST, SMALLEST))


class Refine(nn.Module):
    """A residual convolution that keeps the variance: (h + act(W h)) / sqrt(2).

    Args:
        num_channels: Channels of the map.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.refine = nn.Conv2d(num_channels, num_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return (features + leaky_relu(self.refine(features), 0.2)) * math.sqrt(0.5)


class Grow(nn.Module):
    """Doubles height and width by repetition, then act(W h).

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.grow = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, 2 H, 2 W)."""
        return leaky_relu(self.grow(interpolate(features, scale_factor=2.0)), 0.2)


class ToImage(nn.Module):
    """The last convolution of a generator: tanh(W h).

    Args:
        num_features: Channels of the map.
        num_channels: Channels of the image.
    """

    def __init__(self, num_features: int, num_channels: int) -> None:
        super().__init__()
        self.to_image = nn.Conv2d(num_features, num_channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, num_features, H, W) to images (N, num_channels, H, W) in [-1, 1]."""
        return self.to_image(features).tanh()


class Shrink(nn.Module):
    """act(W h) at the same size, or at half of height and width.

    Args:
        in_channels: Channels of the image or map.
        out_channels: Channels of the result.
        stride: 1, or 2 to halve.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 2) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return leaky_relu(self.shrink(image), 0.2)


class Gather(nn.Module):
    """The smallest map becomes a vector of features: act(W h).

    Args:
        num_channels: Channels of the map.
        num_features: Length of the vector.
    """

    def __init__(self, num_channels: int, num_features: int) -> None:
        super().__init__()
        self.gather = nn.Linear(num_channels * SMALLEST**2, num_features)

    def forward(self, features: Tensor) -> Tensor:
        """(N, num_channels, 4, 4) to (N, num_features)."""
        return leaky_relu(self.gather(features.flatten(1)), 0.2)


class LayeredGenerator(Layered):
    """A generator whose first layers say what is to be seen, and whose last ones how it looks.

    Channels are counted from the smallest map upwards, so that generators of different image sizes begin alike. There
    is no normalisation: images stay independent.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector; 0 for an unconditional generator.
        latent_dim: Length of the latent vector.
        width: Channels at 4 x 4 pixels, halved at each doubling.
        least_width: The least channels.

    Raises:
        UserError: If a number is less than 1, or the image size is not 4 times a power of two.
    """

    def __init__(
        self, spec: DataSpec, condition_dim: int, latent_dim: int = 32, width: int = 64, least_width: int = 16
    ) -> None:
        channels = _channels(spec.image_size, width, least_width)
        layers: list[nn.Module] = [Lift(latent_dim + condition_dim, channels[0]), Refine(channels[0])]
        for below, above in pairwise(channels):
            layers += [Grow(below, above), Refine(above)]
        super().__init__([*layers, ToImage(channels[-1], spec.num_channels)])
        self.latent_dim = latent_dim

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Latents (N, latent_dim) and conditions (N, condition_dim) to images (N, C, H, W) in [-1, 1]."""
        return super().forward(latent if condition is None else torch.cat([latent, condition], dim=1))


class LayeredTrunk(Layered):
    """A trunk whose first layers look at pixels, and whose last ones know what is to be seen.

    Args:
        spec: Size and channels of the images.
        width: Channels at 4 x 4 pixels, halved at each doubling.
        least_width: The least channels.
        num_features: Length of the vector of features, which is the last layer's.

    Raises:
        UserError: If a number is less than 1, or the image size is not 4 times a power of two.
    """

    def __init__(self, spec: DataSpec, width: int = 64, least_width: int = 16, num_features: int = 64) -> None:
        channels = _channels(spec.image_size, width, least_width)[::-1]
        layers: list[nn.Module] = [Shrink(spec.num_channels, channels[0], stride=1)]
        for above, below in pairwise(channels):
            layers += [Shrink(above, below), Refine(below)]
        super().__init__([*layers, Gather(channels[-1], num_features)])
        self.num_features = num_features


def _channels(image_size: int, width: int, least_width: int) -> list[int]:
    """Channels from 4 x 4 pixels up to the image's size."""
    if width < 1 or least_width < 1:
        raise UserError(f"width is {width} and least_width {least_width}; layers need at least 1 channel, such as 16")
    return [max(width >> level, least_width) for level in range(len(widths(image_size, 1)))]
