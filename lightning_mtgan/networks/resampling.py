"""Resampling by two with the filter [1, 3, 3, 1], which lets no frequencies through that would alias."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

TAPS = (1.0, 3.0, 3.0, 1.0)
"""The filter along each axis; divided by 8 its sum is 1, and every type represents it exactly."""


def _conv_each(features: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve each channel with the same kernel (1, 1, 4, 4)."""
    channels = features.shape[1]
    kernel = kernel.to(features.dtype).expand(channels, -1, -1, -1)
    return conv2d(features, kernel, stride=stride, padding=padding, groups=channels)


def _conv_transpose_each(features: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """The transpose of ``_conv_each``."""
    if stride == 1:  # a symmetric kernel: the same as a convolution, which is faster
        return _conv_each(features, kernel, 1, len(TAPS) - 1 - padding)
    channels = features.shape[1]
    kernel = kernel.to(features.dtype).expand(channels, -1, -1, -1)
    return conv_transpose2d(features, kernel, stride=stride, padding=padding, groups=channels)


class _Filter(torch.autograd.Function):
    """``_conv_each``, whose derivative is its transpose.

    torch's second derivative of a convolution in groups visits one group after the other, also
    where the kernel is constant: with 512 channels R1 would spend most of its time there.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(features: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        return _conv_each(features, kernel, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int, int], output: Tensor) -> None:
        _, kernel, ctx.stride, ctx.padding = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Spread.apply(gradient, *ctx.saved_tensors, ctx.stride, ctx.padding), None, None, None


class _Spread(torch.autograd.Function):
    """``_conv_transpose_each``, whose derivative is ``_Filter``, and so on, any number of times."""

    generate_vmap_rule = True

    @staticmethod
    def forward(features: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        return _conv_transpose_each(features, kernel, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int, int], output: Tensor) -> None:
        _, kernel, ctx.stride, ctx.padding = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Filter.apply(gradient, *ctx.saved_tensors, ctx.stride, ctx.padding), None, None, None


class Resampling(nn.Module):
    """A layer with the constant kernel [1, 3, 3, 1] x [1, 3, 3, 1].

    Args:
        total: The sum of the kernel.
    """

    kernel: Tensor

    def __init__(self, total: float) -> None:
        super().__init__()
        taps = torch.tensor(TAPS)
        kernel = torch.outer(taps, taps) * (total / sum(TAPS) ** 2)
        self.register_buffer("kernel", kernel[None, None], persistent=False)


class Upsample(Resampling):
    """Twice as large, StyleGAN2 (arXiv:1912.04958), appendix B: zeros in between, then the filter.

    Outside of the image is zero; inside, what is constant stays so.
    """

    def __init__(self) -> None:
        super().__init__(total=4.0)  # three of four pixels were zero

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 2 H, 2 W)."""
        return _Spread.apply(features, self.kernel, 2, 1)


class Downsample(Resampling):
    """Half as large, StyleGAN2 (arXiv:1912.04958), appendix B: the filter, then every other pixel."""

    def __init__(self) -> None:
        super().__init__(total=1.0)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W), H and W even, to (N, C, H / 2, W / 2)."""
        return _Filter.apply(features, self.kernel, 2, 1)


class Blur(Resampling):
    """The filter alone, before a convolution of stride 2 or behind a transposed one.

    Args:
        padding: Zeros around the input, 0 to 3; the output has 3 pixels less than the padded input.
        total: The sum of the kernel: 4 behind a transposed convolution of stride 2.
    """

    def __init__(self, padding: int, total: float = 1.0) -> None:
        super().__init__(total)
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H + 2 padding - 3, W + 2 padding - 3)."""
        return _Filter.apply(features, self.kernel, 1, self.padding)
