"""The Monge Inception Distance."""

from __future__ import annotations

import numpy as np  # sorts float32 ten times faster than torch on a CPU
import torch
from torch import Tensor

from lightning_mtgan.draws import seed_of

CHUNK = 100
"""Directions at a time, so that memory stays small."""


def monge_inception_distance(fake: Tensor, real: Tensor, num_directions: int = 1_000, seed: int = 0) -> float:
    """MIND, Berthet et al. 2026 (arXiv:2605.06797): 3 D times the mean squared W2 over random directions.

    Along a direction two samples of equal size are matched in sorted order. The larger sample is cut
    to the size of the smaller. A shift by m scores 3 |m|^2.

    Args:
        fake: Features of generated images, (M, D).
        real: Features of real images, (N, D).
        num_directions: Random unit vectors.
        seed: Their seed.
    """
    count = min(len(fake), len(real))
    generator = torch.Generator().manual_seed(seed_of("mind", seed))
    directions = torch.randn(num_directions, fake.shape[1], generator=generator)
    directions = directions / directions.norm(dim=1, keepdim=True)
    total = 0.0
    for some in directions.split(CHUNK):
        ours, theirs = (np.sort((some @ rows[:count].float().T).numpy(), axis=1) for rows in (fake, real))
        total += float(np.square((ours - theirs).astype(np.float64)).mean(axis=1).sum())
    return 3 * fake.shape[1] * total / num_directions
