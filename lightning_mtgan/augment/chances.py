"""Random numbers for the images of one batch, as augmentations want them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lightning_mtgan.draws import Draws


@dataclass(frozen=True)
class Chances:
    """Independent random numbers for each image of a batch: a function of draws, purpose and name.

    They are drawn and compared in float32 whatever the precision of the run, so that it decides over no image.

    Args:
        draws: The source.
        purpose: What the images are, and which part of an augmentation asks.
        num_images: Images N of this rank and micro-batch.
        dtype: Type of the numbers returned, float32 or wider.
    """

    draws: Draws
    purpose: str
    num_images: int
    dtype: torch.dtype

    @classmethod
    def of(cls, image: Tensor, draws: Draws, purpose: str) -> Chances:
        """The chances of images (N, C, H, W)."""
        wide = torch.promote_types(image.dtype, torch.float32)
        return cls(replace(draws, dtype=torch.float32), f"augment/{purpose}", len(image), wide)

    def part(self, index: int) -> Chances:
        """Other chances of the same images, for one part of an augmentation."""
        return replace(self, purpose=f"{self.purpose}/{index}")

    def uniform(self, count: int) -> tuple[Tensor, ...]:
        """So many numbers in [0, 1) for each image, each (N,)."""
        numbers = self.draws.uniform(f"{self.purpose}/uniform", self.num_images, count)
        return numbers.to(self.dtype).unbind(1)

    def normal(self, count: int) -> tuple[Tensor, ...]:
        """So many standard normal numbers for each image, each (N,)."""
        numbers = self.draws.normal(f"{self.purpose}/normal", self.num_images, count)
        return numbers.to(self.dtype).unbind(1)

    def happen(self, *probabilities: Tensor) -> tuple[Tensor, ...]:
        """Whether each of several things happens to each image, each bool (N,).

        Args:
            probabilities: Of each of them, scalars: at 0 it never happens, at 1 always.
        """
        numbers = self.draws.uniform(f"{self.purpose}/happen", self.num_images, len(probabilities))
        return (numbers < torch.stack(probabilities)).unbind(1)


def whole_number(share: Tensor, count: int) -> Tensor:
    """From uniform numbers in [0, 1) to equally likely whole numbers from 0 to ``count`` - 1, of the same type.

    No product is rounded up to ``count``: numbers of 24 bits are at least 2^-24 below 1.
    """
    return (share * count).floor()


def per_image(numbers: Tensor) -> Tensor:
    """Numbers (N,) as (N, 1, 1, 1), to be multiplied with images."""
    return numbers[:, None, None, None]
