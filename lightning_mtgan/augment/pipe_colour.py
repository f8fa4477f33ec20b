"""Changes of colour, of which each image gets one matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.augment.pipe import PixelPart, product
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change


@dataclass(frozen=True)
class Colour(PixelPart):
    """Other colours, Karras et al. 2020 (arXiv:2006.06676), appendix B, figure 20.

    Colours are vectors around grey, the middle of [-1, 1]; luma is their component along (1, 1, 1).
    An image of one channel is all luma: hue and saturation leave it as it is. Nothing is clamped.

    Args:
        brightness: 0.2 n added to all channels, where n is standard normal.
        contrast: All channels multiplied by 2^(0.5 n).
        luma_flip: Luma negated or not, with equal chances.
        hue: Turned around luma by any angle.
        saturation: The distance from luma multiplied by 2^n.

    Each is its probability as a share of the pipe's.

    Raises:
        UserError: If a share is not in [0, 1], or images have neither one channel nor three.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    luma_flip: float = 1.0
    hue: float = 1.0
    saturation: float = 1.0
    does: ClassVar[Mapping[str, Change]] = dict.fromkeys(
        ("brightness", "contrast", "luma_flip", "hue", "saturation"), Change.COLOUR
    )

    def change(self, image: Tensor, chances: Chances, probability: Tensor) -> Tensor:
        """See PixelPart."""
        num_channels = image.shape[1]
        if num_channels not in (1, 3):
            raise UserError(f"Colour is for images of 1 or 3 channels, not {num_channels}; leave it out of the pipe")
        shares = (self.brightness, self.contrast, self.luma_flip, self.hue, self.saturation)
        is_on = chances.happen(*(probability * share for share in shares))
        brightness, contrast, saturation = chances.normal(3)
        flip, turn = chances.uniform(2)
        offset = (0.2 * brightness).where(is_on[0], 0)
        matrix = product(
            saturating((saturation.exp2() - 1).where(is_on[4], 0), num_channels),
            product(
                hue_turning(((2 * turn - 1) * math.pi).where(is_on[3], 0), num_channels),
                luma_flipping(is_on[2] & (flip < 0.5), num_channels, chances.dtype),
            ),
        )
        matrix = matrix * (0.5 * contrast).exp2().where(is_on[1], 1)[:, None, None]
        return recoloured(image + per_image(offset), matrix)


def recoloured(image: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel's colour multiplied by a matrix (N, C, C)."""
    return (matrix[..., None, None] * image[:, None]).sum(2)


def luma_flipping(flips: Tensor, num_channels: int, dtype: torch.dtype) -> Tensor:
    """I - 2 v v^T with v along (1, 1, 1), where ``flips`` (N,) says so: (N, C, C)."""
    identity, luma = _axes(flips.to(dtype), num_channels)
    return identity - 2 * luma * flips[:, None, None]


def hue_turning(angle: Tensor, num_channels: int) -> Tensor:
    """Rotations around (1, 1, 1) by angles (N,) in radians, after Rodrigues: (N, C, C)."""
    identity, luma = _axes(angle, num_channels)
    cross = (identity.roll(-1, 1) - identity.roll(1, 1)) / math.sqrt(3)  # v x c; nothing where there is one channel
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return identity + (cos - 1) * (identity - luma) + sin * cross


def saturating(gain: Tensor, num_channels: int) -> Tensor:
    """What is not luma multiplied by 1 + gain, with gains (N,): (N, C, C)."""
    identity, luma = _axes(gain, num_channels)
    return identity + gain[:, None, None] * (identity - luma)


def _axes(like: Tensor, num_channels: int) -> tuple[Tensor, Tensor]:
    """The identity and v v^T, both (C, C)."""
    identity = torch.eye(num_channels, dtype=like.dtype, device=like.device)
    return identity, torch.full_like(identity, 1 / num_channels)
