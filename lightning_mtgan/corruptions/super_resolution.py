"""Super-resolution: the image was smaller."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.augment.sampling import reflected
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class SuperResolution(Corruption):
    """Details from a smaller image, brought to the full size first, as in SRCNN, Dong et al. 2016 (arXiv:1501.00092).

    Each pixel of the small image is the mean of a square of pixels; back it goes by bicubic interpolation.

    Args:
        factor: How many times as high and wide the restored image is; 2 or more. Images of a training must be
            multiples of it.
        probability: See Corruption.

    Raises:
        UserError: If an argument is out of range.
    """

    name = "super_resolution"

    def __init__(self, factor: int = 2, probability: float = 1.0) -> None:
        super().__init__(probability)
        if factor < 2:
            raise UserError(f"SuperResolution.factor is {factor}; use a whole number from 2 on")
        self.factor = factor

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption; sides that are no multiples of the factor are continued by reflection, then cut again."""
        height, width = image.shape[2:]
        small = avg_pool2d(_continued(image.to(chances.dtype), self.factor), self.factor)
        return nothing_known(self._enlarged(small)[:, :, :height, :width].to(image.dtype))

    def prepared(self, image: Tensor, opaque: Tensor) -> Damaged:
        """See Corruption; from the small images (N, C, h, w) comes (N, C, factor h, factor w)."""
        return nothing_known(self._enlarged(image))

    def require_fitting(self, spec: DataSpec) -> None:
        """See Corruption."""
        if spec.image_size % self.factor:
            raise UserError(
                f"SuperResolution.factor is {self.factor}, images are {spec.image_size} pixels wide; "
                "use a factor that divides this"
            )

    def _enlarged(self, image: Tensor) -> Tensor:
        size = (self.factor * image.shape[2], self.factor * image.shape[3])
        return interpolate(image, size, mode="bicubic", align_corners=False).clamp(-1, 1)


def _continued(image: Tensor, multiple: int) -> Tensor:
    """Images continued at the bottom and at the right to the next multiple, however small they are."""
    for axis in (2, 3):
        length = image.shape[axis]
        missing = -length % multiple
        if missing:
            places = torch.arange(length + missing, device=image.device, dtype=torch.float32)
            image = image.index_select(axis, reflected(places, length))
    return image
