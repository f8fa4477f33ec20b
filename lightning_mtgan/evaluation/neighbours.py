"""Precision, recall, density and coverage, by nearest neighbours in feature space, in one pass over the distances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2048


def distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distances (N, M) between rows (N, D) and (M, D), in float64: a rounded radius would miscount."""
    return torch.cdist(one.double(), other.double())


def nearest(one: Tensor, other: Tensor, rank: int = 1) -> Tensor:
    """Distance from each row of ``one`` (N, D) to its ``rank``-th nearest row of ``other`` (M, D): (N,)."""
    return torch.cat([smallest(distances(part, other), rank) for part in one.split(CHUNK)])


def smallest(distance: Tensor, rank: int) -> Tensor:
    """The ``rank``-th smallest number of each row of (N, M): (N,)."""
    return distance.min(1).values if rank == 1 else distance.topk(rank, dim=1, largest=False).values[:, -1]


@dataclass
class Neighbourhood:
    """Counts behind the four figures.

    Args:
        num_neighbours: k.
        fakes_inside: Real balls that hold each fake, (M,).
        is_recalled: Whether some fake's ball holds each real image, (N,).
        is_covered: Whether each real image's ball holds a fake, (N,).
    """

    num_neighbours: int
    fakes_inside: Tensor
    is_recalled: Tensor
    is_covered: Tensor

    def figures(self) -> dict[str, float]:
        """Precision, recall, density and coverage.

        Kynkäänniemi et al. 2019 (arXiv:1904.06991), equation 2; Naeem et al. 2020 (arXiv:2002.09797),
        equations 4 and 6.
        """
        inside = self.fakes_inside.double()
        return {
            "precision": (inside > 0).double().mean().item(),
            "recall": self.is_recalled.double().mean().item(),
            "density": inside.mean().item() / self.num_neighbours,
            "coverage": self.is_covered.double().mean().item(),
        }


def neighbourhood(fake: Tensor, real: Tensor, fake_radius: Tensor, real_radius: Tensor, k: int) -> Neighbourhood:
    """Who lies in whose ball.

    Args:
        fake: Features of generated images, (M, D).
        real: Features of real images, (N, D).
        fake_radius: Distance of each fake to its k-th other fake, (M,).
        real_radius: Distance of each real image to its k-th other real image, (N,).
        k: Number of neighbours.
    """
    inside = torch.zeros(len(fake), dtype=torch.int64)
    recalled, covered = [], []
    for rows, reach in zip(real.split(CHUNK), real_radius.split(CHUNK), strict=True):
        distance = distances(rows, fake)
        inside += (distance < reach[:, None]).sum(0)
        recalled.append((distance < fake_radius).any(1))
        covered.append(distance.min(1).values < reach)
    return Neighbourhood(k, inside, torch.cat(recalled), torch.cat(covered))


def radius(features: Tensor, k: int) -> Tensor:
    """Distance of each row (N, D) to its k-th other row: (N,)."""
    return nearest(features, features, k + 1)
