"""What is left of images in a JPEG file, without the file: on the device, many images at a time.

kornia's ``jpeg_codec_differentiable`` rounds softly, x to round(x) + (x - round(x))^3, so that nothing is wholly
lost: at quality 10 its RMS error on a photograph was 9% below that of a true file, and a network would learn to read
what no file holds. Here it is rounded as in files. Nothing has a gradient.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad, pixel_shuffle, pixel_unshuffle

from lightning_mtgan.networks.precision import full_precision

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the coefficients at quality 50, by frequency, ITU-T T.81 (1992), table K.1."""
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
"""The same for colour differences, table K.2."""
NUDGE = 2**-10
"""Added before rounding: grey levels make many ties, which must go the same way whatever the last bit is."""


def compressed(image: Tensor, quality: Tensor) -> Tensor:
    """Images as read from files of these qualities, as libjpeg writes and reads them: whole numbers (N, C, H, W).

    Colour differences are kept at half the resolution (4:2:0).

    Args:
        image: (N, C, H, W) in [0, 255], of 1 or 3 channels, float32 or wider.
        quality: (N,) in [1, 100].
    """
    height, width = image.shape[2:]
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).floor()  # in percent of the tables
    with full_precision(image.device):
        if image.shape[1] == 1:
            plain = _whole(_coarse(_continued(_whole(image), 8), LUMINANCE, scale))
        else:
            plain = _in_colour(_continued(_whole(image), 16), scale)
    return plain[:, :, :height, :width]


def _in_colour(image: Tensor, scale: Tensor) -> Tensor:
    planes = _whole(_light_and_colour(image))
    light = _whole(_coarse(planes[:, :1], LUMINANCE, scale))
    small = _whole(avg_pool2d(planes[:, 1:], 2)).flatten(0, 1)[:, None]
    both = scale[:, None].expand(-1, 2).flatten()
    colour = _whole(_coarse(small, CHROMINANCE, both)).unflatten(0, (-1, 2))[:, :, 0]
    colour = interpolate(colour, scale_factor=2, mode="bilinear", align_corners=False)
    return _whole(_red_green_blue(light, *(colour - 128).split(1, 1)))


def _light_and_colour(image: Tensor) -> Tensor:
    """Y, Cb and Cr of ITU-T T.871 (JFIF); kornia has its neutral colour at 127.5, which no whole number is."""
    red, green, blue = image.split(1, 1)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.cat([light, (blue - light) / 1.772 + 128, (red - light) / 1.402 + 128], 1)


def _red_green_blue(light: Tensor, blueness: Tensor, redness: Tensor) -> Tensor:
    """The inverse, of colour differences around 0."""
    red, blue = light + 1.402 * redness, light + 1.772 * blueness
    return torch.cat([red, (light - 0.299 * red - 0.114 * blue) / 0.587, blue], 1)


def _coarse(plane: Tensor, steps: tuple[tuple[int, ...], ...], scale: Tensor) -> Tensor:
    """Each block of 8x8 of a plane (N, 1, H, W) with its cosine coefficients as multiples of the steps, T.81 A.3."""
    basis, table = _cosines(plane.device, plane.dtype), _table(steps, plane.device, plane.dtype)
    step = ((table * scale[:, None] + 50) / 100).floor().clamp(1, 255)[:, None, None]
    coefficient = pixel_unshuffle(plane - 128, 8).movedim(1, 3) @ basis.T
    multiple = (coefficient.abs() / step + 0.5 + NUDGE).floor().copysign(coefficient)
    return pixel_shuffle((multiple * step @ basis).movedim(3, 1), 8) + 128


def _whole(levels: Tensor) -> Tensor:
    """The nearest of 256 levels."""
    return (levels + 0.5 + NUDGE).floor().clamp(0, 255)


def _continued(image: Tensor, multiple: int) -> Tensor:
    """Sides brought to a multiple by repeating the last row and column, as libjpeg does."""
    height, width = image.shape[2:]
    return pad(image, (0, -width % multiple, 0, -height % multiple), mode="replicate")


@cache  # a copy to the device would wait for it at every step
def _table(steps: tuple[tuple[int, ...], ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(steps, device=device, dtype=dtype).flatten()


@cache
def _cosines(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The two-dimensional cosine transform of a block, an orthogonal matrix (64 frequencies, 64 pixels)."""
    place = torch.arange(8, dtype=torch.float64)
    line = (math.pi / 16 * place[:, None] * (2 * place + 1)).cos() / 2
    line[0] = math.sqrt(1 / 8)
    return torch.kron(line, line).to(device, dtype)
