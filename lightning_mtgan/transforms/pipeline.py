"""Several transforms, one after the other."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms.auto_contrast import AutoContrast
from lightning_mtgan.transforms.strips import from_pixels, to_pixels, worked
from lightning_mtgan.transforms.transform import Strip, Transform
from lightning_mtgan.transforms.unsharp_mask import UnsharpMask
from lightning_mtgan.transforms.white_balance import WhiteBalance


class Pipeline(Transform):
    """Transforms in their order; between two of them images are rounded to 8 bits.

    So they are where a large image is kept between two looks at it, and so they must be everywhere to be the same. A
    gradient goes through the rounding as if there were none, Bengio et al. 2013 (arXiv:1308.3432).

    Args:
        transforms: At least one; null for full contrast, no cast of colour and some sharpening.

    Raises:
        UserError: If there is none.
    """

    name: ClassVar[str] = "pipeline"

    def __init__(self, transforms: list[Transform] | None = None) -> None:
        if transforms is not None and not transforms:
            raise UserError("Pipeline.transforms is empty; name at least one transform")
        self.transforms = [AutoContrast(), WhiteBalance(), UnsharpMask(0.5)] if transforms is None else list(transforms)

    @property
    def margin(self) -> int:
        """See Transform; the sum of all."""
        return sum(transform.margin for transform in self.transforms)

    def __call__(self, image: Tensor) -> Tensor:
        """See Transform."""
        first, *others = self.transforms
        image = first(image)
        for transform in others:
            image = transform(_in_8_bits(image))
        return image

    def look(self, pixels: Tensor) -> Strip:
        """See Transform; each transform looks at what those before it have made of the whole image."""
        looked: list[Strip] = []
        for index, transform in enumerate(self.transforms):
            looked.append(transform.look(pixels))
            if index < len(self.transforms) - 1:
                pixels = worked(pixels, looked[-1], transform.margin)

        def strip(rows: Tensor, first: int) -> Tensor:
            rows = looked[0](rows, first)
            for one in looked[1:]:
                rows = one(_in_8_bits(rows), first)
            return rows

        return strip


def _in_8_bits(image: Tensor) -> Tensor:
    rounded = from_pixels(to_pixels(image), image.dtype)
    return rounded + (image - image.detach()) if image.requires_grad else rounded
