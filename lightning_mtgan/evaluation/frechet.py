"""The Fréchet distance, with everything kept that does not change between measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass
class Gaussian:
    """Mean (D,) and covariance (D, D) of features, float64."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Gaussian:
        """The Gaussian with the moments of features (N, D)."""
        features = features.double()
        mean = features.mean(0)
        features = features - mean
        return cls(mean, features.T @ features / (len(features) - 1))

    @cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def frechet_distance(fake: Gaussian, real: Gaussian) -> float:
    """The squared Fréchet distance of two Gaussians, Heusel et al. 2017 (arXiv:1706.08500), equation 6.

    |m_f - m_r|^2 + Tr(C_f + C_r - 2 (C_f C_r)^(1/2)); the last trace is the sum of the square roots
    of the eigenvalues of the symmetric R C_f R with R the root of C_r, which is computed once.
    """
    product = torch.linalg.eigvalsh(real.root @ fake.covariance @ real.root).clamp(min=0).sqrt().sum()
    means = (fake.mean - real.mean).square().sum()
    return float(means + fake.covariance.trace() + real.covariance.trace() - 2 * product)
