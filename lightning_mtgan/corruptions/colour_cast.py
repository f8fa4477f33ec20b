"""Colour casts: the light had a colour."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.eight_bits import of_eight_bits
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.corruptions.strengths import between, require_range
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class ColourCast(Corruption):
    """Each channel of an image in [0, 1] times a gain of its own, each image with its own; then 8 bits, as in a file.

    The three gains are drawn independently and divided by the largest: a cast takes colours, not brightness.

    Args:
        gain: Smallest and largest gain before that division, in [0.01, 1].
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "colour_cast"

    def __init__(self, gain: tuple[float, float] = (0.6, 1.0), probability: float = 1.0) -> None:
        super().__init__(probability)
        require_range(self, "gain", gain, 0.01, 1, "gain of a channel")
        self.gain = gain

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption; (N, 3, H, W)."""
        gains = between(torch.stack(chances.uniform(3), 1), self.gain)
        gains = (gains / gains.amax(1, keepdim=True))[:, :, None, None]
        cast = gains * (image.to(chances.dtype) + 1) - 1
        return nothing_known(of_eight_bits(cast).to(image.dtype))

    def require_fitting(self, spec: DataSpec) -> None:
        """See Corruption: there must be colours to change."""
        if spec.num_channels != 3:
            raise UserError(
                f"ColourCast needs images of 3 channels, these have {spec.num_channels}; "
                "leave it out of model.game.corruptions or use coloured data"
            )
