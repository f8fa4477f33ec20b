"""Structures of sharing: each against its formula, and what all of them promise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.mixing import mixes_samples
from lightning_mtgan.networks.sharing import (
    MTAN,
    NDDR,
    PLE,
    Column,
    ConvolutionalFusion,
    CrossStitch,
    FeatureFusion,
    Fusion,
    GatedFusion,
    HardSharing,
    MMoE,
    Separate,
    Sharing,
    Sluice,
    SoftSharing,
    WeightedFusion,
)

NAMES = ("a", "b", "c")
CHANNELS = (4, 6, 8)
Kind = Callable[[Callable[[], Column], Sequence[str]], Sharing]
KINDS: dict[str, Kind] = {
    "hard": HardSharing,
    "soft": SoftSharing,
    "separate": Separate,
    "cross-stitch": CrossStitch,
    "sluice": Sluice,
    "nddr": NDDR,
    "mtan": MTAN,
    "mmoe": MMoE,
    "ple": partial(PLE, num_own=2, num_shared=2),
    "weighted": partial(FeatureFusion, fusion=WeightedFusion),
    "gated": partial(FeatureFusion, fusion=GatedFusion),
    "convolutional": partial(FeatureFusion, fusion=ConvolutionalFusion),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def column() -> Column:
    widths = zip((3, *CHANNELS), CHANNELS, (1, 2, 2), strict=False)
    stages = [nn.Sequential(nn.Conv2d(a, b, 3, s, padding=1), nn.SiLU()) for a, b, s in widths]
    return Column(3, stages, CHANNELS)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(kind: Kind, names: Sequence[str] = NAMES) -> Any:
    torch.manual_seed(0)
    return kind(column, names)


def shifts(network: nn.Module, size: float) -> list[Tensor]:
    """Random numbers of each parameter's shape, in proportion to how far it learns in a step."""
    sizes = [size / 128 if name.endswith("scaled") else size for name, _ in network.named_parameters()]
    shapes = [one.shape for one in network.parameters()]
    return [one * random(*shape, seed=index) for index, (one, shape) in enumerate(zip(sizes, shapes, strict=True))]


def shift(network: nn.Module, size: float) -> None:
    for one, change in zip(network.parameters(), shifts(network, abs(size)), strict=True):
        one.data += change if size > 0 else -change


def trained(kind: Kind, names: Sequence[str] = NAMES) -> Any:
    """With all parameters and running averages moved, as training does, so that none is zero."""
    network = made(kind, names).double()
    shift(network, 0.3)
    for index, one in enumerate(network.buffers()):
        one.copy_(random(*one.shape, seed=index).abs() + 0.1)
    return network


def images(count: int = 3) -> Tensor:
    return random(count, 3, 9, 7, seed=99).tanh()


def loss(maps: dict[str, Tensor]) -> Tensor:
    terms = [(one * random(*one.shape, seed=index).to(one.dtype)).sum() for index, one in enumerate(maps.values())]
    return torch.stack(terms).sum()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


# What all promise


@each_kind
@pytest.mark.parametrize("names", [NAMES, NAMES[:1]], ids=["three", "one"])
def test_each_branch_has_a_map_of_its_column_s_shape(kind: Kind, names: Sequence[str]) -> None:
    maps = made(kind, names)(images().float())
    assert list(maps) == list(names)
    assert all(one.shape == (3, 8, 3, 2) and one.isfinite().all() for one in maps.values())


@each_kind
def test_copies_do_the_same_and_stand_alone(kind: Kind) -> None:
    network = trained(kind)
    twin = copy.deepcopy(network)
    before = network(images())
    found = twin(images())
    assert all(torch.equal(found[name], before[name]) for name in NAMES)
    mine = {one.data_ptr() for one in network.parameters()}
    assert not mine & {one.data_ptr() for one in twin.parameters()}
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(network(images())["b"], before["b"])


@each_kind
def test_all_parameters_learn_from_the_first_step(kind: Kind) -> None:
    network = made(kind).double()
    loss(network(images())).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@each_kind
def test_a_gradient_penalty_has_the_numeric_gradient(kind: Kind) -> None:
    network = trained(kind)
    parameters = list(network.parameters())

    def penalty() -> Tensor:
        image = images().requires_grad_()
        (slope,) = torch.autograd.grad(loss(network(image)), image, create_graph=True)
        return slope.square().sum()

    slopes = torch.autograd.grad(penalty(), parameters, allow_unused=True)
    step = 1e-6
    pairs = zip(slopes, shifts(network, step), strict=True)
    expected = torch.stack([(slope * change).sum() for slope, change in pairs if slope is not None]).sum()
    shift(network, step)
    above = penalty().detach()
    shift(network, -2 * step)
    assert expected != 0
    torch.testing.assert_close((above - penalty().detach()) / 2, expected, rtol=1e-5, atol=0.0)


@each_kind
def test_images_are_independent(kind: Kind) -> None:
    network = trained(kind)
    assert mixes_samples(network) == isinstance(network, NDDR)
    network.eval()
    whole, order = network(images()), torch.tensor([2, 0, 1])
    permuted, alone = network(images()[order]), network(images()[1:2])
    for name in NAMES:
        close(permuted[name], whole[name][order])
        close(alone[name], whole[name][1:2])


@each_kind
def test_half_precision_is_only_less_precise(kind: Kind) -> None:
    network = trained(kind).float()
    expected = network(images().float())
    with torch.autocast("cpu", torch.bfloat16):
        found, penalties = network(images().float()), network.penalties()
    for name in NAMES:
        assert (found[name].float() - expected[name]).norm() < 0.05 * expected[name].norm()
    for name, penalty in network.penalties().items():
        torch.testing.assert_close(penalties[name], penalty)


@each_kind
def test_branches_are_named_once(kind: Kind) -> None:
    for names in ((), ("a", "b", "a")):
        with pytest.raises(UserError, match="name at least one, each once"):
            kind(column, names)


# Who shares what


def test_separate_columns_learn_from_their_own_branch_alone() -> None:
    network = made(Separate)
    network(images().float())["b"].sum().backward()
    for index, stages in enumerate(network.columns):
        assert all((one.grad is not None) == (index == 1) for one in stages.parameters())


def test_hard_sharing_is_one_column() -> None:
    network = made(HardSharing)
    torch.manual_seed(0)
    alone = nn.Sequential(*column().stages)
    assert sum(one.numel() for one in network.parameters()) == sum(one.numel() for one in alone.parameters())
    maps = network(images().float())
    assert all(torch.equal(one, alone(images().float())) for one in maps.values())


def test_soft_sharing_begins_with_equal_columns_of_their_own() -> None:
    network = made(SoftSharing)
    first, *others = (list(one.parameters()) for one in network.columns)
    for other in others:
        assert all(torch.equal(a, b) and a is not b for a, b in zip(first, other, strict=True))
    assert network.penalties()["soft_sharing"] == 0


def test_soft_sharing_pulls_to_the_mean() -> None:
    network = trained(SoftSharing)
    rows = [torch.cat([one.flatten() for one in c.parameters()]).tolist() for c in network.columns]
    expected = 0.0
    for values in zip(*rows, strict=True):
        expected += sum((value - sum(values) / 3) ** 2 for value in values)
    penalty = network.penalties()["soft_sharing"]
    assert penalty.item() == pytest.approx(expected)
    penalty.backward()
    for stages in network.columns:
        assert all(one.grad is not None and one.grad.any() for one in stages.parameters())


@pytest.mark.parametrize("kind", [kind for name, kind in KINDS.items() if name not in ("soft", "sluice")])
def test_other_structures_ask_nothing_of_their_parameters(kind: Kind) -> None:
    assert made(kind).penalties() == {}


@pytest.mark.parametrize(
    "kind",
    [partial(CrossStitch, own=1.0), partial(Sluice, own=1.0), partial(FeatureFusion, fusion=GatedFusion)],
    ids=["cross-stitch", "sluice", "gated"],
)
def test_without_mixing_columns_are_separate_bit_by_bit(kind: Kind) -> None:
    network, separate = made(kind), made(Separate)
    network.columns.load_state_dict(separate.columns.state_dict())
    found, expected = network(images().float()), separate(images().float())
    assert all(torch.equal(found[name], expected[name]) for name in NAMES)
    loss(found).backward()
    loss(expected).backward()
    pairs = zip(network.columns.parameters(), separate.parameters(), strict=True)
    assert all(torch.equal(one.grad, other.grad) for one, other in pairs)


@pytest.mark.parametrize(
    "kind",
    [partial(NDDR, own=1.0), partial(FeatureFusion, fusion=partial(ConvolutionalFusion, own=1.0))],
    ids=["nddr", "convolutional"],
)
def test_convolutions_that_mix_nothing_leave_columns_separate(kind: Kind) -> None:
    network, separate = made(kind).eval(), made(Separate)
    network.columns.load_state_dict(separate.columns.state_dict())
    found, expected = network(images().float()), separate(images().float())
    for name in NAMES:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind",
    [CrossStitch, partial(Sluice, own=1.0, num_subspaces=1), KINDS["weighted"], KINDS["gated"], KINDS["convolutional"]],
    ids=["cross-stitch", "sluice", "weighted", "gated", "convolutional"],
)
def test_one_branch_has_nothing_to_mix_with(kind: Kind) -> None:
    network, separate = made(kind, NAMES[:1]), made(Separate, NAMES[:1])
    torch.testing.assert_close(network(images().float())["a"], separate(images().float())["a"])


@pytest.mark.parametrize(
    ("kind", "names"),
    [(CrossStitch, {"alpha"}), (Sluice, {"alpha", "beta"}), (KINDS["weighted"], {"logits"})],
    ids=["cross-stitch", "sluice", "weighted"],
)
def test_mixing_coefficients_learn_faster_by_their_rate(kind: Kind, names: set[str]) -> None:
    network = made(kind)
    parts = {key: part for key, part in network.named_modules() if key.split(".")[-1] in names}
    assert {key.split(".")[-1] for key in parts} == names
    before = {key: part() for key, part in parts.items()}
    bias = next(one for key, one in network.named_parameters() if key.endswith("bias"))
    plain = bias.detach().clone()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-30)
    loss(network(images().float())).backward()
    optimizer.step()
    torch.testing.assert_close((bias - plain).abs(), torch.full_like(bias, 1e-4), rtol=1e-2, atol=0.0)
    for key, part in parts.items():
        moved = (part() - before[key]).abs()
        torch.testing.assert_close(moved, torch.full_like(moved, 1.28e-2), rtol=1e-3, atol=0.0)


# Formulas


def slowly_pooled(maps: Tensor, height: int, width: int) -> Tensor:
    """Means over cells, which overlap where sizes do not divide."""
    rows = [(i * maps.shape[2] // height, -(-(i + 1) * maps.shape[2] // height)) for i in range(height)]
    columns = [(j * maps.shape[3] // width, -(-(j + 1) * maps.shape[3] // width)) for j in range(width)]
    cells = [[maps[:, :, a:b, c:d].mean((2, 3)) for c, d in columns] for a, b in rows]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def slowly_pointwise(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """A convolution of one by one, pixel by pixel."""
    result = maps.new_empty(len(maps), layer.out_channels, *maps.shape[2:])
    for i in range(maps.shape[2]):
        for j in range(maps.shape[3]):
            result[:, :, i, j] = maps[:, :, i, j] @ layer.weight[:, :, 0, 0].T
            if layer.bias is not None:
                result[:, :, i, j] += layer.bias
    return result


def run(network: Any, stage: int, maps: Sequence[Tensor]) -> list[Tensor]:
    """The stage of each column."""
    return [network.columns[i][stage](one) for i, one in enumerate(maps)]


def alphas(network: Any, stage: int) -> list[list[float]]:
    return (network.stitches[stage].alpha.scaled * 128).tolist()


def test_cross_stitch_is_its_formula() -> None:
    network = trained(CrossStitch)
    maps = [images()] * 3
    for stage in range(3):
        alpha, fresh = alphas(network, stage), run(network, stage, maps)
        maps = [alpha[i][0] * fresh[0] + alpha[i][1] * fresh[1] + alpha[i][2] * fresh[2] for i in range(3)]
    found = network(images())
    assert list(found) == list(NAMES)
    for one, expected in zip(found.values(), maps, strict=True):
        close(one, expected)


def test_mixings_begin_with_the_own_map() -> None:
    for stage in range(3):
        assert alphas(made(CrossStitch), stage) == torch.full((3, 3), 0.05).fill_diagonal_(0.9).tolist()
        assert alphas(made(Sluice), stage) == torch.full((6, 6), 0.02).fill_diagonal_(0.9).tolist()
    beta = made(Sluice).beta()
    assert torch.equal(beta, torch.tensor([[0.05, 0.05, 0.9]] * 3))
    fusion = WeightedFusion(3, 4)
    torch.testing.assert_close(fusion.logits().softmax(0), torch.tensor([0.9, 0.05, 0.05]))


def test_sluice_mixes_subspaces_and_depths() -> None:
    network = trained(Sluice)
    maps, by_stage = [images()] * 3, []
    for stage, width in enumerate(CHANNELS):
        alpha, fresh, half = alphas(network, stage), run(network, stage, maps), width // 2
        maps = [torch.zeros_like(one) for one in fresh]
        for i in range(3):
            for channel in range(width):
                part, place = divmod(channel, half)
                for j in range(3):
                    for other in range(2):
                        weight = alpha[2 * i + part][2 * j + other]
                        maps[i][:, channel] += weight * fresh[j][:, other * half + place]
        by_stage.append(maps)
    beta = (network.beta.scaled * 128).tolist()
    found = network(images())
    for i, name in enumerate(NAMES):
        expected = beta[i][2] * by_stage[2][i]
        for stage in range(2):
            layer = network.widen[i][stage]
            expected = expected + beta[i][stage] * slowly_pooled(slowly_pointwise(layer, by_stage[stage][i]), 3, 2)
        close(found[name], expected)


@pytest.mark.parametrize("num_subspaces", [1, 2])
def test_sluice_asks_for_orthogonal_subspaces(num_subspaces: int) -> None:
    network = trained(partial(Sluice, num_subspaces=num_subspaces))
    if num_subspaces == 1:
        assert network.penalties() == {}
        return
    expected = 0.0
    for i in range(3):
        for stage, width in enumerate(CHANNELS):
            rows = network.columns[i][stage][0].weight.flatten(1)
            for c in range(width // 2):
                for d in range(width // 2, width):
                    expected += sum(x * y for x, y in zip(rows[c].tolist(), rows[d].tolist(), strict=True)) ** 2
    assert list(network.penalties()) == ["orthogonality"]
    assert network.penalties()["orthogonality"].item() == pytest.approx(expected)


def test_sluice_of_three_subspaces_asks_it_of_each_pair() -> None:
    layer = nn.Conv2d(2, 6, 1)
    network = Sluice(lambda: Column(2, [layer], [6]), ["a"], num_subspaces=3)
    groups = layer.weight.flatten(1).split(2)
    expected = sum(((a @ b.T) ** 2).sum() for a, b in combinations(groups, 2))
    torch.testing.assert_close(network.penalties()["orthogonality"], expected)


@pytest.mark.parametrize("training", [False, True])
def test_nddr_is_its_formula(training: bool) -> None:
    network = trained(NDDR).train(training)
    maps = [images()] * 3
    for stage in range(3):
        fresh, maps = run(network, stage, maps), []
        for i in range(3):
            layer = network.fusions[stage][i]
            reduced = slowly_pointwise(layer.reduce, torch.cat([fresh[i], *fresh[:i], *fresh[i + 1 :]], 1))
            mean, variance = layer.normalize.running_mean, layer.normalize.running_var
            if training:
                variance, mean = torch.var_mean(reduced, (0, 2, 3), correction=0)
            for channel in range(reduced.shape[1]):
                unit = (reduced[:, channel] - mean[channel]) / (variance[channel] + 1e-5).sqrt()
                reduced[:, channel] = unit * layer.normalize.weight[channel] + layer.normalize.bias[channel]
            maps.append(reduced)
    twin = copy.deepcopy(network)
    for one, expected in zip(twin(images()).values(), maps, strict=True):
        close(one, expected.detach())


def test_nddr_s_convolutions_begin_with_the_own_map() -> None:
    eye = torch.eye(6)
    for layer in made(NDDR).fusions[1]:
        assert layer.reduce.bias is None
        weight = layer.reduce.weight[:, :, 0, 0]
        assert torch.equal(weight, torch.cat([0.9 * eye, *[torch.tensor(0.05) * eye] * 2], 1))


def test_mtan_is_its_formula() -> None:
    network = trained(MTAN)
    shared, own = images(), dict[str, Tensor]()
    for stage in range(3):
        shared = network.stages[stage](shared)
        for i, name in enumerate(NAMES):
            seen = shared
            if stage > 0:
                f = network.hand_on[stage - 1]
                handed = leaky_relu(conv2d(own[name], f.weight, f.bias, padding=1), 0.2)
                seen = torch.cat([shared, slowly_pooled(handed, *shared.shape[2:])], 1)
            mask = network.masks[stage][i]
            hidden = leaky_relu(slowly_pointwise(mask.look, seen), 0.2)
            own[name] = shared / (1 + (-slowly_pointwise(mask.decide, hidden)).exp())
    found = network(images())
    for name in NAMES:
        close(found[name], own[name])


def slow_gate(gate: Any, seen: Tensor) -> Tensor:
    """Softmax of a linear function of 4 x 4 means, (N, E)."""
    layer = gate.weigh
    powers = (slowly_pooled(seen, 4, 4).flatten(1) @ layer.weight.T + layer.bias).exp()
    return powers / powers.sum(1, keepdim=True)


def slowly_gated(gate: Any, seen: Tensor, maps: Sequence[Tensor]) -> Tensor:
    weights, result = slow_gate(gate, seen), torch.zeros_like(maps[0])
    for n in range(len(seen)):
        for e, one in enumerate(maps):
            result[n] += weights[n, e] * one[n]
    return result


def test_mmoe_is_its_formula() -> None:
    network = trained(MMoE)
    maps, found = [expert(images()) for expert in network.experts], network(images())
    for gate, name in zip(network.gates, NAMES, strict=True):
        assert slow_gate(gate, images()).std(0).min() > 1e-3  # images are weighed differently
        close(found[name], slowly_gated(gate, images(), maps))


def test_ple_is_its_formula() -> None:
    network = trained(KINDS["ple"])
    own, shared, experts = dict.fromkeys(NAMES, images()), images(), network.experts
    for stage in range(3):
        fresh = {name: [experts[2 * i + k][stage](own[name]) for k in (0, 1)] for i, name in enumerate(NAMES)}
        common = [experts[k][stage](shared) for k in (6, 7)]
        for gate, name in zip(network.gates[stage], NAMES, strict=True):
            own[name] = slowly_gated(gate, own[name], fresh[name] + common)
        if stage < 2:
            every = [one for name in NAMES for one in fresh[name]] + common
            shared = slowly_gated(network.shared_gates[stage], shared, every)
    found = network(images())
    for name in NAMES:
        close(found[name], own[name])


def test_gates_begin_with_equal_weights() -> None:
    network = made(MMoE)
    maps = [expert(images().float()) for expert in network.experts]
    torch.testing.assert_close(network(images().float())["c"], torch.stack(maps).mean(0))


def test_fusions_are_their_formulas() -> None:
    maps = [random(2, 4, 3, 5, seed=index) for index in range(3)]
    kinds: tuple[Any, ...] = (WeightedFusion, GatedFusion, ConvolutionalFusion)
    weighted, gated, convolutional = (kind(3, 4).double() for kind in kinds)
    weighted.logits.scaled.data = random(3) / 128
    powers = [value.exp() for value in random(3)]
    close(weighted(maps), sum(p * one for p, one in zip(powers, maps, strict=True)) / sum(powers))
    gated.gate.weight.data, gated.gate.bias.data = random(4, 8, 1, 1), random(4)
    held_back = 1 + (-slowly_pointwise(gated.gate, torch.cat(maps[1:], 1))).exp()
    close(gated(maps), 2 * maps[0] / held_back)
    convolutional.reduce.weight.data, convolutional.reduce.bias.data = random(4, 12, 1, 1), random(4)
    close(convolutional(maps), slowly_pointwise(convolutional.reduce, torch.cat(maps, 1)))


class First(Fusion):
    """The own map, then a tenth of the next, so that the order of the inputs shows."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        assert len(maps) == self.num_inputs and maps[0].shape[1] == self.num_channels
        return maps[0] + maps[1] / 10 + maps[2] / 100


def test_feature_fusion_gives_each_branch_its_own_map_first() -> None:
    network = made(partial(FeatureFusion, fusion=First)).double()
    maps = [images()] * 3
    for stage in range(3):
        a, b, c = run(network, stage, maps)
        maps = [a + b / 10 + c / 100, b + a / 10 + c / 100, c + a / 10 + b / 100]
    for one, expected in zip(network(images()).values(), maps, strict=True):
        close(one, expected)


# Errors


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (partial(CrossStitch, own=1.5), "CrossStitch.own is 1.5; use a share from 0 to 1"),
        (partial(CrossStitch, rate=0.0), "rate is 0.0; mixing coefficients need more than 0"),
        (partial(Sluice, own=-0.1), "Sluice.own is -0.1; use a share from 0 to 1"),
        (partial(Sluice, num_subspaces=0), "Sluice.num_subspaces is 0; use a number that divides"),
        (partial(Sluice, num_subspaces=4), "Sluice.num_subspaces is 4; .* which are 4, 6, 8"),
        (partial(NDDR, own=2), "NDDR.own is 2; use a share from 0 to 1"),
        (partial(MMoE, num_experts=0), "MMoE.num_experts is 0; use 1 or more"),
        (partial(PLE, num_own=0), "PLE.num_own is 0; use 1 or more"),
        (partial(PLE, num_shared=-1), "PLE.num_shared is -1; use 1 or more"),
        (partial(FeatureFusion, fusion=partial(WeightedFusion, own=1.0)), "WeightedFusion.own is 1.0; use a share bet"),
        (partial(FeatureFusion, fusion=partial(ConvolutionalFusion, own=7)), "ConvolutionalFusion.own is 7; use a"),
    ],
)
def test_arguments_out_of_range_are_one_sentence(kind: Kind, message: str) -> None:
    with pytest.raises(UserError, match=message):
        made(kind)
