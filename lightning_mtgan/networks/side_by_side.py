"""Several networks at once: layers that they share, and layers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.layered import Layered


class SideBySide(nn.Module):
    """Networks of which some layers are the same instances, Liu and Tuzel 2016 (CoGAN, arXiv:1606.07536), section 3.

    A shared layer sees the inputs of all its networks in one pass, one after the other along the batch, or once if
    they are one tensor. Networks may differ in length: they are laid side by side from their beginning or from
    their end, wherever layers are shared.

    Args:
        networks: The networks by name.
        num_shared: Layers that are shared, counted from that side; those that differ in shape stay apart. None for all.
        from_end: Whether to count from the end, as discriminators do, or from the beginning, as generators do.
        grouped: Layers of their own that are alike run as one grouped operation, as far as their inputs have one
            shape: the same result up to rounding. Pays where a device waits for operations, not for arithmetic.

    Raises:
        UserError: If the number is negative.
    """

    def __init__(
        self, networks: Mapping[str, Layered], num_shared: int | None, from_end: bool, grouped: bool = False
    ) -> None:
        super().__init__()
        if num_shared is not None and num_shared < 0:
            raise UserError(f"the number of shared layers is {num_shared}; use 0 for none, or null for all")
        self.grouped = grouped
        self.length = max(len(network.layers) for network in networks.values())
        self.layers = nn.ModuleDict()
        """Each layer once, by its depth and the first network that has it."""
        self.routes: dict[str, dict[int, str]] = {name: {} for name in networks}
        """Which of the layers each network has at each depth."""
        for name, network in networks.items():
            begin = self.length - len(network.layers) if from_end else 0
            for depth, layer in enumerate(network.layers, begin):
                is_shared = num_shared is None or (self.length - 1 - depth if from_end else depth) < num_shared
                self.routes[name][depth] = (self._twin(layer, depth) if is_shared else None) or f"{depth} {name}"
                if self.routes[name][depth] not in self.layers:
                    self.layers[self.routes[name][depth]] = layer

    def _twin(self, layer: nn.Module, depth: int) -> str | None:
        """The layer at a depth that another network has brought, and that is like this one."""
        others = (route[depth] for route in self.routes.values() if depth in route)
        return next((key for key in others if repr(self.layers[key]) == repr(layer)), None)

    def layer(self, name: str, depth: int) -> nn.Module:
        """The layer of a network at a depth."""
        return self.layers[self.routes[name][depth]]

    def teams(self, depth: int) -> list[list[str]]:
        """The names of the networks that share their layer at a depth, team by team, also teams of one."""
        teams: dict[str, list[str]] = {}
        for name, route in self.routes.items():
            if depth in route:
                teams.setdefault(route[depth], []).append(name)
        return list(teams.values())

    def counts(self) -> tuple[int, int]:
        """Numbers that are learned: as the layers are, and if none was shared."""
        sizes = {key: sum(one.numel() for one in layer.parameters()) for key, layer in self.layers.items()}
        return sum(sizes.values()), sum(sizes[key] for route in self.routes.values() for key in route.values())

    def forward(self, inputs: Mapping[str, Tensor], first: int = 0, end: int | None = None) -> dict[str, Tensor]:
        """Inputs (N, ...) by network through the layers at depths ``first`` to ``end`` - 1 (None: to the last)."""
        for name in inputs.keys() - self.routes.keys():
            raise KeyError(f"no network is called {name}; they are {', '.join(self.routes)}")
        values = dict(inputs)
        for depth in range(first, self.length if end is None else end):
            teams = [team for team in ([n for n in team if n in values] for team in self.teams(depth)) if team]
            alone = [team for team in teams if len(team) == 1 and self._can_be_grouped(team[0], depth)]
            for group in _alike([team[0] for team in alone], values, lambda name: repr(self.layer(name, depth))):  # noqa: B023
                results = _at_once([self.layer(name, depth) for name in group], [values[name] for name in group])
                values |= zip(group, results, strict=True)
            for team in teams:
                if team not in alone:
                    values |= self._together(team, depth, values)
        return values

    def _can_be_grouped(self, name: str, depth: int) -> bool:
        """Buffers are not stacked, so that layers that remember something run by themselves."""
        return self.grouped and not any(True for _ in self.layer(name, depth).buffers())

    def _together(self, team: Sequence[str], depth: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One pass of a layer over the inputs of all its networks, each tensor once."""
        different = list({id(values[name]): values[name] for name in team}.values())
        whole = different[0] if len(different) == 1 else torch.cat(different)
        parts = self.layer(team[0], depth)(whole).split([len(one) for one in different])
        result = {id(one): part for one, part in zip(different, parts, strict=True)}
        return {name: result[id(values[name])] for name in team}


def _alike(names: Sequence[str], values: Mapping[str, Tensor], kind: object) -> list[list[str]]:
    """Names whose layers and inputs are of one kind, group by group."""
    groups: dict[tuple[str, torch.Size], list[str]] = {}
    for name in names:
        groups.setdefault((kind(name), values[name].shape), []).append(name)  # type: ignore[operator]
    return list(groups.values())


def _at_once(layers: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Each layer's result for its own input, (N, ...) each, by one vectorised call."""
    if len(layers) == 1:
        return [layers[0](inputs[0])]
    named = [dict(layer.named_parameters()) for layer in layers]
    weights = {name: torch.stack([one[name] for one in named]) for name in named[0]}

    def call(weights: dict[str, Tensor], value: Tensor) -> Tensor:
        return functional_call(layers[0], weights, (value,))

    return list(vmap(call)(weights, torch.stack(list(inputs))).unbind())
