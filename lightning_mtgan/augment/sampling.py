"""Images read at other places, by indices and weights, which can be differentiated any number of times.

torch's ``grid_sample`` has no second derivative, which R1 through an augmentation needs, and the warps of
kornia draw their parameters from torch's global state, which no resume could repeat; hence this file.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d


def pick(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The pixels at whole places, (N, C, H', W').

    Args:
        image: (N, C, H, W).
        row: Rows in [0, H - 1], int64 (N, H', W'), or what expands to it.
        column: Columns in [0, W - 1], likewise.
    """
    place = row * image.shape[3] + column
    index = place.flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return image.flatten(2).gather(2, index).unflatten(2, place.shape[1:])


def reflected(place: Tensor, length: int) -> Tensor:
    """Whole numbers of a floating-point type as indices in [0, length - 1], reflected at both ends."""
    last, period = length - 1, max(2 * length - 2, 1)
    return (last - (place - period * (place / period).floor() - last).abs()).long()


def resample(image: Tensor, matrix: Tensor, oversampling: int) -> Tensor:
    """Images under affine maps, bilinear, continued beyond their edges by reflection: (N, C, H, W).

    Each pixel is the mean of ``oversampling`` squared samples spread evenly over its area, which
    keeps an image that is made smaller free of aliasing. Where a map brings pixels onto pixels there is
    nothing between them to average, all samples fall on the centre, and values stay as they are, bit by bit.

    Args:
        image: (N, C, H, W), float32 or wider.
        matrix: From places in the result to places in the image, (N, 3, 3), on vectors (x, y, 1) in
            pixels from the centre of the image, x to the right and y down.
        oversampling: Samples along a pixel's side, 1 or more.
    """
    height, width = image.shape[2:]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    (xx, xy, x0), (yx, yy, y0) = (row.unbind(1) for row in matrix[:, :2].unbind(1))
    # The same map in pixels from the centre of the first one.
    x0 = x0 + middle_x - (xx * middle_x + xy * middle_y)
    y0 = y0 + middle_y - (yx * middle_x + yy * middle_y)
    entries = torch.stack([xx, xy, x0, yx, yy, y0], dim=1)
    spread = (entries != entries.round()).any(1).to(entries.dtype)
    x, y = (_samples(length, spread, oversampling) for length in (width, height))
    xx, xy, x0, yx, yy, y0 = (entry[:, None, None] for entry in entries.unbind(1))
    x, y = x[:, None, :], y[:, :, None]
    found = _bilinear(image, yx * x + yy * y + y0, xx * x + xy * y + x0)
    return avg_pool2d(found, oversampling) if oversampling > 1 else found


def _samples(length: int, spread: Tensor, oversampling: int) -> Tensor:
    """Where samples lie along one side, (N, length * oversampling); ``spread`` is 0 for all at the pixels' centres."""
    index = torch.arange(length * oversampling, device=spread.device)
    pixel = index.div(oversampling, rounding_mode="floor").to(spread.dtype)
    offset = ((index % oversampling).to(spread.dtype) + 0.5) / oversampling - 0.5
    return pixel + spread[:, None] * offset


def _bilinear(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The image between its pixels, at places (N, H', W') in pixels."""
    height, width = image.shape[2:]
    top, left = row.floor(), column.floor()
    down, across = (row - top)[:, None], (column - left)[:, None]
    rows = [reflected(top + step, height) for step in (0, 1)]
    columns = [reflected(left + step, width) for step in (0, 1)]
    upper, lower = (pick(image, here, columns[0]).lerp(pick(image, here, columns[1]), across) for here in rows)
    return upper.lerp(lower, down)
