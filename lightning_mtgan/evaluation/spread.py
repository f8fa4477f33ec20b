"""How far images that show the same lie apart."""

from __future__ import annotations

import torch
from torch import Tensor


def spread_within(features: Tensor, condition: Tensor | None) -> float | None:
    """The root mean square distance of two images that show the same classes; None if there are no such pairs.

    Args:
        features: (N, D).
        condition: The combination of classes of each image, (N,), negative where it is unknown; None if
            all belong together.
    """
    if condition is not None:
        features, condition = features[condition >= 0], condition[condition >= 0]
    features = features.double()
    if condition is None:
        group, num_groups = torch.zeros(len(features), dtype=torch.int64), 1
    else:
        values, group = condition.unique(return_inverse=True)
        num_groups = len(values)
    # The squared distances within a group of n sum to n sum |x|^2 - |sum x|^2, each pair counted once.
    features = features - features.mean(0)
    size = torch.zeros(num_groups, dtype=torch.float64).index_add_(0, group, torch.ones(len(features)).double())
    sums = torch.zeros(num_groups, features.shape[1], dtype=torch.float64).index_add_(0, group, features)
    squares = torch.zeros(num_groups, dtype=torch.float64).index_add_(0, group, features.square().sum(1))
    pairs = (size * (size - 1) / 2).sum()
    if pairs == 0:
        return None
    return ((size * squares - sums.square().sum(1)).sum().clamp(min=0) / pairs).sqrt().item()
