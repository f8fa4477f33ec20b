"""What a representation is that all generators read: a function of what they are given, never a free vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import Layered


class Representation(nn.Module, ABC):
    """S: from what generators are given to a map of the shape of their features.

    Args:
        network: A network of the generators' first layers, with weights of its own.
        domains: The names of the generators.
    """

    is_learned: ClassVar[bool]
    """Whether it is a player of its own, with an optimizer and a phase."""

    def __init__(self, network: Layered, domains: tuple[str, ...]) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, given: Tensor, features: Callable[[], Mapping[str, Tensor]]) -> Tensor:
        """S, (N, C, H, W).

        Args:
            given: Latents beside conditions, (N, latent_dim + condition_dim).
            features: Gives each generator's features t_i of that, (N, C, H, W), by domain.
        """


class LearnedRepresentation(Representation):
    """S = s(z), a network of its own, which moves between the turns of the generators.

    Arguments are those of Representation.
    """

    is_learned = True

    def __init__(self, network: Layered, domains: tuple[str, ...]) -> None:
        super().__init__(network, domains)
        self.network = network

    def forward(self, given: Tensor, features: Callable[[], Mapping[str, Tensor]]) -> Tensor:
        """s(z), (N, C, H, W)."""
        return self.network(given)


class MeanRepresentation(Representation):
    """S = sum_i λ_i t_i(z) / sum_i λ_i: the map that is nearest to all generators' features, in closed form.

    It needs no phase; to sample from one generator, the first layers of all are run.

    Args:
        network: Not used.
        domains: The names of the generators.
        weights: λ of single domains, by name, 0 or more; 1 for the others.

    Raises:
        UserError: If a weight is negative, none is positive, or a name is unknown.
    """

    is_learned = False

    def __init__(
        self,
        network: Layered,
        domains: tuple[str, ...],
        weights: dict[str, float] = {},  # noqa: B006 - never changed
    ) -> None:
        super().__init__(network, domains)
        self.weights = weights_of(weights, domains, "MeanRepresentation")

    def forward(self, given: Tensor, features: Callable[[], Mapping[str, Tensor]]) -> Tensor:
        """The weighted mean, (N, C, H, W)."""
        every = features()
        return torch.stack([self.weights[name] * one for name, one in every.items()]).sum(0) / sum(
            self.weights[name] for name in every
        )


def weights_of(weights: Mapping[str, float], domains: tuple[str, ...], whose: str) -> dict[str, float]:
    """λ of each domain.

    Raises:
        UserError: If a weight is negative, none is positive, or a name is unknown.
    """
    for name, weight in weights.items():
        if name not in domains:
            raise UserError(f"{whose}.weights names `{name}`; the domains are {', '.join(domains)}")
        if not 0 <= weight < float("inf"):
            raise UserError(f"{whose}.weights.{name} is {weight}; use 0 or more")
    found = {name: weights.get(name, 1.0) for name in domains}
    if not any(found.values()):
        raise UserError(f"{whose}.weights are all 0; give at least one domain a weight")
    return found
