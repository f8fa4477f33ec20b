"""Soft parameter sharing: generators that may differ, but not far."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import SideBySide
from lightning_mtgan.representations.representation import weights_of


class SoftSharing:
    """sum_i λ_i ||θ_i - sg θ_S||^2 with θ_S = sum_i λ_i θ_i / sum_i λ_i: networks are drawn towards their mean.

    Evgeniou and Pontil 2004, Regularized multi-task learning, equation 3.

    Of the layers that all networks have alike and that are not shared outright. Its weight α stands in the
    generator's Balancer, under the name ``soft_sharing``; networks must begin with the same weights.

    Args:
        weights: λ of single domains, by name, 0 or more; 1 for the others.
    """

    def __init__(self, weights: dict[str, float] = {}) -> None:  # noqa: B006 - never changed
        self.weights = weights

    def require_fitting(self, networks: SideBySide) -> None:
        """Refuse weights of domains that there are not, and networks that have nothing to share.

        Raises:
            UserError: If a weight is negative, none is positive, a name is unknown, or no layer is alike in all.
        """
        weights_of(self.weights, tuple(networks.routes), "SoftSharing")
        if not _alike(networks):
            raise UserError(
                "model.game.soft_sharing finds no layer that all generators have alike; give them the same width, or "
                "leave it out"
            )

    def loss(self, networks: SideBySide) -> Tensor:
        """The scalar, the same on all ranks."""
        weights = weights_of(self.weights, tuple(networks.routes), "SoftSharing")
        total = sum(weights.values())
        parts = []
        for group in _alike(networks):
            center = torch.stack([weights[name] * one.detach() for name, one in group.items()]).sum(0) / total
            parts += [weights[name] * (one - center).square().sum() for name, one in group.items()]
        return torch.stack(parts).sum()


def _alike(networks: SideBySide) -> list[Mapping[str, Tensor]]:
    """Parameters that all networks have, none of them shared, by domain."""
    found: list[Mapping[str, Tensor]] = []
    for depth in range(networks.length):
        teams = networks.teams(depth)
        layers = {team[0]: networks.layer(team[0], depth) for team in teams}
        if len(layers) < len(networks.routes) or len({repr(layer) for layer in layers.values()}) > 1:
            continue
        named = {name: dict(layer.named_parameters()) for name, layer in layers.items()}
        found += [{name: own[key] for name, own in named.items()} for key in next(iter(named.values()))]
    return found
