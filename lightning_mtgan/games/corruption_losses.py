"""The errors of restored images, corruption by corruption."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.corruptions import Mixture
from lightning_mtgan.draws import Draws


def by_corruption(errors: Tensor, index: Tensor, mixture: Mixture, draws: Draws) -> dict[str, Tensor]:
    """The mean error of each corruption's images in the global batch; how many there are, every rank knows.

    Args:
        errors: The error of each image of this rank and micro-batch, (N,).
        index: What happened to each of them, int64 (N,).
        mixture: What can happen.
        draws: Those that the images were damaged by.

    Returns:
        Scalars by the corruption's name, whose means over ranks and micro-batches are those errors.
    """
    scale = draws.num_global(len(index)) / len(index)  # a loss is averaged over ranks and micro-batches
    counts = mixture.counts(draws, len(index))
    return {
        name: errors.where(index == number, 0).sum() * (scale / max(1, count))
        for number, (name, count) in enumerate(zip(mixture.names, counts, strict=True))
    }
