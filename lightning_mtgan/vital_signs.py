"""Cheap signals of a discriminator's phase, each a sum and its weight: means over steps and ranks are then exact."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed

EVERY = 5
"""Steps between two readings of signals."""

PAIRS_EVERY = 10
"""Steps between two readings of signals that compare images with each other, whose features must be gathered."""


def margin(real: Tensor, fake: Tensor) -> Tensor:
    """The mean of d(x) - d(G(z)) and its weight, (2,), for logits (N,) each."""
    return _mean((real - fake).detach())


def sign_of_real(belief: Tensor) -> Tensor:
    """r_t of Karras et al. 2020 (ADA, arXiv:2006.06676), equation 1: E sign d(x), with its weight, (2,).

    1 means that the discriminator is never wrong about training images.

    Args:
        belief: What the discriminator holds of real images, (N,), as ``AdversarialLoss.belief`` has it.
    """
    return _mean(belief.detach().sign())


def distance_within(real: Tensor, fake: Tensor, condition: Tensor) -> Tensor:
    """Distances of generated images that were asked for the same, and of the real ones they were asked to be like.

    Pairs are taken from the global batch. The ratio is 1 where a condition has as many faces as in
    the data, 0 where each condition has one image.

    Args:
        real: Features of real images, (N, F).
        fake: Features of as many fakes that were asked to show the same, (N, F).
        condition: What each pair of them shows, int64 (N,), negative where it is unknown.

    Returns:
        Both sums, (2,).
    """
    everyone = distributed.gather(condition)
    same = ((everyone[:, None] == everyone[None]) & (everyone >= 0)).triu(1)
    rows = distributed.gather(torch.stack([fake, real], dim=1).detach().float())
    return torch.stack([(torch.cdist(rows[:, i], rows[:, i]) * same).sum() for i in range(2)])


def _mean(values: Tensor) -> Tensor:
    mean = values.float().mean()
    return torch.stack([mean, torch.ones_like(mean)])
