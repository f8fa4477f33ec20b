"""How many of the modes a generator reaches, and how evenly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor


def count_modes(labels: Sequence[Tensor], sizes: Sequence[int]) -> tuple[int, float]:
    """Distinct combinations of classes, and KL(found || uniform) in nats.

    The stacked-MNIST protocol (Metz et al. 2017, arXiv:1611.02163; Lin et al. 2018,
    arXiv:1712.04086): 26,000 samples, a mode counts when one sample falls into it.

    Args:
        labels: For each task the class of each image, int64 (N,).
        sizes: Classes of each task.
    """
    index = torch.zeros_like(labels[0])
    for label, size in zip(labels, sizes, strict=True):
        index = index * size + label
    num_modes = math.prod(sizes)
    counts = torch.bincount(index, minlength=num_modes).double()
    share = counts[counts > 0] / counts.sum()
    return int((counts > 0).sum()), float((share * (share * num_modes).log()).sum())


@cache
def modes_kl_floor(num_images: int, num_modes: int) -> float:
    """The KL that a perfect sampler scores at this sample size: the mean of 20 simulations."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randint(num_modes, (20, num_images), generator=generator)
    return sum(count_modes([draw], [num_modes])[1] for draw in draws) / len(draws)
