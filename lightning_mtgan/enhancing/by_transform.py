"""Photographs made better by a fixed rule."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.enhancing.enhancer import Enhancer
from lightning_mtgan.enhancing.tiles import Tile, spans
from lightning_mtgan.transforms.strips import AT_A_TIME
from lightning_mtgan.transforms.transform import Strip, Transform


class ByTransform(Enhancer):
    """A transform, which works on strips of rows.

    Args:
        transform: The transform.
        strip: Pixels of a strip, at most, but at least a row, and as many rows as the margin.
    """

    channels = None

    def __init__(self, transform: Transform, strip: int = AT_A_TIME) -> None:
        self.name = transform.name
        self._transform, self._strip = transform, strip

    def tiles(self, height: int, width: int) -> list[Tile]:
        """See Enhancer: each as wide as the image."""
        whole, rows = slice(0, width), max(1, self._strip // width)
        return [
            Tile((place, whole), (seen, whole), (inner, whole))
            for place, seen, inner in spans(height, self._transform.margin, rows)
        ]

    def look(self, pixels: Tensor) -> Strip:
        """See Enhancer."""
        return self._transform.look(pixels)
