"""Denoising: there is noise on the image."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.corruptions.strengths import GREY_LEVEL, between, require_range


class Denoising(Corruption):
    """Gaussian noise, of its own strength for each image, as in DnCNN, Zhang et al. 2017 (arXiv:1608.03981).

    What it drives out of [-1, 1] is clamped, as a camera's sensor does.

    Args:
        sigma: Smallest and largest standard deviation, in grey levels of 256.
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "denoising"

    def __init__(self, sigma: tuple[float, float] = (15.0, 35.0), probability: float = 1.0) -> None:
        super().__init__(probability)
        require_range(self, "sigma", sigma, 0, 255, "standard deviation in grey levels")
        self.sigma = sigma

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption."""
        (share,) = chances.uniform(1)
        return nothing_known(noisy(image, chances, between(share, self.sigma)))


def noisy(image: Tensor, chances: Chances, sigma: Tensor) -> Tensor:
    """Images with independent Gaussian noise in each pixel and channel, (N, C, H, W) in [-1, 1].

    Args:
        image: (N, C, H, W).
        chances: Of these images.
        sigma: Standard deviation for each image, (N,), in grey levels of 256.
    """
    noise = chances.draws.normal(f"{chances.purpose}/noise", *image.shape).to(chances.dtype)
    return (image + per_image(sigma * GREY_LEVEL) * noise).clamp(-1, 1).to(image.dtype)
