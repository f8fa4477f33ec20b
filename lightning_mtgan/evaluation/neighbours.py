"""Density and coverage, by nearest neighbours in feature space."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 2048


def density_coverage(real: Tensor, fake: Tensor, num_neighbours: int = 5) -> tuple[float, float]:
    """Density and coverage, Naeem et al. 2020 (arXiv:2002.09797), equations 4 and 6.

    Density is the mean number of real balls that hold a fake, over k; coverage the share of real
    images whose ball holds a fake. The ball of a real image reaches to its k-th real neighbour.

    Args:
        real: Features of real images, (N, D).
        fake: Features of fake images, (M, D).
        num_neighbours: k.
    """
    radius = torch.cat([torch.cdist(r, real).kthvalue(num_neighbours + 1).values for r in real.split(CHUNK)])
    inside, nearest = 0, []
    for chunk, reach in zip(real.split(CHUNK), radius.split(CHUNK), strict=True):
        distance = torch.cdist(chunk, fake)
        inside += int((distance < reach[:, None]).sum())
        nearest.append(distance.min(dim=1).values)
    density = inside / (num_neighbours * len(fake))
    coverage = (torch.cat(nearest) < radius).double().mean().item()
    return density, coverage
