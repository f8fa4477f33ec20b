"""How bright a pixel is, on average over an image, and how its brightness is changed without its colour."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.transforms.strips import strips

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Shares of the channels in the luminance Y' of sRGB values, ITU-R BT.601; they sum to 1."""


def luminance(image: Tensor) -> Tensor:
    """Images (N, C, H, W), C 1 or 3, to (N, 1, H, W) in the same range; a grey image is its own."""
    if image.shape[1] == 1:
        return image
    red, green, blue = image.split(1, dim=1)
    return RED * red + GREEN * green + BLUE * blue


def means(image: Tensor) -> Tensor:
    """The mean of each channel of each image (N, C, H, W), float64 (N, C, 1, 1).

    Summed in 64 bits, so that it comes out the same to the last of 32 bits, whether in strips or at once.
    """
    return image.mean((2, 3), keepdim=True, dtype=torch.float64)


def means_of(pixels: Tensor) -> Tensor:
    """The mean of each channel of an image, uint8 (C, H, W), as ``means`` has it: (1, C, 1, 1) in [-1, 1]."""
    totals = [rows.sum((2, 3), keepdim=True, dtype=torch.float64) for rows, _, _ in strips(pixels)]
    return torch.stack(totals).sum(0) / pixels[0].numel()


def relit(image: Tensor, change: Tensor) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] with another luminance and the same colour.

    The change is added to all channels: of Y'CbCr that leaves Cb and Cr as they are, unless a channel is clamped.

    Args:
        image: The images.
        change: What is added to their luminance, in the units of [-1, 1], (N, H, W).
    """
    return (image + change[:, None]).clamp(-1, 1).to(image.dtype)
