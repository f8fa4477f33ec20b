"""DiffAugment's change of colour."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change


class BrightnessSaturationContrast(Augmentation):
    """Another brightness, saturation and contrast for each image, Zhao et al. 2020 (arXiv:2006.10738).

    Brightness is added, from -0.5 to 0.5; saturation is a factor from 0 to 2 of the distance to the
    mean over channels, contrast one from 0.5 to 1.5 of the distance to the mean of the image; ranges
    as in the authors' code. One channel has no saturation. Nothing is clamped.

    Args:
        strength: Width of the three ranges as a share of those, 0 or more; 0 changes nothing.

    Raises:
        UserError: If the strength is negative.
    """

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        if not strength >= 0:
            raise UserError(f"{type(self).__name__}.strength is {strength}; use 0 for no change, 1 for the paper's")
        self.strength = strength

    @property
    def changes(self) -> frozenset[Change]:
        """The colour."""
        return frozenset({Change.COLOUR} if self.strength > 0 else ())

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """See Augmentation."""
        shares = Chances.of(image, draws, purpose).uniform(3)
        brightness, saturation, contrast = (self.strength * per_image(share) for share in shares)
        half = self.strength / 2
        changed = image + (brightness - half)
        changed = changed + (2 * saturation - self.strength) * (changed - changed.mean(1, keepdim=True))
        changed = changed + (contrast - half) * (changed - changed.mean((1, 2, 3), keepdim=True))
        return changed.to(image.dtype)
