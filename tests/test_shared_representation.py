"""Generators around one representation: who moves it, what it is a function of, and how it draws."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import SharedRepresentationGame
from lightning_mtgan.losses import Hinge, NonSaturating, RelativisticPairing
from lightning_mtgan.networks import LayeredGenerator, LayeredTrunk
from lightning_mtgan.regularizers import R1, R2, LatentSpread
from lightning_mtgan.representations import (
    LearnedRepresentation,
    MeanRepresentation,
    Representation,
    SoftSharing,
    consensus,
    spread,
)
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec, Terms, part_of
from tests.test_coupled import (
    ALIKE,
    CONDITIONAL,
    LABELLED,
    MIXED,
    TASKS,
    apart,
    at,
    batch,
    images,
    options,
    same,
    spec_of,
    tensors,
)

DEPTH = 2
COLOURS = {"a": DataSpec(8, 1), "b": DataSpec(8, 3), "c": DataSpec(8, 1)}
SIZES = {"a": DataSpec(8, 1), "b": DataSpec(16, 1)}
PAIR = {name: ALIKE[name] for name in "ab"}
LABELLED_PAIR = {name: LABELLED[name] for name in "ab"}
KINDS = {"learned": LearnedRepresentation, "mean": MeanRepresentation}
both = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def shared(domains: Mapping[str, DataSpec] = ALIKE, seed: int = 0, **changes: Any) -> SharedRepresentationGame:
    parts: dict[str, Any] = {
        "spec": spec_of(domains),
        "generator": lambda spec, dim: LayeredGenerator(spec, dim, latent_dim=5, width=8, least_width=4),
        "trunk": lambda spec: LayeredTrunk(spec, width=8, least_width=4, num_features=6),
        "adversarial": NonSaturating(),
        "depth": DEPTH,
    }
    torch.manual_seed(seed)
    return SharedRepresentationGame(**{**parts, **changes})


def terms_of(game: Any, phase_name: str, given: Batch) -> Terms:
    return next(phase for phase in game.phases() if phase.name == phase_name).losses(at(given, phase_name))


def play(game: Any, phase_name: str, given: Batch, weights: Mapping[str, float] | None = None) -> dict[str, Tensor]:
    """One phase, as the module plays it; its losses."""
    (mover,) = {phase.player for phase in game.phases() if phase.name == phase_name}
    for name, player in game.players.items():
        player.requires_grad_(name == mover)
    game.zero_grad()
    terms = terms_of(game, phase_name, given)
    present = {name: weight for name, weight in (weights or {}).items() if name in terms.losses}
    WeightedSum(present).backward(terms, list(game.players[mover].parameters()))  # type: ignore[arg-type]
    return {name: loss.detach() for name, loss in terms.losses.items()}


def train(game: Any, steps: int = 3, weights: Mapping[str, float] | None = None) -> list[dict[str, Tensor]]:
    """Steps of all players by Adam, in which the embedding stands still; the losses of each phase."""
    fixed = {id(p) for p in (game.arena.embedding.parameters() if game.arena.embedding is not None else ())}
    optimizers = {
        name: torch.optim.Adam([p for p in player.parameters() if id(p) not in fixed], lr=0.01)
        for name, player in game.players.items()
    }
    losses = []
    for step in range(steps):
        for phase in game.phases():
            if step % phase.every == 0:
                losses.append(play(game, phase.name, batch(game, step), weights))
                optimizers[phase.player].step()
    return losses


def latents(count: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)).to(dtype)


def first_layers(game: SharedRepresentationGame, domain: str, value: Tensor) -> Tensor:
    for depth in range(game.depth):
        value = game.generators.layer(domain, depth)(value)
    return value


def last_layers(game: SharedRepresentationGame, domain: str, value: Tensor) -> Tensor:
    for depth in range(game.depth, len(game.generators.routes[domain])):
        value = game.generators.layer(domain, depth)(value)
    return value


def naive_representation(game: SharedRepresentationGame, given: Tensor) -> Tensor:
    """One image after the other, one generator after the other."""
    rows = []
    for row in given.split(1):
        if isinstance(game.representation, MeanRepresentation):
            weights = game.representation.weights
            total = sum(weights[name] * first_layers(game, name, row) for name in game.domains)
            rows.append(total / sum(weights.values()))
        else:
            assert isinstance(game.representation, LearnedRepresentation)
            value = row
            for layer in game.representation.network.layers:
                value = layer(value)
            rows.append(value)
    return torch.cat(rows)


def naive_consensus(one: Tensor, other: Tensor) -> float:
    total = 0.0
    for pair in zip(one.detach(), other.detach(), strict=True):
        a, b = ((x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() for x in pair)
        total += float(sum((a - b).flatten() ** 2)) / a.numel()
    return total / len(one)


def naive_soft_sharing(groups: list[dict[str, Tensor]], weights: Mapping[str, float]) -> float:
    """Groups of parameters, by domain."""
    total = 0.0
    for group in groups:
        center = sum(weights[name] * one.detach() for name, one in group.items()) / sum(weights.values())
        total += sum(weights[name] * float(((one.detach() - center) ** 2).sum()) for name, one in group.items())
    return total


def jiggle(module: nn.Module, seed: int = 1, size: float = 0.3) -> None:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw).to(parameter), alpha=size)


def of(game: SharedRepresentationGame, player: str) -> list[nn.Parameter]:
    return list(game.players[player].parameters())


def slopes_exist(loss: Tensor, parameters: list[nn.Parameter]) -> bool:
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return any(one is not None and bool(one.any()) for one in found)


def slope_and_difference(
    parameters: list[nn.Parameter], loss: Callable[[], Tensor], step: float = 1e-6
) -> tuple[float, float]:
    """How a loss changes along one direction, by its gradient and by its values on both sides."""
    draw = torch.Generator().manual_seed(2)
    way = [torch.randn(p.shape, generator=draw, dtype=p.dtype) for p in parameters]
    found = torch.autograd.grad(loss(), parameters, allow_unused=True)
    slope = sum(float((g * d).sum()) for g, d in zip(found, way, strict=True) if g is not None)
    ends = []
    for length in (step, -2 * step):
        with torch.no_grad():
            for parameter, direction in zip(parameters, way, strict=True):
                parameter.add_(direction, alpha=length)
        ends.append(loss().item())
    return slope, (ends[0] - ends[1]) / (2 * step)


# Who moves

VARIANTS: dict[str, Callable[[], SharedRepresentationGame]] = {
    "learned": shared,
    "mean": partial(shared, representation=MeanRepresentation),
    "none": partial(shared, representation=None),
    "a centre alone": partial(shared, reads_representation=False),
    "a mean as a centre": partial(shared, representation=MeanRepresentation, reads_representation=False),
    "soft sharing alone": partial(shared, COLOURS, representation=None, soft_sharing=SoftSharing()),
    "all at once, mixed": partial(shared, MIXED, soft_sharing=SoftSharing({"a": 2.0}), shared_discriminator_layers=2),
    "grouped": partial(shared, grouped=True),
    "lazy": partial(shared, regularizers=[R1(every=4), R2(), LatentSpread(every=3)], representation_every=2),
    "conditional": partial(shared, LABELLED, **CONDITIONAL),
    "conditional, mean": partial(shared, TASKS, representation=MeanRepresentation, **CONDITIONAL),
    "relativistic": partial(shared, adversarial=RelativisticPairing()),
}


@pytest.fixture(params=VARIANTS, name="game")
def _game(request: pytest.FixtureRequest) -> SharedRepresentationGame:
    return VARIANTS[request.param]()


def test_the_representation_moves_last_and_only_if_it_is_learned() -> None:
    regularizers = [R1(every=4), LatentSpread(every=3)]
    before = [("discriminator", 1), ("r1", 4), ("generator", 1), ("latent_spread", 3)]
    for representation in (LearnedRepresentation, MeanRepresentation, None):
        game = shared(representation=representation, regularizers=regularizers, representation_every=6)
        is_learned = representation is LearnedRepresentation
        last = [("representation", 6)] if is_learned else []
        assert [(phase.name, phase.every) for phase in game.phases()] == before + last
        assert list(game.players) == ["discriminator", "generator", *(["representation"] if is_learned else [])]
        assert not is_learned or not game.phases()[-1].is_lazy
        game.check()


def test_each_phase_changes_its_player_and_no_other(game: SharedRepresentationGame) -> None:
    game.check()
    for phase in game.phases():
        old = {name: p.detach().clone() for name, p in game.named_parameters()}
        losses = play(game, phase.name, batch(game))
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        owned = {id(p) for p in of(game, phase.player)}
        assert all((p.grad is None) or id(p) in owned for p in game.parameters())
        torch.optim.SGD(of(game, phase.player), lr=0.1).step()
        moved = {name for name, p in game.named_parameters() if not torch.equal(p, old[name])}
        assert moved and all(name.startswith(f"players.{phase.player}.") for name in moved)
        if phase.player == "representation":
            assert all(p.grad is not None and p.grad.any() for p in of(game, "representation"))
        else:  # each domain has learned
            for name in game.domains:
                assert any(p.grad is not None and p.grad.any() for p in tensors(game, name).values())


def test_turns_reach_no_farther_than_they_should() -> None:
    for game in (shared(regularizers=[R1(every=2)]), shared(reads_representation=False)):
        for phase in game.phases():
            loss = torch.stack([*terms_of(game, phase.name, batch(game)).losses.values()]).sum()
            reached = {name for name in game.players if slopes_exist(loss, of(game, name))}
            assert phase.player in reached
            if phase.player == "discriminator":
                assert reached == {"discriminator"}
            elif not game.reads:
                assert ("representation" in reached) == ("generator" not in reached) == (phase.name == "representation")


# Each domain alone

CENTRE = {"reads_representation": False}
ALONE: dict[str, dict[str, Any]] = {
    "none": {"representation": None},
    "none, mixed, any depth": {"domains": SIZES, "representation": None, "depth": 99},
    "none, conditional, lazy R1": {
        "domains": LABELLED_PAIR,
        "representation": None,
        "regularizers": [R1(every=2), LatentSpread()],
        **CONDITIONAL,
    },
    "learned, unread": {"domains": SIZES, **CENTRE, "regularizers": [R2(), LatentSpread(every=2)]},
    "mean, unread": {"domains": LABELLED_PAIR, **CENTRE, "representation": MeanRepresentation, **CONDITIONAL},
}


@pytest.mark.parametrize("name", ALONE)
def test_without_a_draw_each_domain_is_alone_bit_for_bit(name: str) -> None:
    changes = copy.deepcopy(ALONE[name])
    domains = changes.pop("domains", PAIR)
    weightless = {f"consensus_{domain}": 0.0 for domain in domains}
    whole = shared(domains, **copy.deepcopy(changes))
    before = {domain: {key: p.detach().clone() for key, p in tensors(whole, domain).items()} for domain in domains}
    together = [turn for turn in train(whole, weights=weightless) if any("consensus" not in key for key in turn)]
    others = {key: value for key, value in changes.items() if key in ("regularizers", *CONDITIONAL)}
    for domain, spec in domains.items():
        coupled = apart({domain: spec}, **copy.deepcopy(others))
        alone = [shared({domain: spec}, **copy.deepcopy({**changes, "representation": None}))] if domain == "b" else []
        for single in (coupled, *alone):
            assert same(tensors(single, domain), before[domain])
            for turn, every in zip(train(single), together, strict=True):
                own = {key: loss for key, loss in every.items() if key.endswith(f"_{domain}")}
                assert same(turn, {key: loss for key, loss in own.items() if "consensus" not in key})
            assert same(tensors(single, domain), tensors(whole, domain))
        assert not same(tensors(coupled, domain), before[domain])


def test_the_order_of_domains_does_not_matter() -> None:
    one, other = shared(MIXED), shared(dict(reversed(MIXED.items())))
    assert one.domains == other.domains[::-1]
    assert all(torch.equal(*pair) for pair in zip(of(one, "representation"), of(other, "representation"), strict=True))
    for domain in MIXED:
        assert same(tensors(one, domain), tensors(other, domain))
    for phase in one.phases():
        losses, others = (terms_of(game, phase.name, batch(game)).losses for game in (one, other))
        assert all(losses[key].item() == pytest.approx(others[key].item(), rel=1e-6) for key in losses)


def test_initial_weights_follow_the_seed_and_leave_its_state_alone() -> None:
    one, again, other = shared(), shared({"a": ALIKE["a"]}), shared(seed=1)
    begin = [[p.clone() for p in of(game, "representation")] for game in (one, again, other)]
    assert all(torch.equal(*pair) for pair in zip(begin[0], begin[1], strict=True))
    assert not torch.equal(begin[0][0], begin[2][0])
    assert not any(torch.equal(begin[0][0], one.generators.layer(name, 0).lift.weight) for name in ALIKE)  # type: ignore[union-attr]
    torch.manual_seed(5)
    expected = torch.rand(3)
    shared(seed=5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize(
    "changes",
    [{}, {"representation": MeanRepresentation, "soft_sharing": SoftSharing()}],
    ids=["learned", "mean, soft"],
)
def test_grouped_games_agree(dtype: torch.dtype, tolerance: float, changes: dict[str, Any]) -> None:
    found = []
    for grouped in (False, True):
        domains = LABELLED_PAIR | {"d": MIXED["d"]}
        game = shared(domains, grouped=grouped, regularizers=[R1(), R2(every=2)], **CONDITIONAL, **changes).to(dtype)
        jiggle(game.players["generator"], size=0.1)
        results = []
        for phase in game.phases():
            results.append(play(game, phase.name, batch(game, dtype=dtype)))
            results.append({name: p.grad for name, p in game.named_parameters() if p.grad is not None})
        found.append([*results, images(game)])
    for one, other in zip(*found, strict=True):
        assert one.keys() == other.keys() and one
        for key in one:
            assert one[key].dtype == dtype
            assert (one[key] - other[key]).norm() <= tolerance * one[key].norm().clamp(min=1e-2), key


# What is read


@both
@pytest.mark.parametrize("domains", [ALIKE, MIXED], ids=["alike", "mixed"])
def test_generators_go_on_with_their_features_and_the_representation(
    kind: type[Representation], domains: Mapping[str, DataSpec]
) -> None:
    for reads in (True, False):
        game = shared(domains, representation=kind, reads_representation=reads)
        given = latents()
        with torch.no_grad():
            made, features, representations = game.images(dict.fromkeys(domains, given))
            center = naive_representation(game, given)
            for name in domains:
                own = first_layers(game, name, given)
                joined = (own + center) / 2**0.5 if reads else own
                torch.testing.assert_close(representations[name], center, rtol=1e-4, atol=1e-6)
                torch.testing.assert_close(features[name], own, rtol=1e-4, atol=1e-6)
                torch.testing.assert_close(made[name], last_layers(game, name, joined), rtol=1e-4, atol=1e-6)
                torch.testing.assert_close(game.render(name, given), made[name], rtol=1e-4, atol=1e-6)


@both
@pytest.mark.parametrize("reads", [True, False])
def test_images_show_which_representation_they_were_given(kind: type[Representation], reads: bool) -> None:
    game = shared(MIXED, representation=kind, reads_representation=reads)
    assert game.representation is not None
    before = images(game, count=4)
    game.representation.register_forward_hook(lambda module, given, result: result.flip(0))
    for name, made in images(game, count=4).items():
        for row, old in zip(made, before[name], strict=True):
            assert torch.equal(row, old) != reads


def test_the_representation_is_made_once_for_all_who_are_given_the_same() -> None:
    for sizes, number in ((None, 1), ({"b": 6}, 2)):
        for kind in KINDS.values():
            game, calls = shared(representation=kind), []
            assert game.representation is not None
            game.representation.register_forward_hook(lambda *call, calls=calls: calls.append(call))
            game.generators.layer("a", 0).register_forward_hook(lambda *call, calls=calls: calls.append("a"))
            terms_of(game, "generator", batch(game, sizes=sizes))
            assert calls.count("a") == (number if kind is MeanRepresentation else 1)
            assert len(calls) - calls.count("a") == number


def test_the_representation_learns_from_all_generators_that_read_it() -> None:
    reading, centre = shared(), shared(reads_representation=False)
    drawn, told = ({f"{what}_{name}" for name in ALIKE} for what in ("consensus", "adversarial"))
    assert set(play(centre, "representation", batch(centre))) == drawn
    assert set(play(reading, "representation", batch(reading))) == drawn | told
    terms = terms_of(reading, "representation", batch(reading))
    assert terms.penalties == drawn and terms_of(reading, "generator", batch(reading)).penalties == drawn


@pytest.mark.parametrize("player", ["generator", "representation"])
def test_turns_follow_the_slopes_of_their_losses(player: str) -> None:
    game = shared().double()
    given = batch(game, dtype=torch.float64)
    slope, expected = slope_and_difference(
        of(game, player), lambda: torch.stack([*terms_of(game, player, given).losses.values()]).sum()
    )
    assert slope == pytest.approx(expected, rel=1e-4)


# Consensus


def test_consensus_is_the_distance_of_normalised_features() -> None:
    one, other = (torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(i)) * (i + 1) + i for i in range(2))
    assert consensus(one, other).item() == pytest.approx(naive_consensus(one, other), rel=1e-4)
    assert consensus(one, -one).item() == pytest.approx(4, rel=1e-3)
    assert consensus(one, one).item() == 0
    for kind in KINDS.values():
        game = shared(MIXED, representation=kind)
        given = batch(game, sizes={"c": 6})
        for phase in [phase for phase in game.phases() if phase.player != "discriminator"]:
            inputs, _ = game.fakes(at(given, phase.name), {})
            losses = terms_of(game, phase.name, given).losses
            for name in MIXED:
                t, s = first_layers(game, name, inputs[name]), naive_representation(game, inputs[name])
                assert losses[f"consensus_{name}"].item() == pytest.approx(naive_consensus(t, s), rel=1e-4)
                assert losses[f"consensus_{name}"] > 0.1


def test_consensus_is_0_where_features_are_the_representation() -> None:
    game = shared()
    assert isinstance(game.representation, LearnedRepresentation)
    for depth, layer in enumerate(game.representation.network.layers):
        game.generators.layer("b", depth).load_state_dict(layer.state_dict())
    for phase, player in (("generator", "generator"), ("representation", "representation")):
        losses = terms_of(game, phase, batch(game)).losses
        assert losses["consensus_b"].item() == 0 and losses["consensus_a"] > 0.1
        assert not slopes_exist(losses["consensus_b"], of(game, player))
    single = shared({"a": ALIKE["a"]}, representation=MeanRepresentation)
    assert terms_of(single, "generator", batch(single)).losses["consensus_a"].item() == 0


@pytest.mark.parametrize("reads", [True, False])
def test_each_side_is_a_constant_in_the_turn_of_the_other(reads: bool) -> None:
    game = shared(reads_representation=reads)
    for phase, other in (("generator", "representation"), ("representation", "generator")):
        losses = terms_of(game, phase, batch(game)).losses
        for name in ALIKE:
            loss = losses[f"consensus_{name}"]
            assert slopes_exist(loss, of(game, phase))
            assert not slopes_exist(loss, of(game, other)) and not slopes_exist(loss, of(game, "discriminator"))
    losses = terms_of(game, "generator", batch(game)).losses
    for name in ALIKE:  # none is drawn by what another one is like, and no layer behind the features
        for owner in ALIKE:
            for key, p in tensors(game, owner).items():
                what, _, depth = key.partition(" ")
                near = owner == name and what == "generator" and int(depth.split()[0]) < DEPTH
                assert slopes_exist(losses[f"consensus_{name}"], [p]) == near, (name, owner, key)  # type: ignore[list-item]


def test_mean_is_a_constant_in_the_turn_of_the_generators() -> None:
    game = shared(representation=MeanRepresentation)
    losses = terms_of(game, "generator", batch(game)).losses
    for loss in (losses["consensus_a"], losses["adversarial_a"]):
        generators = {name: [p for key, p in tensors(game, name).items() if "generator" in key] for name in ALIKE}
        assert slopes_exist(loss, generators["a"])  # type: ignore[arg-type]
        assert not slopes_exist(loss, generators["b"] + generators["c"])  # type: ignore[arg-type]


def test_consensus_knows_neither_scale_nor_shift() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.randn(6, 4, 4, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    scale = torch.rand(6, 1, 1, 1, generator=draw, dtype=torch.float64) * 50 + 0.5
    shift = torch.randn(6, 1, 1, 1, generator=draw, dtype=torch.float64) * 10
    expected = consensus(one, other).item()
    assert consensus(one, other * scale + shift).item() == pytest.approx(expected, rel=1e-4)
    assert consensus(one * scale + shift, other).item() == pytest.approx(expected, rel=1e-4)
    assert consensus(one, -other).item() != pytest.approx(expected, rel=1e-2)
    tilted = other * torch.linspace(0.1, 5, 4)  # another scale in each column
    assert consensus(one, tilted).item() != pytest.approx(expected, rel=1e-2)
    moving = one.requires_grad_()
    (slope,) = torch.autograd.grad(consensus(moving, other), moving)
    assert slope.norm() > 0.01  # no part of it changes the size or the mean
    assert ((slope * one).flatten(1).sum(1).abs() < 1e-3 * slope.norm()).all()
    assert (slope.flatten(1).sum(1).abs() < 1e-9).all()


WEIGHTS = {"a": 2.0, "b": 0.0, "c": 0.5}


@pytest.mark.parametrize("weights", [{}, {"b": 3.0}, WEIGHTS])
def test_the_mean_is_nearest_to_all_features(weights: dict[str, float]) -> None:
    game = shared(representation=partial(MeanRepresentation, weights=weights)).double()
    given = latents(dtype=torch.float64)
    _, features, representations = game.images(dict.fromkeys(ALIKE, given))
    every = {name: one.detach() for name, one in features.items()}

    def distance(center: Tensor) -> Tensor:
        return sum((weights.get(name, 1.0) * (one - center) ** 2).sum() for name, one in every.items())  # type: ignore[return-value]

    found = representations["b"].detach().requires_grad_()
    (slope,) = torch.autograd.grad(distance(found), found)
    assert slope.abs().max() < 1e-12
    for seed in range(5):
        step = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for size in (0.001, 1.0):
            assert distance(found + size * step) > distance(found)


def test_whoever_has_no_weight_does_not_move_the_mean() -> None:
    game = shared(representation=partial(MeanRepresentation, weights=WEIGHTS))
    scaled = shared(representation=partial(MeanRepresentation, weights={n: 7 * w for n, w in WEIGHTS.items()}))
    given = dict.fromkeys(ALIKE, latents())
    before = game.images(given)[2]["a"]
    torch.testing.assert_close(scaled.images(given)[2]["a"], before)
    for name, moves in (("b", False), ("c", True)):
        jiggle(game.generators.layer(name, 0))
        assert torch.equal(game.images(given)[2]["a"], before) != moves


# What it is a function of


@both
def test_the_representation_is_a_function_of_its_own_row_alone(kind: type[Representation]) -> None:
    game = shared(MIXED, representation=kind)
    given = latents(6)
    with torch.no_grad():
        expected = naive_representation(game, given)
        close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-6)
        for cases in (
            dict.fromkeys(MIXED, given),
            {name: given.clone() for name in MIXED},
            {"a": given, "b": given[:2], "c": given[:5], "d": given[:1]},
            {"d": given},
            {"b": given[:3], "c": given[:3]},
        ):
            for name, one in game.images(cases)[2].items():
                close(one, expected[: len(cases[name])])
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        close(game.images(dict.fromkeys(MIXED, given[order]))[2]["a"], expected[order])
        others = torch.cat([given[:1], latents(5, seed=9)])
        found = game.images({"a": others, "b": given})[2]
        close(found["a"][0], expected[0])
        close(found["b"], expected)


@both
def test_conditions_are_part_of_what_it_is_a_function_of(kind: type[Representation]) -> None:
    game = shared(LABELLED, representation=kind, **CONDITIONAL)
    given, _ = game.fakes(batch(game), game.arena.conditions(batch(game)))
    assert torch.equal(given["a"][:, :5], given["b"][:, :5]) and not torch.equal(given["a"], given["b"])
    with torch.no_grad():
        found = game.images(given)[2]
        for name in LABELLED:
            torch.testing.assert_close(found[name], naive_representation(game, given[name]), rtol=1e-4, atol=1e-6)
        assert not torch.allclose(found["a"], found["b"], atol=1e-3)
        alone = game.images({**given, "b": given["a"].flip(0)})[2]
        torch.testing.assert_close(alone["a"], found["a"])
        torch.testing.assert_close(alone["b"], found["a"].flip(0), rtol=1e-4, atol=1e-6)


@both
def test_batches_of_different_sizes_are_as_if_each_was_alone(kind: type[Representation]) -> None:
    sizes = {"a": 4, "b": 2, "c": 7}
    for grouped in (False, True):
        game = shared(regularizers=[R1(every=2)], representation=kind, grouped=grouped)
        for phase in game.phases():
            losses = terms_of(game, phase.name, batch(game, sizes=sizes)).losses
            for name in game.domains:
                given = batch(game, sizes=sizes)
                given["domains"] = {name: given["domains"][name]}
                for key, loss in terms_of(game, phase.name, given).losses.items():
                    assert losses[key].item() == pytest.approx(loss.item(), rel=1e-4, abs=1e-6), key


# Soft sharing


def test_networks_that_share_softly_begin_alike() -> None:
    for domains in (ALIKE, COLOURS, MIXED):
        soft, hard = (shared(domains, soft_sharing=one).generators for one in (SoftSharing(), None))
        for depth in range(4):  # 4 layers before the image, of the smallest
            for key, p in soft.layer("a", depth).state_dict().items():
                for name in domains:
                    assert torch.equal(soft.layer(name, depth).state_dict()[key], p), (depth, name)
                    assert name == "a" or not torch.equal(hard.layer(name, depth).state_dict()[key], p)
        assert len({id(p) for p in soft.parameters()}) == len(list(hard.parameters()))  # alike, not the same
        assert SoftSharing({"a": 3.0}).loss(soft).item() == pytest.approx(0, abs=1e-10)
        assert SoftSharing().loss(hard) > 0.1
    single = shared({"a": ALIKE["a"]}, soft_sharing=SoftSharing())
    jiggle(single.players["generator"])
    assert terms_of(single, "generator", batch(single)).losses["soft_sharing"].item() == 0


@pytest.mark.parametrize("domains", [ALIKE, COLOURS, MIXED], ids=["alike", "colours", "sizes"])
@pytest.mark.parametrize("weights", [{}, WEIGHTS], ids=["even", "weighted"])
def test_soft_sharing_is_the_distance_from_the_mean(domains: Mapping[str, DataSpec], weights: dict[str, float]) -> None:
    game = shared(domains, soft_sharing=SoftSharing(weights)).double()
    jiggle(game.players["generator"], size=0.1)
    depths = 5 if domains is ALIKE else 4  # the image's layer is alike where the images are
    named = [
        {name: dict(game.generators.layer(name, depth).named_parameters()) for name in domains}
        for depth in range(depths)
    ]
    groups = [{name: own[key] for name, own in layers.items()} for layers in named for key in layers["a"]]
    lambdas = {name: weights.get(name, 1.0) for name in domains}
    terms = terms_of(game, "generator", batch(game, dtype=torch.float64))
    loss = terms.losses["soft_sharing"]
    assert loss.item() == pytest.approx(naive_soft_sharing(groups, lambdas), rel=1e-9) and loss > 0.1
    assert "soft_sharing" in terms.penalties
    game.zero_grad()
    loss.backward()
    softly = {id(p) for group in groups for p in group.values()}
    assert all((p.grad is not None) == (id(p) in softly) for p in game.parameters())
    for group in groups:
        center = sum(lambdas[name] * p.detach() for name, p in group.items()) / sum(lambdas.values())
        for name, p in group.items():
            assert p.grad is not None
            torch.testing.assert_close(p.grad, 2 * lambdas[name] * (p.detach() - center), rtol=1e-9, atol=1e-12)
    # The mean is where the sum is least, so that its own movement adds nothing to the slope.
    parameters = [p for group in groups for p in group.values()]
    whole = sum(
        (lambdas[name] * (p - sum(lambdas[n] * q for n, q in group.items()) / sum(lambdas.values())) ** 2).sum()
        for group in groups
        for name, p in group.items()
    )
    for p, slope in zip(parameters, torch.autograd.grad(whole, parameters), strict=True):  # type: ignore[arg-type]
        torch.testing.assert_close(p.grad, slope, rtol=1e-8, atol=1e-11)


def test_a_step_of_the_whole_way_ends_at_the_mean() -> None:
    game = shared(soft_sharing=SoftSharing(), representation=None).double()
    jiggle(game.players["generator"])
    depths = range(game.generators.length)
    mean = [
        sum(p.detach() for p in group) / 3
        for depth in depths
        for group in zip(*(game.generators.layer(n, depth).parameters() for n in ALIKE), strict=True)
    ]
    game.soft_sharing.loss(game.generators).backward()  # type: ignore[union-attr]
    torch.optim.SGD(of(game, "generator"), lr=0.5).step()
    for name in ALIKE:
        found = [p for depth in depths for p in game.generators.layer(name, depth).parameters()]
        torch.testing.assert_close([p.detach() for p in found], mean)
    assert game.soft_sharing.loss(game.generators).item() < 1e-20  # type: ignore[union-attr]


def test_soft_sharing_is_a_matter_of_the_generators() -> None:
    game = shared(soft_sharing=SoftSharing(), regularizers=[LatentSpread(every=2)])
    has = [phase.name for phase in game.phases() if "soft_sharing" in phase.losses(at(batch(game), "any")).losses]
    assert has == ["generator"]
    assert "soft_sharing" not in terms_of(shared(), "generator", batch(game)).losses


# Vital signs


@both
@pytest.mark.parametrize("reads", [True, False])
def test_the_representation_is_watched_every_5_steps(kind: type[Representation], reads: bool) -> None:
    game = shared(MIXED, representation=kind, reads_representation=reads)
    assert vital_signs.EVERY == 5
    for step in (0, 1, 4, 5, 7, 10):
        found = terms_of(game, "generator", batch(game, step)).observed
        if step % 5:
            assert found == {}
            continue
        assert set(found) == {"representation/norm", "representation/spread"}
        assert all(one.shape == (2,) and one[1] == 1 and not one.requires_grad for one in found.values())
        given, _ = game.fakes(at(batch(game, step), "generator"), {})
        center = naive_representation(game, given["a"]).detach()
        assert found["representation/norm"][0].item() == pytest.approx(center.square().mean().sqrt().item(), rel=1e-4)
        rows = [(row - row.mean()) / (row.var(correction=0) + 1e-5).sqrt() for row in center]
        expected = torch.stack(rows).var(0, correction=0).sqrt().mean()
        assert found["representation/spread"][0].item() == pytest.approx(expected.item(), rel=1e-3)
        assert not any(
            key.startswith("representation") for key in terms_of(game, "discriminator", batch(game, step)).observed
        )
    without = shared(MIXED, representation=None)
    assert terms_of(without, "generator", batch(without)).observed == {}


def test_spread_is_0_for_a_constant_and_about_1_for_noise() -> None:
    noise = torch.randn(400, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    one = noise[:1].expand(20, -1, -1, -1)
    assert spread(one).tolist() == [pytest.approx(0, abs=1e-5), 1]
    assert spread(one * torch.arange(1, 21)[:, None, None, None] + 3)[0] < 1e-3  # sizes alone are no difference
    assert spread(torch.zeros(20, 4, 4, 4))[0] == 0
    assert spread(noise).tolist() == [pytest.approx(1, abs=0.02), 1]
    assert spread(noise * 30 - 7)[0].item() == pytest.approx(spread(noise)[0].item(), rel=1e-4)
    assert 0.3 < spread(noise + 1.5 * noise[:1])[0] < 0.7  # something in common
    game = shared()
    with torch.no_grad():
        assert spread(game.images({"a": latents(64)})[2]["a"])[0] > 0.2


def test_nothing_is_won_by_shrinking() -> None:
    game = shared(reads_representation=False)
    unadversarial = {f"adversarial_{name}": 0.0 for name in ALIKE}
    before = terms_of(game, "generator", batch(game))
    train(game, 10, weights=unadversarial)
    after = terms_of(game, "generator", batch(game))
    for name in ALIKE:
        assert after.losses[f"consensus_{name}"] < 0.5 * before.losses[f"consensus_{name}"]
    norms = [one.observed["representation/norm"][0].item() for one in (before, after)]
    assert norms[1] > 0.9 * norms[0]


# Sampling


@both
def test_one_state_gives_the_same_latents_in_all_domains(kind: type[Representation]) -> None:
    for domains in (MIXED, TASKS):
        game, seen = shared(domains, representation=kind, **options(domains)), []
        made = images(game)
        assert game.latent_dim == 5
        for name, spec in domains.items():
            assert made[name].shape == (3, spec.num_channels, spec.image_size, spec.image_size)
            assert made[name].abs().max() <= 1
        assert torch.equal(game.sample(3, generator=torch.Generator().manual_seed(7)), made["a"])
        assert not torch.equal(game.sample(3), game.sample(3))
        assert game.representation is not None
        game.representation.register_forward_hook(
            lambda module, given, result, seen=seen: seen.append((given[0], result))
        )
        images(game)
        assert len(seen) == len(domains)
        for given, result in seen:
            assert torch.equal(given, seen[0][0])
            torch.testing.assert_close(result, seen[0][1])


def test_a_view_is_one_domain_without_parameters_of_its_own() -> None:
    for kind in KINDS.values():
        game = shared(TASKS, representation=kind, **CONDITIONAL)
        before = list(game.state_dict())
        for name in TASKS:
            view = game.view(name)
            assert not list(view.parameters()) and not view.state_dict() and view.phases() == []
            assert view.spec == TASKS[name] and view.whole is game and view.obeys
            assert list(view.sampling_modules()) == list(game.sampling_modules())
            assert torch.equal(view.sample(3, generator=torch.Generator().manual_seed(7)), images(game)[name])
            own = batch(game)["domains"][name]
            assert torch.equal(view.judge(own)[0], game.judge_domain(name, own)[0])  # type: ignore[arg-type]
        game.check()
        assert list(game.state_dict()) == before


@pytest.mark.parametrize("name", ["learned", "mean", "a centre alone", "all at once, mixed", "lazy"])
def test_copies_and_states_keep_everything(name: str) -> None:
    game = VARIANTS[name]()
    train(game, 1)
    live = game.state_dict()
    assert len({tensor.data_ptr() for tensor in live.values()}) == len(live) == len(list(game.parameters()))
    state = {name: value.clone() for name, value in live.items()}
    fresh = VARIANTS[name]()
    jiggle(fresh)
    assert not same(images(fresh), images(game))
    fresh.load_state_dict(state)
    twin = copy.deepcopy(game)
    for one, other in zip(twin.phases(), fresh.phases(), strict=True):
        losses, others = (phase.losses(at(batch(game), phase.name)).losses for phase in (one, other))
        assert same(losses, others)
        assert not same(losses, one.losses(at(batch(game, step=1), one.name)).losses)
    for other in (twin, fresh):
        other.check()
        assert not {id(p) for p in other.parameters()} & {id(p) for p in game.parameters()}
        assert same(images(other), images(game))
        train(other, 1)
        assert not same(images(other), images(game)) and same(game.state_dict(), state)
    assert same(twin.state_dict(), fresh.state_dict())


@pytest.mark.parametrize("reads", [True, False])
def test_the_average_holds_the_representation_where_it_is_read(reads: bool) -> None:
    game = shared(MIXED, reads_representation=reads)
    average = ParameterAverage(game, half_life=10, rampup=1.0)
    held = [p for player in ["generator", *(["representation"] if reads else [])] for p in of(game, player)]
    assert len(average.state_dict()) == len(held)
    expected = copy.deepcopy(game)
    with torch.no_grad():
        for name in ("generator", "representation"):
            for parameter in of(game, name):
                parameter.add_(0.1)
            for parameter in of(expected, name):
                parameter.add_(0.05)
    average.update(10, num_seen=1000)
    before = images(game)
    with average.applied():
        for name, image in images(game).items():
            torch.testing.assert_close(image, images(expected)[name], rtol=1e-5, atol=1e-6)
            assert not torch.equal(image, before[name])
    assert same(images(game), before)


def test_a_stored_description_builds_the_same_game() -> None:
    game = shared(TASKS, **CONDITIONAL)
    other = shared(spec=DataSpec.from_dict(game.spec.to_dict()), **CONDITIONAL)
    assert same(game.state_dict(), other.state_dict())
    for one, turn in zip(train(game, 1), train(other, 1), strict=True):
        assert same(one, turn)


# Ranks


@both
@pytest.mark.parametrize("domains", [MIXED, TASKS], ids=["mixed", "tasks"])
def test_two_ranks_and_micro_batches_make_the_images_of_one_process(
    kind: type[Representation], domains: Mapping[str, DataSpec]
) -> None:
    game = shared(domains, representation=kind, **options(domains))
    whole = at(batch(game, sizes=dict.fromkeys(domains, 8)), "generator")
    with torch.no_grad():
        given, fakes = game.fakes(whole, game.arena.conditions(whole))
        for cut in (
            lambda part: {**part_of(whole, part, 2), "draws": Draws(3, phase="generator", rank=part, world_size=2)},
            lambda part: part_of(whole, part, 2),
        ):
            halves = [cut(part) for part in range(2)]
            found = [game.fakes(half, game.arena.conditions(half)) for half in halves]
            for name in domains:
                assert torch.equal(torch.cat([one[0][name] for one in found]), given[name])
                torch.testing.assert_close(
                    torch.cat([one[1][name] for one in found]), fakes[name], rtol=1e-5, atol=1e-6
                )


@both
@pytest.mark.parametrize("sizes", [{}, {"a": 8, "c": 12}], ids=["one size", "sizes"])
def test_losses_of_micro_batches_have_the_mean_of_the_whole(kind: type[Representation], sizes: dict[str, int]) -> None:
    game = shared(representation=kind, soft_sharing=SoftSharing(), regularizers=[R1()])
    jiggle(game.players["generator"])
    whole = batch(game, sizes=sizes)
    for phase in game.phases():
        expected = terms_of(game, phase.name, whole).losses
        cut = [terms_of(game, phase.name, part_of(whole, part, 2)).losses for part in range(2)]
        for name, loss in expected.items():
            mean = torch.stack([losses[name] for losses in cut]).mean()
            assert mean.item() == pytest.approx(loss.item(), rel=1e-4, abs=1e-6), name


# Mistakes


def wider(spec: DataSpec, dim: int) -> LayeredGenerator:
    return LayeredGenerator(spec, dim, 5, width=8 * spec.num_channels, least_width=4)


def bad(kind: Any, **weights: float) -> dict[str, Any]:
    return {"representation": partial(kind, weights=weights)}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"spec": DataSpec(8, 1)},
            "SharedRepresentationGame learns several domains; take lightning_mtgan.data.Domains",
        ),
        ({"depth": 0}, "model.game.depth is 0, but the generator of a has 5 layers; use 1 to 4$"),
        ({"depth": -1}, "model.game.depth is -1, but the generator of a has 5 layers; use 1 to 4$"),
        ({"depth": 5}, "model.game.depth is 5, but the generator of a has 5 layers; use 1 to 4$"),
        (
            {"domains": {"b": MIXED["b"], "a": MIXED["a"]}, "depth": 6},
            "depth is 6, but the generator of a has 5 layers",
        ),
        ({"depth": 0, "representation": MeanRepresentation}, "model.game.depth is 0"),
        (
            {"domains": COLOURS, "generator": wider},
            "depth is 2, but the generators of a and b differ in their first 2 layers; use less, or give them the same",
        ),
        ({"representation_every": 0}, "representation_every is 0; use 1 for every batch, or more"),
        ({"shared_discriminator_layers": -2}, "shared_discriminator_layers is -2; use 0 for none, or null for all"),
        ({"regularizers": [R1(), R1(every=4)]}, "model.game.regularizers has R1 twice; name each once"),
        (bad(MeanRepresentation, z=1.0), "MeanRepresentation.weights names `z`; the domains are a, b, c$"),
        (bad(MeanRepresentation, a=-0.5), "MeanRepresentation.weights.a is -0.5; use 0 or more$"),
        (bad(MeanRepresentation, b=float("nan")), "MeanRepresentation.weights.b is nan; use 0 or more"),
        (bad(MeanRepresentation, b=float("inf")), "MeanRepresentation.weights.b is inf; use 0 or more"),
        (bad(MeanRepresentation, a=0, b=0, c=0), "MeanRepresentation.weights are all 0; give at least one domain"),
        ({"soft_sharing": SoftSharing({"z": 1.0})}, "SoftSharing.weights names `z`; the domains are a, b, c$"),
        ({"soft_sharing": SoftSharing({"c": -1})}, "SoftSharing.weights.c is -1; use 0 or more"),
        ({"soft_sharing": SoftSharing(dict.fromkeys("abc", 0.0))}, "SoftSharing.weights are all 0; give at least one"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        shared(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_any_depth_between_the_first_and_the_last_layer_will_do(depth: int) -> None:
    for kind in KINDS.values():
        game = shared(MIXED, representation=kind, depth=depth)
        height = 4 if depth <= 2 else 8
        assert game.images({"b": latents()})[2]["b"].shape == (4, 8 if depth <= 2 else 4, height, height)
        losses = play(game, "generator", batch(game))
        assert all(loss.isfinite() for loss in losses.values())
        assert all(losses[f"consensus_{name}"] > 0.1 for name in MIXED)


def test_generators_of_different_colours_may_differ_where_they_show() -> None:
    game = shared(COLOURS, depth=4)
    assert images(game)["b"].shape == (3, 3, 8, 8)
    assert shared(COLOURS, generator=wider, representation=None).representation is None


# Known faults


def test_a_copy_plays_with_its_own_generators() -> None:
    game = shared()
    twin = copy.deepcopy(game)
    jiggle(game.players["generator"])
    given = {"a": latents()}
    with torch.no_grad():
        assert torch.equal(twin.arena.generators(given)["a"], twin.images(given)[0]["a"])


def test_regularisers_in_the_turn_of_the_representation_have_their_whole_slope() -> None:
    game = shared(regularizers=[LatentSpread(step=0.5)]).double()
    given = batch(game, dtype=torch.float64)
    nothing = torch.zeros((), requires_grad=True)  # they may as well be left to the generators
    slope, expected = slope_and_difference(
        of(game, "representation"),
        lambda: terms_of(game, "representation", given).losses.get("latent_spread_a", nothing),
    )
    assert slope == pytest.approx(expected, rel=1e-3)


def test_an_embedding_learns_through_the_representation() -> None:
    game = shared(LABELLED, **CONDITIONAL).double()
    given = batch(game, dtype=torch.float64)
    assert game.arena.embedding is not None
    slope, expected = slope_and_difference(
        list(game.arena.embedding.parameters()),
        lambda: terms_of(game, "generator", given).losses["adversarial_a"],
    )
    assert slope == pytest.approx(expected, rel=1e-3)


def test_only_losses_that_exist_are_without_bound() -> None:
    for domains in (ALIKE, LABELLED):
        game = shared(domains, adversarial=Hinge(), reads_representation=False, **options(domains))
        for phase in game.phases():
            assert phase.unbounded <= terms_of(game, phase.name, batch(game)).losses.keys()


@pytest.mark.parametrize(("task", "domain"), [("consensus", "a"), ("soft", "sharing")])
def test_no_task_may_be_called_like_a_loss_of_the_game(task: str, domain: str) -> None:
    spec = DataSpec(8, 1, (TaskSpec(task, TaskKind.CLASSIFICATION, 3),))
    with pytest.raises(UserError, match=f"two losses of this game would be called `{task}_{domain}`"):
        shared({domain: spec}, soft_sharing=SoftSharing(), **CONDITIONAL)


def test_soft_sharing_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="soft_sharing finds no layer"):
        game = shared(COLOURS, generator=wider, representation=None, soft_sharing=SoftSharing())
        terms_of(game, "generator", batch(game))


@both
def test_a_representation_that_nobody_reads_is_not_made(kind: type[Representation]) -> None:
    game, calls = shared(representation=kind, reads_representation=False), []
    assert game.representation is not None
    game.representation.register_forward_hook(lambda *call: calls.append(call))
    images(game)
    terms_of(game, "discriminator", batch(game))
    assert not calls


def test_consensus_has_all_bits_of_its_differences() -> None:
    one = torch.randn(8, 4, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    other = (one.float() * 1.02 + 0.03 * torch.randn(one.shape, generator=torch.Generator().manual_seed(1))).bfloat16()
    expected = consensus(one.double(), other.double()).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert consensus(one, other).item() == pytest.approx(expected, rel=1e-3)
