"""Damage that spares no pixel."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.corruptions.corruption import Damaged


def nothing_known(image: Tensor) -> Damaged:
    """Images (N, C, H, W) of which all pixels must be restored."""
    return Damaged(image, image.new_zeros(len(image), 1, *image.shape[2:]))
