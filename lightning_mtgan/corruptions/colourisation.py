"""Colourisation: the colours are lost."""

from __future__ import annotations

from kornia.color import rgb_to_grayscale
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class Colourisation(Corruption):
    """Colours from grey, Zhang et al. 2016 (arXiv:1603.08511): only the luminance is left, the same in all channels.

    Args:
        probability: See Corruption.
    """

    name = "colourisation"

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption; by the weights of ITU-R BT.601, (N, 3, H, W)."""
        luminance = rgb_to_grayscale(image.to(chances.dtype)).clamp(-1, 1)
        return nothing_known(luminance.to(image.dtype).repeat(1, 3, 1, 1))

    def prepared(self, image: Tensor, opaque: Tensor) -> Damaged:
        """See Corruption; grey images (C = 1), and the luminance of coloured ones (C = 3)."""
        luminance = rgb_to_grayscale(image) if image.shape[1] == 3 else image
        return nothing_known(luminance.clamp(-1, 1).repeat(1, 3, 1, 1))

    def require_fitting(self, spec: DataSpec) -> None:
        """See Corruption: there must be colours to lose."""
        if spec.num_channels != 3:
            raise UserError(
                f"Colourisation needs images of 3 channels, these have {spec.num_channels}; "
                "leave it out of model.game.corruptions or use coloured data"
            )
