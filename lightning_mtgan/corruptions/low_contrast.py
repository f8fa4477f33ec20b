"""Low contrast: there is a veil over the image, as of haze."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.eight_bits import of_eight_bits
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.corruptions.strengths import between, require_range


class LowContrast(Corruption):
    """f x + (1 - f) v of images in [0, 1], each image with its own f and its own grey v; then 8 bits, as in a file.

    Args:
        factor: Smallest and largest share f of the contrast that is left, in [0.01, 1].
        veil: Darkest and lightest grey v, in [0, 1] from black to white.
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "low_contrast"

    def __init__(
        self, factor: tuple[float, float] = (0.3, 0.7), veil: tuple[float, float] = (0.3, 0.7), probability: float = 1.0
    ) -> None:
        super().__init__(probability)
        require_range(self, "factor", factor, 0.01, 1, "share of the contrast")
        require_range(self, "veil", veil, 0, 1, "share of white")
        self.factor, self.veil = factor, veil

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption."""
        share, grey = chances.uniform(2)
        factor, veil = per_image(between(share, self.factor)), per_image(2 * between(grey, self.veil) - 1)
        veiled = factor * image.to(chances.dtype) + (1 - factor) * veil
        return nothing_known(of_eight_bits(veiled).to(image.dtype))
