"""Pixel blitting and general geometry, of which each image gets one affine map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances, whole_number
from lightning_mtgan.augment.pipe import GeometricPart, product
from lightning_mtgan.types import Change


@dataclass(frozen=True)
class Blitting(GeometricPart):
    """Pixels brought onto pixels, Karras et al. 2020 (arXiv:2006.06676), appendix B, figure 20.

    Args:
        x_flip: Mirrored or not, with equal chances.
        quarter_turns: Turned by 0, 90, 180 or 270 degrees, with equal chances.
        shift: Moved by whole pixels, up to an eighth of each side.

    Each is its probability as a share of the pipe's; what may by chance do nothing counts as done.

    Raises:
        UserError: If a share is not in [0, 1].
    """

    x_flip: float = 1.0
    quarter_turns: float = 1.0
    shift: float = 1.0
    does: ClassVar[Mapping[str, Change]] = {
        "x_flip": Change.FLIP,
        "quarter_turns": Change.ROTATION,
        "shift": Change.SHIFT,
    }
    keeps_pixels = True

    def matrix(self, size: tuple[int, int], chances: Chances, probability: Tensor) -> Tensor:
        """See GeometricPart."""
        height, width = size
        shares = (self.x_flip, self.quarter_turns, self.shift)
        flips, turns, moves = chances.happen(*(probability * share for share in shares))
        flip, turn, across, down = chances.uniform(4)
        one = torch.ones_like(flip)
        mirror = torch.where(flips & (flip < 0.5), -one, one)
        quarter = whole_number(turn, 4).where(turns, 0)
        cos = (1 - quarter).where(quarter.remainder(2) == 0, 0)  # exact, as torch.cos is not
        sin = (2 - quarter).where(quarter.remainder(2) == 1, 0)
        x, y = (
            ((2 * share - 1) * 0.125 * length).round().where(moves, 0)
            for share, length in ((across, width), (down, height))
        )
        return composed(_scaling(mirror, one), _rotation(cos, sin), _translation(x, y))


@dataclass(frozen=True)
class Geometry(GeometricPart):
    """Pixels brought anywhere, Karras et al. 2020 (arXiv:2006.06676), appendix B, figure 20.

    Args:
        scale: Enlarged by 2^(0.2 n), where n is standard normal.
        rotation: Turned by any angle, before or after ``aspect`` or both; each alone is so rare that
            the two together have their probability.
        aspect: Enlarged by 2^(0.2 n) along one axis and made smaller as much along the other.
        shift: Moved by 0.125 n of each side.

    Each is its probability as a share of the pipe's.

    Raises:
        UserError: If a share is not in [0, 1].
    """

    scale: float = 1.0
    rotation: float = 1.0
    aspect: float = 1.0
    shift: float = 1.0
    does: ClassVar[Mapping[str, Change]] = {
        "scale": Change.SCALE,
        "rotation": Change.ROTATION,
        "aspect": Change.SCALE,
        "shift": Change.SHIFT,
    }

    def matrix(self, size: tuple[int, int], chances: Chances, probability: Tensor) -> Tensor:
        """See GeometricPart."""
        height, width = size
        half_rotation = 1 - (1 - probability * self.rotation).sqrt()
        scales, turns_first, stretches, turns_last, moves = chances.happen(
            probability * self.scale,
            half_rotation,
            probability * self.aspect,
            half_rotation,
            probability * self.shift,
        )
        scale, aspect, across, down = chances.normal(4)
        scale, aspect = ((0.2 * one).exp2().where(is_on, 1) for one, is_on in ((scale, scales), (aspect, stretches)))
        first, last = (
            ((2 * share - 1) * math.pi).where(is_on, 0)
            for share, is_on in zip(chances.uniform(2), (turns_first, turns_last), strict=True)
        )
        x, y = ((0.125 * length * one).where(moves, 0) for one, length in ((across, width), (down, height)))
        return composed(
            _scaling(scale, scale),
            _rotation(first.cos(), first.sin()),
            _scaling(aspect, 1 / aspect),
            _rotation(last.cos(), last.sin()),
            _translation(x, y),
        )


def composed(*inverses: Tensor) -> Tensor:
    """One map for several that an image undergoes in this order, all from results to images, (N, 3, 3)."""
    return reduce(product, inverses)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    """An image enlarged by factors (N,) along both axes."""
    zero = torch.zeros_like(x)
    return _affine(1 / x, zero, zero, zero, 1 / y, zero)


def _rotation(cos: Tensor, sin: Tensor) -> Tensor:
    """An image turned to the left, by angles with these cosines and sines (N,)."""
    zero = torch.zeros_like(cos)
    return _affine(cos, -sin, zero, sin, cos, zero)


def _translation(x: Tensor, y: Tensor) -> Tensor:
    """An image moved to the right and down by pixels (N,)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _affine(one, zero, -x, zero, one, -y)


def _affine(*entries: Tensor) -> Tensor:
    """Two rows of entries (N,) above (0, 0, 1): (N, 3, 3)."""
    zero, one = torch.zeros_like(entries[0]), torch.ones_like(entries[0])
    return torch.stack([*entries, zero, zero, one], dim=1).unflatten(1, (3, 3))
