"""Real photographs that need no download: those that scikit-learn and scikit-image carry."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from skimage import data as skimage_data
from sklearn.datasets import load_sample_image
from torch import Tensor

TRAINING = ("astronaut", "china", "coffee", "flower", "hubble_deep_field", "immunohistochemistry", "retina")
HELD_OUT = ("chelsea", "rocket")
"""Whole photographs that are never trained on."""
SOURCE = "photographs of scikit-learn (china, flower) and scikit-image"
_FROM_SKLEARN = ("china", "flower")


class Photograph(NamedTuple):
    """A photograph in full size.

    Args:
        name: Its name in the library that carries it.
        pixels: uint8 (3, H, W).
    """

    name: str
    pixels: Tensor


@cache
def photographs(held_out: bool) -> tuple[Photograph, ...]:
    """The nine photographs in colour: the two held-out ones, or the seven others."""
    names = HELD_OUT if held_out else TRAINING
    return tuple(Photograph(name, _pixels(name)) for name in names)


def _pixels(name: str) -> Tensor:
    array = load_sample_image(f"{name}.jpg") if name in _FROM_SKLEARN else getattr(skimage_data, name)()
    return torch.tensor(array).movedim(2, 0).contiguous()
