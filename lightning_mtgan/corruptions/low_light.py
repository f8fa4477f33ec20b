"""Low light: the image is too dark."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.eight_bits import of_eight_bits
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.corruptions.strengths import between, require_range


class LowLight(Corruption):
    """β x^γ of images in [0, 1], dark parts most, with its own β and γ for each image; then 8 bits, as in a file.

    After the simulation of Lv, Li and Lu 2019 (arXiv:1908.00682), whose third factor, within the power, is 0.9 to 1:
    β stands for both. The ranges are this project's own.

    Args:
        gamma: Smallest and largest exponent γ, in [1, 10]; 1 for no curve.
        scale: Smallest and largest factor β, in [0.01, 1].
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "low_light"

    def __init__(
        self, gamma: tuple[float, float] = (1.5, 3.0), scale: tuple[float, float] = (0.6, 1.0), probability: float = 1.0
    ) -> None:
        super().__init__(probability)
        require_range(self, "gamma", gamma, 1, 10, "exponent")
        require_range(self, "scale", scale, 0.01, 1, "factor of the light")
        self.gamma, self.scale = gamma, scale

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption."""
        curve, light = chances.uniform(2)
        share = ((image.to(chances.dtype) + 1) / 2).clamp(0, 1)  # a rounding below 0 has no power
        dark = per_image(between(light, self.scale)) * share ** per_image(between(curve, self.gamma))
        return nothing_known(of_eight_bits(2 * dark - 1).to(image.dtype))
