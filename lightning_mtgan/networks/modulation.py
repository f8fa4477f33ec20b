"""Convolutions whose weights are scaled by a style, one for each image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from lightning_mtgan.networks.equalized import LEAKY_RELU_GAIN, EqualizedLinear
from lightning_mtgan.networks.precision import full_precision
from lightning_mtgan.networks.resampling import Blur


class ModulatedConv2d(nn.Module):
    """A convolution with modulated and demodulated weights, StyleGAN2 (arXiv:1912.04958), equations 1 and 3.

    The input's channels are scaled by the style instead of the weights, and the output's by what
    demodulates: the same numbers, with one convolution for the whole batch.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, in pixels: 1, 3 ...
        style_dim: Length of the style vector.
        eps: What is added to the sum of squared weights.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, style_dim: int, eps: float = 1e-8
    ) -> None:
        super().__init__()
        self.eps = eps
        self.affine = EqualizedLinear(style_dim, in_channels, initial_bias=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.weight_scale = 1 / math.sqrt(in_channels * kernel_size**2)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) and styles (N, style_dim) to (N, out_channels, H', W')."""
        weight = self.weight * self.weight_scale
        with full_precision(weight.device):
            scale = self.affine(style.to(weight.dtype))
            energy = weight.square().sum((2, 3))
            demodulate = (scale.square() @ energy.T + self.eps).rsqrt()
        result = self.convolve(features * scale.to(features.dtype)[:, :, None, None], weight)
        return result * demodulate.to(result.dtype)[:, :, None, None]

    def convolve(self, features: Tensor, weight: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return conv2d(features, weight, padding=weight.shape[2] // 2)


class ModulatedUpConv2d(ModulatedConv2d):
    """A ``ModulatedConv2d`` of three by three that makes its input twice as large, with the filter [1, 3, 3, 1].

    The filter comes behind a transposed convolution, which has a quarter of the work of a
    convolution behind the filter; both are the same but for a frame of one pixel.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        style_dim: Length of the style vector.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int) -> None:
        super().__init__(in_channels, out_channels, 3, style_dim)
        self.blur = Blur(padding=1, total=4.0)

    def convolve(self, features: Tensor, weight: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) to (N, out_channels, 2 H, 2 W)."""
        return self.blur(conv_transpose2d(features, weight.transpose(0, 1), stride=2))


class StyledLayer(nn.Module):
    """A modulated convolution, noise, a bias and a leaky ReLU, StyleGAN2 (arXiv:1912.04958), figure 2c.

    Args:
        convolution: The modulated convolution.
        noise: Whether the layer has a strength of noise, at first 0.
    """

    def __init__(self, convolution: ModulatedConv2d, noise: bool) -> None:
        super().__init__()
        self.convolution = convolution
        self.noise_strength = nn.Parameter(torch.zeros(())) if noise else None
        self.bias = nn.Parameter(torch.zeros(len(convolution.weight)))

    def forward(self, features: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """Features (N, C, H, W), styles (N, style_dim) and noise (N, 1, H', W') to (N, C', H', W')."""
        features = self.convolution(features, style)
        if self.noise_strength is not None and noise is not None:
            features = features + noise.to(features.dtype) * self.noise_strength
        features = features + self.bias.to(features.dtype)[:, None, None]
        return leaky_relu(features, 0.2) * LEAKY_RELU_GAIN


class ToImage(nn.Module):
    """From features to an image: modulated weights of one by one, not demodulated.

    Args:
        in_channels: Channels of the features.
        num_channels: Channels of the image.
        style_dim: Length of the style vector.
    """

    def __init__(self, in_channels: int, num_channels: int, style_dim: int) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_dim, in_channels, initial_bias=1.0)
        self.weight = nn.Parameter(torch.randn(num_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.weight_scale = 1 / math.sqrt(in_channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) and styles (N, style_dim) to images (N, num_channels, H, W)."""
        # So few channels come out that a weight for each image costs less than scaling all pixels.
        weight = self.weight * self.weight_scale * self.affine(style)[:, None]
        image = torch.bmm(weight, features.flatten(2)).unflatten(2, features.shape[2:])
        return image.to(self.bias.dtype) + self.bias[:, None, None]  # images of all sizes are added up in all bits
