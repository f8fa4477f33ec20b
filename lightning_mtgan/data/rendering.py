"""Pictures of single shapes from tables of factors, by arithmetic that is exact to the last bit.

Each pixel is made by additions, products, comparisons, divisions and square roots alone, which IEEE
754 rounds in one way only: an image does not depend on the others that are rendered with it. Sines
and cosines are in the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

SHAPES = ("disc", "square", "triangle", "star", "cross", "heart")
SYMMETRY = (0, 4, 3, 5, 4, 1)
"""Turns by which each outline comes to lie on itself; 0 for the disc, of which every turn does."""
COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")
TEXTURES = ("plain", "stripes", "checks", "dots")
BACKGROUNDS = ("plain", "gradient", "waves", "specks")

_RGB = (
    (0.95, 0.10, 0.10),
    (0.95, 0.90, 0.10),
    (0.10, 0.75, 0.15),
    (0.10, 0.85, 0.90),
    (0.15, 0.20, 0.95),
    (0.95, 0.15, 0.85),
)
_PERIOD = 0.62
"""Of a texture, in radii of its shape: two pixels dark and two light in the smallest shape on 32 pixels."""
_DARKENING = 0.65
_WAVE, _SPECK = 0.5, 0.34
"""Period of the waves, distance of the specks: in image units, of which an image has 2."""


@dataclass(frozen=True)
class Factors:
    """What is in each of N images. Image units: -1 to 1 from left to right and from top to bottom.

    Args:
        shape: Index into ``SHAPES``, int64 (N,).
        colour: Index into ``COLOURS``, int64 (N,).
        texture: Index into ``TEXTURES``, int64 (N,).
        background: Index into ``BACKGROUNDS``, int64 (N,).
        position: Centre of the circle around the shape, x and y in image units, (N, 2).
        size: Radius of that circle in image units, (N, 1).
        heading: Cosine and sine of the angle by which shape and texture are turned, clockwise, (N, 2).
        value: Brightness of the shape, (N, 1).
        dark: Darkest colour of the background, (N, 3) in [0, 1].
        contrast: By how much its brightest colour is brighter, (N, 1).
        drift: Cosine and sine of the angle by which the background is turned, (N, 2).
        phase: By how many periods it is shifted, along and across, (N, 2).
    """

    shape: Tensor
    colour: Tensor
    texture: Tensor
    background: Tensor
    position: Tensor
    size: Tensor
    heading: Tensor
    value: Tensor
    dark: Tensor
    contrast: Tensor
    drift: Tensor
    phase: Tensor

    def __len__(self) -> int:
        return len(self.shape)

    def rows(self, indices: Tensor) -> Factors:
        """The factors of some of the images."""
        return Factors(*(getattr(self, field.name)[indices] for field in fields(self)))


def turned(heading: Tensor, by: Tensor) -> Tensor:
    """Angles added: cosines and sines (N, 2) of both to those of their sum."""
    (cos, sin), (other_cos, other_sin) = heading.unbind(1), by.unbind(1)
    return torch.stack([cos * other_cos - sin * other_sin, sin * other_cos + cos * other_sin], dim=1)


def outline_angle(shape: Tensor, heading: Tensor) -> Tensor:
    """(cos kθ, sin kθ), (N, 2), for the heading θ and the k of ``SYMMETRY``: the same for the same outline."""
    powers = [torch.tensor([1.0, 0.0]).expand_as(heading)]
    for _ in range(max(SYMMETRY)):
        powers.append(turned(powers[-1], heading))
    return torch.stack(powers)[torch.tensor(SYMMETRY)[shape], torch.arange(len(shape))]


def render(factors: Factors, image_size: int) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, 3, S, S), and the share of each pixel that the shape covers, float32 (N, S, S)."""
    local = _local(factors, image_size)
    cover = _cover(factors, *local, image_size)
    pattern = _each(_TEXTURES, factors.texture, *local, _pixel(factors, image_size))
    ground = _ground(factors, image_size)
    colour = torch.tensor(_RGB)[factors.colour] * factors.value
    front = colour[:, :, None] * (1 - _DARKENING * pattern)[:, None]
    back = factors.dark[:, :, None] + (factors.contrast * ground)[:, None]
    front.sub_(back).mul_(cover[:, None]).add_(back)
    image = front.mul_(255).round_().to(torch.uint8)
    return image.unflatten(2, (image_size, image_size)), cover.unflatten(1, (image_size, image_size))


def coverage(factors: Factors, image_size: int) -> Tensor:
    """The second half of ``render``, without the first."""
    cover = _cover(factors, *_local(factors, image_size), image_size)
    return cover.unflatten(1, (image_size, image_size))


def mask(cover: Tensor, resolution: int) -> Tensor:
    """Coverage (N, S, S) as maps int16 (N, 1, R, R), 0 to 255: the mean over the area of each of their pixels."""
    block = cover.shape[1] // resolution
    blocks = cover.unflatten(2, (resolution, block)).unflatten(1, (resolution, block))
    # Sums in an order of our own: that of a reduction may depend on how many images there are.
    down = sum((blocks[:, :, row] for row in range(1, block)), start=blocks[:, :, 0])
    total = sum((down[..., column] for column in range(1, block)), start=down[..., 0])
    return (total * (255 / block**2)).round().to(torch.int16)[:, None]


def _grid(image_size: int) -> tuple[Tensor, Tensor]:
    """Abscissae and ordinates of the centres of all pixels, row by row, (P,) each."""
    centres = (2 * torch.arange(image_size) + 1) / image_size - 1
    return centres.repeat(image_size), centres.repeat_interleave(image_size)


def _local(factors: Factors, image_size: int) -> tuple[Tensor, Tensor]:
    """Where each pixel is in the shape's own frame, in radii: x and y, (N, P) each."""
    x, y = _grid(image_size)
    x, y = x - factors.position[:, :1], y - factors.position[:, 1:]
    cos, sin = (factors.heading / factors.size).split(1, dim=1)
    return x * cos + y * sin, y * cos - x * sin


def _pixel(factors: Factors, image_size: int) -> Tensor:
    """Width of a pixel in radii, (N, 1)."""
    return (2 / image_size) / factors.size


def _cover(factors: Factors, x: Tensor, y: Tensor, image_size: int) -> Tensor:
    return _filled(_each(_SHAPES, factors.shape, x, y), _pixel(factors, image_size))


def _filled(distance: Tensor, pixel: Tensor) -> Tensor:
    """The share of a pixel inside a straight edge, from the signed distance of its centre to that edge."""
    return (0.5 - distance / pixel).clamp_(0, 1)


def _each(functions: Sequence[Callable[..., Tensor]], kinds: Tensor, *columns: Tensor) -> Tensor:
    """What the function of each image's kind makes of its rows, (N, P)."""
    result = torch.empty_like(columns[0])
    for kind, function in enumerate(functions):
        rows = (kinds == kind).nonzero()[:, 0]
        if len(rows):
            result[rows] = function(*(column[rows] for column in columns))
    return result


# Shapes: signed distances in radii, negative inside; beyond a corner they are those to its edges.


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return (x * x + y * y).sqrt_() - 1


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - math.sqrt(0.5)


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(y, x.abs() * math.sqrt(0.75) - y * 0.5) - 0.5


def _star(x: Tensor, y: Tensor) -> Tensor:
    # Mirrored into the tenth between a tip (straight up) and the notch 36 degrees from it: one edge is left.
    x, y = _mirrored(x.abs(), -y, math.radians(72))
    x, y = _mirrored(x.abs(), y, math.radians(36))
    notch_x, notch_y = 0.5 * math.sin(math.pi / 5), 0.5 * math.cos(math.pi / 5)
    length = math.hypot(notch_x, 1 - notch_y)
    return x * ((1 - notch_y) / length) + (y - 1) * (notch_x / length)


def _mirrored(x: Tensor, y: Tensor, axis: float) -> tuple[Tensor, Tensor]:
    """What lies beyond an axis through the centre, an angle from straight up, is mirrored to this side of it."""
    normal_x, normal_y = math.cos(axis), -math.sin(axis)
    beyond = (x * normal_x + y * normal_y).clamp_(min=0) * 2
    return x - beyond * normal_x, y - beyond * normal_y


def _cross(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.abs(), y.abs()
    far, near = torch.maximum(x, y), torch.minimum(x, y)
    width = 0.33
    return torch.minimum(torch.maximum(far - math.sqrt(1 - width**2), near - width), far - width)


def _heart(x: Tensor, y: Tensor) -> Tensor:
    # A square on its corner, and a half disc on each of its upper sides.
    half, drop = 0.793, 0.207  # half its diagonal; by how much its centre is below that of the circle around all
    x, y = x.abs(), drop - y
    square = (x + y.abs() - half) * math.sqrt(0.5)
    x, y = x - half / 2, y - half / 2
    return torch.minimum(square, (x * x + y * y).sqrt_() - half * math.sqrt(0.5))


_SHAPES = (_disc, _square, _triangle, _star, _cross, _heart)


# Textures: how dark each point of the shape's frame is, 0 to 1; ``pixel`` is the width of a pixel there.


def _plain(x: Tensor, y: Tensor, pixel: Tensor) -> Tensor:
    return torch.zeros_like(x)


def _stripes(x: Tensor, y: Tensor, pixel: Tensor) -> Tensor:
    return _filled((_around(y / _PERIOD).abs_() - 0.25) * _PERIOD, pixel)


def _checks(x: Tensor, y: Tensor, pixel: Tensor) -> Tensor:
    period = 1.4 * _PERIOD  # the fields of narrower ones would be less than two pixels
    across, down = (_filled((_around(t / period + 0.25).abs_() - 0.25) * period, pixel) for t in (x, y))
    return across + down - 2 * across * down


def _dots(x: Tensor, y: Tensor, pixel: Tensor) -> Tensor:
    x, y = _around(x / _PERIOD), _around(y / _PERIOD)
    return _filled((x * x + y * y).sqrt_() * _PERIOD - 0.2, pixel)


def _around(t: Tensor) -> Tensor:
    """The distance to the nearest whole number, with its sign, in [-0.5, 0.5]."""
    return t - (t + 0.5).floor_()


_TEXTURES = (_plain, _stripes, _checks, _dots)


# Backgrounds: how bright each point is, 0 to 1, from where it is along and across the drift.


def _ground(factors: Factors, image_size: int) -> Tensor:
    x, y = _grid(image_size)
    cos, sin = factors.drift.split(1, dim=1)
    return _each(_BACKGROUNDS, factors.background, x * cos + y * sin, y * cos - x * sin, *factors.phase.split(1, dim=1))


def _even(along: Tensor, across: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.full_like(along, 0.5)


def _gradient(along: Tensor, across: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return (0.5 + 0.45 * along).clamp_(0, 1)


def _waves(along: Tensor, across: Tensor, first: Tensor, second: Tensor) -> Tensor:
    bend = _wave(across * (0.5 / _WAVE) + second)
    return _wave(along / _WAVE + 0.4 * bend + first)


def _wave(t: Tensor) -> Tensor:
    """Nearly a sine of period 1, from 0 to 1."""
    up = 2 * _around(t).abs_()
    return up * up * (3 - 2 * up)


def _specks(along: Tensor, across: Tensor, first: Tensor, second: Tensor) -> Tensor:
    x, y = along / _SPECK + first, across / _SPECK + second
    column, row = x.floor(), y.floor()
    x, y = x - column, y - row  # in the cell; its speck lies within a quarter of the middle, scattered by its number
    scatter = column * 0.7549 + row * 0.5698 + column * row * 0.3819
    x -= 0.5 + 0.5 * _around(scatter)
    y -= 0.5 + 0.5 * _around(scatter * 3.7 + column * 0.2)
    pixel = (2 / math.sqrt(along.shape[1])) / _SPECK
    return _filled((x * x + y * y).sqrt_() - 0.24, torch.tensor(pixel))


_BACKGROUNDS = (_even, _gradient, _waves, _specks)
