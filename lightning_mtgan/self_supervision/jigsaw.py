"""Images cut into tiles that change their places."""

from __future__ import annotations

from functools import cache
from itertools import chain, permutations
from math import factorial

import numpy as np
import torch
from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.self_supervision.transformation import Transformation


class Jigsaw(nn.Module, Transformation):
    """The tiles of each image rearranged by one of K fixed permutations, Noroozi and Favaro 2016 (arXiv:1603.09246).

    The first permutation leaves all tiles where they are; see ``far_permutations`` for the others. Tiles have
    floor(H / grid) x floor(W / grid) pixels; what is left over at the lower and right edge stays as it is. The
    paper's gaps between tiles and its normalisation of each tile, which keep a network from following edges across
    tiles, are left out: they could not be undone.

    It is a module because its table of permutations must be on the device beforehand.

    Args:
        grid: Tiles along each side, 2 or 3.
        permutations: How many of them, K: 2 to 24 with grid 2, to 362,880 with grid 3, of which the paper takes up to
            1,000.

    Raises:
        UserError: If the grid or K is out of range.
    """

    name = "jigsaw"
    order: Tensor
    inverse: Tensor

    def __init__(self, grid: int = 2, permutations: int = 24) -> None:
        super().__init__()
        if grid not in (2, 3):
            raise UserError(f"Jigsaw.grid is {grid}; use 2 or 3 tiles along each side")
        most = factorial(grid**2)
        if not 2 <= permutations <= most:
            raise UserError(f"Jigsaw.permutations is {permutations}; use 2 to {most} with grid {grid}")
        self.grid = grid
        order = torch.tensor(far_permutations(grid**2, permutations))
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("inverse", order.argsort(1), persistent=False)

    @property
    def count(self) -> int:
        """The permutations."""
        return len(self.order)

    def forward(self, image: Tensor, index: Tensor) -> Tensor:
        """Images (N, C, H, W), where place p of image i shows its tile order[index_i, p]."""
        return self._rearranged(image, self.order[index])

    def undone(self, image: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
        """All tiles back at their places."""
        return self._rearranged(image, self.inverse[index])

    def require_fitting(self, image_size: int) -> None:
        """Refuse images that are smaller than the grid.

        Raises:
            UserError: With the size, and what would go.
        """
        if image_size < self.grid:
            raise UserError(
                f"Jigsaw.grid is {self.grid}, but images have only {image_size} x {image_size} pixels; "
                f"use images of at least {self.grid} x {self.grid}"
            )

    def _rearranged(self, image: Tensor, order: Tensor) -> Tensor:
        (num_images, num_channels, height, width), grid = image.shape, self.grid
        down, across = height // grid * grid, width // grid * grid
        cut = image[:, :, :down, :across].unflatten(3, (grid, -1)).unflatten(2, (grid, -1))
        tiles = cut.permute(0, 2, 4, 1, 3, 5)  # (N, grid, grid, C, h, w)
        first = torch.arange(num_images, device=image.device)[:, None] * grid**2
        # All tiles of the batch in one row: each is copied once, so that gradients add nothing up either.
        moved = tiles.flatten(0, 2).index_select(0, (first + order).flatten()).view(tiles.shape)
        body = moved.permute(0, 3, 1, 4, 2, 5).reshape(num_images, num_channels, down, across)
        return torch.cat([torch.cat([body, image[:, :, :down, across:]], 3), image[:, :, down:]], 2)


@cache
def far_permutations(length: int, count: int) -> tuple[tuple[int, ...], ...]:
    """Permutations of 0 to ``length`` - 1 that differ from each other in as many places as a greedy choice finds.

    After Noroozi and Favaro 2016 (arXiv:1603.09246), algorithm 1, which begins with a random permutation and takes
    next the one with the largest sum of Hamming distances to those that it has. Here the first is the identity, and
    the smallest distance decides before the sum: with 9 places any two of 100 differ in at least 6, by the sum alone
    some in 2 only, while the mean, 8.1, is the same. Then the lexicographic order decides, so that every machine
    finds the same. Each takes a pass over all permutations: a few milliseconds with 9 places.

    Args:
        length: Places, at most 9.
        count: How many permutations.
    """
    numbers = np.fromiter(chain.from_iterable(permutations(range(length))), dtype=np.uint8)
    every = np.ascontiguousarray(numbers.reshape(-1, length).T)  # a row for each place
    chosen = [0]
    nearest, total = np.full(every.shape[1], length, dtype=np.int64), np.zeros(every.shape[1], dtype=np.int64)
    for _ in range(count - 1):
        distance = (every != every[:, chosen[-1], None]).sum(0)
        np.minimum(nearest, distance, out=nearest)
        total += distance
        chosen.append(int((nearest * length * count + total).argmax()))  # the sum is smaller than length * count
    return tuple(tuple(map(int, every[:, number])) for number in chosen)
