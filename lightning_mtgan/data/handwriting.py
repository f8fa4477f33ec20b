"""Real handwriting that needs no download: the digits that scikit-learn carries."""

from __future__ import annotations

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor

NUM_HELD_OUT = 360
"""The last digits of the file, in its own order: other writers, never trained on."""

SOURCE = "scikit-learn digits (1,797 images, 8 x 8, 17 grey levels)"


@cache
def digits(held_out: bool) -> tuple[Tensor, Tensor]:
    """The digits as images uint8 (N, 8, 8) and labels int64 (N,).

    Args:
        held_out: The last 360 of the file, in its own order, or the 1,437 before them.
    """
    bunch = load_digits()
    images = (torch.from_numpy(bunch.images) * (255 / 16)).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    part = slice(-NUM_HELD_OUT, None) if held_out else slice(None, -NUM_HELD_OUT)
    return images[part], labels[part]
