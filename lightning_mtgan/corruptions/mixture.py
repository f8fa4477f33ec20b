"""Several corruptions at once: each image has one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.rows_of import rows_of
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError


class Mixture:
    """Damages each image in one of several ways, by the ways' probabilities.

    An image's damage depends on nothing but its place in the global batch: neither on the other images, nor on
    how they are spread over ranks and micro-batches.

    Args:
        corruptions: The ways; at least one, of different names.

    Raises:
        UserError: If there is none, or if two have the same name.
    """

    def __init__(self, corruptions: Sequence[Corruption]) -> None:
        self.corruptions = tuple(corruptions)
        self.names = tuple(corruption.name for corruption in self.corruptions)
        """Their names, in the order of their indices."""
        if not self.names:
            raise UserError("model.game.corruptions is empty; list at least one, such as Denoising")
        if len(set(self.names)) < len(self.names):
            raise UserError(f"model.game.corruptions has a name twice ({', '.join(self.names)}); list each once")
        total = torch.tensor([corruption.probability for corruption in self.corruptions], dtype=torch.float64).cumsum(0)
        self._bounds = (total / total[-1])[:-1]

    def assignment(self, draws: Draws, num_images: int) -> Tensor:
        """Which corruption each image gets, an index into ``names``, int64 (N,) on the CPU.

        Args:
            draws: For the global batch.
            num_images: Images N of this rank and micro-batch.
        """
        share = replace(draws.on_host(), dtype=torch.float32).uniform("corruption", num_images)
        return torch.bucketize(share.double(), self._bounds, right=True)

    def counts(self, draws: Draws, num_images: int) -> list[int]:
        """Images of the global batch, of all ranks and micro-batches, that get each corruption.

        Args:
            draws: For the global batch.
            num_images: Images N of this rank and micro-batch.
        """
        whole = replace(draws, rank=0, world_size=1, part=0, parts=1)
        index = self.assignment(whole, draws.num_global(num_images))
        return index.bincount(minlength=len(self.names)).tolist()

    @torch.no_grad()
    def __call__(self, image: Tensor, draws: Draws) -> tuple[Damaged, Tensor]:
        """Each image (N, C, H, W) in [-1, 1], N at least 1, damaged in its own way.

        Each corruption sees only its own images. Which these are is known to Python without asking the device.

        Returns:
            What is left, and the index of what happened to each image, int64 (N,), on the images' device.
        """
        index = self.assignment(draws, len(image))
        counts = index.bincount(minlength=len(self.names)).tolist()
        order = index.argsort(stable=True)
        known_here = torch.stack([index, order, order.argsort()])
        index, order, places = known_here.to(image.device, non_blocking=True)  # otherwise a copy waits for the device
        groups = [
            corruption(image[rows], _chances(image, rows_of(draws, rows, len(image)), corruption.name, len(rows)))
            for corruption, rows in zip(self.corruptions, order.split(counts), strict=True)
            if len(rows)
        ]
        left, known = (torch.cat(parts) for parts in zip(*((d.image, d.known) for d in groups), strict=True))
        return Damaged(left, known)[places], index

    @torch.no_grad()
    def apart(self, image: Tensor, draws: Draws, name: str) -> Damaged:
        """All images (N, C, H, W) damaged in the way of this name, each as where the mixture gives it that way."""
        corruption = self.corruptions[self.names.index(name)]
        return corruption(image, _chances(image, draws, name, len(image)))


def _chances(image: Tensor, draws: Draws, name: str, num_images: int) -> Chances:
    """In float32 whatever the precision of the run, so that it decides over no damage."""
    wide = torch.promote_types(image.dtype, torch.float32)
    return Chances(replace(draws, dtype=torch.float32), f"corrupt/{name}", num_images, wide)
