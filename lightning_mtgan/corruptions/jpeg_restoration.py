"""JPEG restoration: the image was compressed too far."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.jpeg import compressed
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.corruptions.strengths import between, require_range
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class JPEGRestoration(Corruption):
    """Blocks and halos of JPEG, of its own quality for each image, as in AR-CNN, Dong et al. 2015 (arXiv:1504.06993).

    Args:
        quality: Smallest and largest quality as programs name it, in [1, 100].
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "jpeg_restoration"

    def __init__(self, quality: tuple[float, float] = (10.0, 40.0), probability: float = 1.0) -> None:
        super().__init__(probability)
        require_range(self, "quality", quality, 1, 100, "quality")
        self.quality = quality

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption; grey or coloured images, with the 256 levels of a file."""
        (share,) = chances.uniform(1)
        levels = (image.to(chances.dtype) + 1) * 127.5
        found = compressed(levels, between(share, self.quality)) / 127.5 - 1
        return nothing_known(found.to(image.dtype))

    def require_fitting(self, spec: DataSpec) -> None:
        """See Corruption."""
        if spec.num_channels not in (1, 3):
            raise UserError(
                f"JPEGRestoration needs images of 1 or 3 channels, these have {spec.num_channels}; "
                "leave it out of model.game.corruptions"
            )
