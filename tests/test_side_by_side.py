"""Networks side by side: which layers are one instance, and that each network is what it would be alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import Layered, LayeredGenerator, LayeredTrunk, SideBySide
from lightning_mtgan.types import DataSpec

SPECS = {"small": DataSpec(8, 1), "large": DataSpec(16, 1), "colour": DataSpec(8, 3), "other": DataSpec(16, 1)}
NUMBERS = [*range(9), None]
SIDES = [pytest.param(False, id="generators"), pytest.param(True, id="trunks")]


def networks(from_end: bool) -> dict[str, Layered]:
    torch.manual_seed(0)
    if from_end:
        return {name: LayeredTrunk(spec, width=8, least_width=4, num_features=6) for name, spec in SPECS.items()}
    return {name: LayeredGenerator(spec, 0, latent_dim=5, width=8, least_width=4) for name, spec in SPECS.items()}


def inputs(from_end: bool, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    shapes = {name: (spec.num_channels, *[spec.image_size] * 2) if from_end else (5,) for name, spec in SPECS.items()}
    return {name: torch.randn(4, *shape, generator=draw, dtype=dtype) for name, shape in shapes.items()}


def kind(layer: nn.Module) -> object:
    """What a layer does, but for the values of its parameters."""
    strides = [part.stride for part in layer.modules() if isinstance(part, nn.Conv2d)]
    return type(layer), [p.shape for p in layer.parameters()], strides


def depths(alone: Layered, whole: SideBySide, from_end: bool) -> range:
    begin = whole.length - len(alone.layers) if from_end else 0
    return range(begin, begin + len(alone.layers))


def is_counted(depth: int, whole: SideBySide, number: int | None, from_end: bool) -> bool:
    return number is None or (whole.length - 1 - depth if from_end else depth) < number


def chained(whole: SideBySide, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each network by itself, layer by layer."""
    result = dict(values)
    for name, route in whole.routes.items():
        for depth in sorted(route):
            result[name] = whole.layer(name, depth)(result[name])
    return result


def curvature(module: Callable[[dict[str, Tensor]], dict[str, Tensor]], values: Mapping[str, Tensor]) -> Tensor:
    """A sum of squared gradients by the inputs, whose gradient is of second order."""
    tracked = {name: value.clone().requires_grad_() for name, value in values.items()}
    total = sum(result.square().sum() for result in module(tracked).values())
    slopes = torch.autograd.grad(total, list(tracked.values()), create_graph=True)  # type: ignore[arg-type]
    return torch.stack([slope.square().sum() for slope in slopes]).sum()


@pytest.mark.parametrize("from_end", SIDES)
@pytest.mark.parametrize("number", NUMBERS)
def test_layers_are_one_instance_where_they_are_counted_and_alike(from_end: bool, number: int | None) -> None:
    alone = networks(from_end)
    before = copy.deepcopy(alone)
    whole = SideBySide(alone, number, from_end)
    assert whole.length == max(len(one.layers) for one in alone.values())
    own = {name: dict(zip(depths(one, whole, from_end), one.layers, strict=True)) for name, one in before.items()}
    for name, layers in own.items():
        for depth, layer in layers.items():
            found = whole.layer(name, depth)
            assert kind(found) == kind(layer)
            for other in own:
                together = depth in own[other] and kind(own[other][depth]) == kind(layer)
                expected = name == other or (together and is_counted(depth, whole, number, from_end))
                assert (depth in own[other] and whole.layer(other, depth) is found) == expected, (name, other, depth)


@pytest.mark.parametrize("from_end", SIDES)
@pytest.mark.parametrize("number", NUMBERS)
def test_teams_and_counts_agree_with_the_instances(from_end: bool, number: int | None) -> None:
    alone = networks(from_end)
    separate = sum(p.numel() for one in alone.values() for p in one.parameters())
    whole = SideBySide(alone, number, from_end)
    assert whole.counts() == (sum(p.numel() for p in whole.parameters()), separate)
    assert (whole.counts()[0] < separate) == (number != 0)  # two domains are alike throughout
    for depth in range(whole.length):
        teams = whole.teams(depth)
        members = [name for team in teams for name in team]
        assert sorted(members) == sorted(name for name, route in whole.routes.items() if depth in route)
        assert all(len({id(whole.layer(name, depth)) for name in team}) == 1 for team in teams)
        assert len({id(whole.layer(team[0], depth)) for team in teams}) == len(teams)


def test_more_shared_layers_are_never_more_parameters() -> None:
    for from_end in (False, True):
        sizes = [SideBySide(networks(from_end), number, from_end).counts()[0] for number in NUMBERS]
        assert sizes == sorted(sizes, reverse=True) and sizes[-1] == sizes[-2] < sizes[0]


def test_generators_are_aligned_at_their_beginning_and_trunks_at_their_end() -> None:
    generators, trunks = SideBySide(networks(False), None, False), SideBySide(networks(True), None, True)
    assert generators.teams(0) == [["small", "large", "colour", "other"]]
    assert trunks.teams(trunks.length - 1) == [["small", "large", "colour", "other"]]
    assert generators.teams(generators.length - 1) == trunks.teams(0) == [["large", "other"]]
    # The last layers of the small ones differ in channels and stand beside a layer of another kind.
    assert generators.teams(4) == [["small"], ["large", "other"], ["colour"]]


@pytest.mark.parametrize("from_end", SIDES)
@pytest.mark.parametrize("number", [0, 3, None])
@pytest.mark.parametrize("grouped", [False, True])
def test_each_network_does_what_it_does_alone(from_end: bool, number: int | None, grouped: bool) -> None:
    whole = SideBySide(networks(from_end), number, from_end, grouped).double()
    values = inputs(from_end, torch.float64)
    found, expected = whole(values), chained(whole, values)
    assert list(found) == list(SPECS)
    for name in SPECS:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-10, atol=1e-10)
    parts = whole(whole(values, end=2), first=2)
    assert all(torch.equal(parts[name], found[name]) for name in SPECS)


def test_nothing_shared_gives_the_bits_of_each_network_alone() -> None:
    for from_end in (False, True):
        alone, values = networks(from_end), inputs(from_end)
        found = SideBySide(copy.deepcopy(alone), 0, from_end)(values)
        assert all(
            torch.equal(found[name], one.layers[-1](_until_last(one, values[name]))) for name, one in alone.items()
        )


def _until_last(network: Layered, value: Tensor) -> Tensor:
    for layer in list(network.layers)[:-1]:
        value = layer(value)
    return value


def test_one_input_of_all_is_seen_once() -> None:
    whole = SideBySide(networks(False), None, False)
    seen: list[int] = []
    whole.layer("small", 0).register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    latent = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    images = whole(dict.fromkeys(SPECS, latent))
    assert seen == [4] and images["large"] is images["other"]
    again = whole({name: latent.clone() for name in SPECS})
    assert seen == [4, 16]
    for name in SPECS:
        torch.testing.assert_close(images[name], again[name], rtol=1e-5, atol=1e-6)


def test_networks_may_be_asked_alone_and_with_batches_of_their_own() -> None:
    whole, values = SideBySide(networks(True), None, True), inputs(True)
    values |= {"large": values["large"][:1], "colour": values["colour"][:3]}
    together = whole(values)
    for name in SPECS:
        alone = whole({name: values[name]})
        assert list(alone) == [name] and len(together[name]) == len(values[name])
        torch.testing.assert_close(together[name], alone[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("from_end", SIDES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_grouped_layers_agree_with_single_ones(
    number: int, from_end: bool, dtype: torch.dtype, tolerance: float
) -> None:
    single = SideBySide(networks(from_end), number, from_end, grouped=False).to(dtype)
    grouped = SideBySide(networks(from_end), number, from_end, grouped=True).to(dtype)
    values = inputs(from_end, dtype)
    results, slopes, bends = [], [], []
    for whole in (single, grouped):
        results.append(whole(values))
        loss = sum(result.square().mean() for result in results[-1].values())
        slopes.append(torch.autograd.grad(loss, list(whole.parameters())))  # type: ignore[arg-type]
        bend = curvature(whole, values)
        bends.append([bend, *torch.autograd.grad(bend, list(whole.parameters()), allow_unused=True)])

    def near(one: Tensor | None, other: Tensor | None) -> bool:
        if one is None or other is None:  # the last bias does not bend
            return all(found is None or not found.any() for found in (one, other))
        gap, size = ((other - one).detach().norm(), one.detach().norm())
        return bool(gap <= tolerance * size)

    assert all(near(results[0][name], results[1][name]) for name in SPECS)
    assert all(near(one, other) for one, other in zip(*slopes, strict=True))
    assert all(near(one, other) for one, other in zip(*bends, strict=True)) and bends[0][0] > 0


def test_grouped_layers_run_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, original = [0], nn.Conv2d.forward

    def counted(self: nn.Conv2d, features: Tensor) -> Tensor:
        calls[0] += 1
        return original(self, features)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    found = []
    for grouped in (False, True):
        calls[0] = 0
        SideBySide(networks(True), 0, True, grouped)(inputs(True))
        found.append(calls[0])
    # 5 + 5 + 3 + 3; from 16 to 8 pixels 3 for both large ones at once, 2 for the others apart, then 2 for all four.
    assert found == [16, 7]


@pytest.mark.parametrize("from_end", SIDES)
def test_copies_and_states_keep_what_is_shared(from_end: bool) -> None:
    whole = SideBySide(networks(from_end), 3, from_end)
    state = whole.state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state) == len(list(whole.parameters()))
    twin = copy.deepcopy(whole)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    fresh = SideBySide(networks(from_end), 3, from_end)
    fresh.load_state_dict(twin.state_dict())
    for depth in range(whole.length):
        assert whole.teams(depth) == twin.teams(depth) == fresh.teams(depth)
        for name, route in whole.routes.items():
            if depth in route:
                assert twin.layer(name, depth) is not whole.layer(name, depth)
    values = inputs(from_end)
    assert all(torch.equal(twin(values)[name], fresh(values)[name]) for name in SPECS)
    assert not torch.equal(whole(values)["small"], twin(values)["small"])


def test_a_negative_number_is_one_sentence() -> None:
    with pytest.raises(UserError, match="the number of shared layers is -1; use 0 for none, or null for all"):
        SideBySide(networks(False), -1, False)


def test_grouped_layers_keep_their_own_buffers() -> None:
    class Gain(nn.Module):
        def __init__(self, gain: float) -> None:
            super().__init__()
            self.register_buffer("gain", torch.tensor(gain))

        def forward(self, value: Tensor) -> Tensor:
            return value * self.get_buffer("gain")

    whole = SideBySide({"one": Layered([Gain(1.0)]), "two": Layered([Gain(2.0)])}, 0, False, grouped=True)
    found = whole({name: torch.ones(3) for name in whole.routes})
    assert torch.equal(found["two"], torch.full((3,), 2.0))
