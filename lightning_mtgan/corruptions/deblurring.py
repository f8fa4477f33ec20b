"""Deblurring: the image is out of focus."""

from __future__ import annotations

import math

import torch
from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.denoising import noisy
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.corruptions.strengths import between, require_range
from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.precision import full_precision


class Deblurring(Corruption):
    """A Gaussian blur, of its own width for each image, and then the noise of a sensor.

    Without noise all could be had back by dividing spectra, as no camera allows.

    Args:
        sigma: Smallest and largest standard deviation of the blur, in pixels, in [0.01, 100].
        noise: Standard deviation of the noise, in grey levels of 256; 0 for none.
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "deblurring"

    def __init__(self, sigma: tuple[float, float] = (0.8, 1.6), noise: float = 1.0, probability: float = 1.0) -> None:
        super().__init__(probability)
        require_range(self, "sigma", sigma, 0.01, 100, "standard deviation in pixels")
        if not 0 <= noise <= 255:
            raise UserError(f"Deblurring.noise is {noise}; use a standard deviation in grey levels, from 0 to 255")
        self.sigma, self.noise = sigma, noise

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption."""
        (share,) = chances.uniform(1)
        blurred = self._blurred(image.to(chances.dtype), between(share, self.sigma))
        return nothing_known(noisy(blurred, chances, torch.full_like(share, self.noise)).to(image.dtype))

    def _blurred(self, image: Tensor, sigma: Tensor) -> Tensor:
        """Out to 3 sigma of the widest blur, as far as the image can be reflected; ``sigma`` is (N,).

        By the two halves of kornia's ``gaussian_blur2d``, which itself waits for the device to compare sigma with 0.
        """
        radius = math.ceil(3 * self.sigma[1])
        down, across = (
            get_gaussian_kernel1d(2 * min(radius, length - 1) + 1, sigma[:, None]) for length in image.shape[2:]
        )
        with full_precision(image.device):
            return filter2d_separable(image, across, down, border_type="reflect")
