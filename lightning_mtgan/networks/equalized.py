"""Layers with an equalized learning rate: parameters of unit size, scaled each time they are used."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

LEAKY_RELU_GAIN = math.sqrt(2)
"""With this gain before it, a leaky ReLU of slope 0.2 about keeps the size of its input; StyleGAN's choice."""


class EqualizedLinear(nn.Module):
    """A linear layer with an equalized learning rate, Karras et al. 2018 (arXiv:1710.10196), section 4.1.

    Parameters are drawn from N(0, 1) and used times 1 / sqrt(fan_in), so that Adam, whose steps do
    not depend on the size of gradients, moves all layers at the same speed.

    Args:
        in_features: Length of the input.
        out_features: Length of the output.
        bias: Whether something is added.
        initial_bias: What is added at first.
        lr_multiplier: How much slower than the other layers this one learns: 0.01 in a mapping
            network, StyleGAN (arXiv:1812.04948), appendix C. The output at first is the same.
        gain: What the output, bias included, is multiplied by.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        initial_bias: float = 0.0,
        lr_multiplier: float = 1.0,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), initial_bias / lr_multiplier)) if bias else None
        self.weight_scale = gain * lr_multiplier / math.sqrt(in_features)
        self.bias_scale = gain * lr_multiplier

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, in_features) to (N, out_features)."""
        bias = self.bias * self.bias_scale if self.bias is not None else None
        return linear(features, self.weight * self.weight_scale, bias)


class EqualizedConv2d(nn.Module):
    """A convolution with an equalized learning rate, Karras et al. 2018 (arXiv:1710.10196), section 4.1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, in pixels.
        bias: Whether something is added to each channel, at first 0.
        stride: Pixels of the input for each of the output.
        padding: Zeros around the input; null for as many as keep the size at stride 1.
        gain: What the output, bias included, is multiplied by.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        stride: int = 1,
        padding: int | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.stride = stride
        self.padding = kernel_size // 2 if padding is None else padding
        self.weight_scale = gain / math.sqrt(in_channels * kernel_size**2)
        self.bias_scale = gain

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        bias = self.bias * self.bias_scale if self.bias is not None else None
        return conv2d(features, self.weight * self.weight_scale, bias, self.stride, self.padding)
