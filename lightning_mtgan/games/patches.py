"""Patches cut out of images, at random places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mtgan.draws import Draws


@dataclass(frozen=True)
class Patches:
    """Square patches at the same places in all images of a batch.

    Args:
        corners: Row and column of each patch's first pixel.
        size: Height and width of a patch, in pixels.
    """

    corners: tuple[tuple[int, int], ...]
    size: int

    @classmethod
    def drawn(cls, draws: Draws, num_patches: int, size: int, image: Tensor) -> Patches:
        """Places in images (N, C, H, W), each equally likely: the same in all phases of a step and on all ranks.

        Args:
            draws: Of any phase.
            num_patches: How many.
            size: Their height and width in pixels, at most H and W.
            image: The images.
        """
        chance = draws.at("patches").on_host().generator("corners")  # Python cuts, and waits for no device
        rows, columns = (
            torch.randint(length - size + 1, (num_patches,), generator=chance).tolist() for length in image.shape[2:]
        )
        return cls(tuple(zip(rows, columns, strict=True)), size)

    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to their patches, (P * N, C, size, size): one patch of each image, then the next."""
        size = self.size
        return torch.cat([image[:, :, row : row + size, column : column + size] for row, column in self.corners])
