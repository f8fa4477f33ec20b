"""What a file keeps of an image: 256 levels in each channel."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.transforms.strips import from_pixels, to_pixels


def of_eight_bits(image: Tensor) -> Tensor:
    """Images (N, C, H, W) brought to the nearest of 256 levels from -1 to 1, as a file would hold them.

    Darkening, veils and casts can be undone without any loss as long as numbers are real. In files they are not, and
    a network must learn from what files hold: dark parts have few levels left.
    """
    return from_pixels(to_pixels(image), image.dtype)
