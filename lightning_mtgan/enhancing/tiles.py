"""Large images a tile at a time: where tiles lie, and what each of them must see."""

from __future__ import annotations

from typing import NamedTuple

TILE = 512
"""Height and width of a tile without its margin, in pixels, at most."""


class Tile(NamedTuple):
    """Rows and columns of an image that are made at a time.

    Args:
        place: Where they lie in the image.
        seen: Where they lie with their margin.
        inner: Where they lie within what is seen.
    """

    place: tuple[slice, slice]
    seen: tuple[slice, slice]
    inner: tuple[slice, slice]


def tiles(height: int, width: int, margin: int, tile: int = TILE) -> list[Tile]:
    """Tiles that cover an image, each pixel once, row by row.

    What is seen begins at multiples of the margin, so that it is halved as the whole image is.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        margin: Pixels around a tile that it depends on.
        tile: Height and width of a tile, at most, but at least as much as the margin.
    """
    return [
        Tile((place, beside), (seen, seen_beside), (inner, inner_beside))
        for place, seen, inner in spans(height, margin, tile)
        for beside, seen_beside, inner_beside in spans(width, margin, tile)
    ]


def spans(length: int, margin: int, tile: int) -> list[tuple[slice, slice, slice]]:
    """Tiles along one side, see ``Tile``; a single one where it would not be much larger than the others."""
    step = tile if margin == 0 else max(1, tile // margin) * margin
    if length <= step + 2 * margin:
        return [(slice(0, length),) * 3]
    found = []
    for start in range(0, length, step):
        end = min(start + step, length)
        first, last = max(0, start - margin), min(length, end + margin)
        found.append((slice(start, end), slice(first, last), slice(start - first, end - first)))
    return found
