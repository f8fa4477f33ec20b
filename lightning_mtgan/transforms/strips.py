"""Large images, kept in 8 bits, of which some rows at a time are made floating-point numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_mtgan.transforms.transform import Strip

AT_A_TIME = 2**20
"""Pixels of a strip, about: 12 MB in colour."""


def strips(pixels: Tensor, margin: int = 0) -> Iterator[tuple[Tensor, int, slice]]:
    """An image strip by strip, from above.

    Args:
        pixels: uint8 (C, H, W).
        margin: Rows that each strip is given above and below, as far as there are any.

    Yields:
        The rows with their margins, float32 (1, C, h, W) in [-1, 1]; the index of the first of them; and which of them
        are the strip without its margins.
    """
    height, width = pixels.shape[1:]
    step = max(1, AT_A_TIME // width)
    for start in range(0, height, step):
        end = min(start + step, height)
        first, last = max(0, start - margin), min(height, end + margin)
        yield from_pixels(pixels[None, :, first:last]), first, slice(start - first, end - first)


def worked(pixels: Tensor, strip: Strip, margin: int = 0) -> Tensor:
    """An image, uint8 (C, H, W), with all of its strips worked on, in 8 bits again.

    Args:
        pixels: The image.
        strip: What is done to each, as ``Transform.look`` says.
        margin: ``Transform.margin``.
    """
    result = torch.empty_like(pixels)
    for rows, first, inner in strips(pixels, margin):
        result[:, first + inner.start : first + inner.stop] = to_pixels(strip(rows, first)[0, :, inner])
    return result


def from_pixels(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """From uint8 to [-1, 1], as the data has it (``types.scaled``), of the same shape."""
    return pixels.to(dtype) / 127.5 - 1


def to_pixels(image: Tensor) -> Tensor:
    """From [-1, 1] to uint8, of the same shape."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
