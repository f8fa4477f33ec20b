"""Inpainting of rectangles."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.inpainting import Inpainting
from lightning_mtgan.corruptions.strengths import between, require_range


class BoxInpainting(Inpainting):
    """One rectangle of each image is lost, as in Context Encoders, Pathak et al. 2016 (arXiv:1604.07379).

    All its places in the image are equally likely.

    Args:
        size: Smallest and largest side as a share of the image's height and width, in (0, 1]; at least one pixel.
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "box_inpainting"

    def __init__(self, size: tuple[float, float] = (0.25, 0.5), probability: float = 1.0) -> None:
        super().__init__(probability)
        require_range(self, "size", size, 0.001, 1, "side as a share of the image's")
        self.size = size

    def lost(self, image: Tensor, chances: Chances) -> Tensor:
        """See Inpainting; both sides and the place are drawn independently."""
        tall, wide, down, across = chances.uniform(4)
        rows = self._stretch(tall, down, image.shape[2])
        columns = self._stretch(wide, across, image.shape[3])
        return (rows[:, :, None] & columns[:, None, :])[:, None]

    def _stretch(self, extent: Tensor, place: Tensor, length: int) -> Tensor:
        """Which pixels of one side of the image are in the rectangle, bool (N, length)."""
        side = (between(extent, self.size) * length).round().clamp(1, length)
        first = (place * (length - side + 1)).floor()
        pixel = torch.arange(length, device=place.device)
        return (pixel >= first[:, None]) & (pixel < (first + side)[:, None])
