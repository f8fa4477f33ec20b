"""Coupled GANs: what domains share stays shared, and what they do not share is as if each was alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.draws import Draws, seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import CoupledGame
from lightning_mtgan.losses import Hinge, NonSaturating, RelativisticAverage, RelativisticPairing
from lightning_mtgan.networks import LayeredGenerator, LayeredTrunk, ProjectionHead, TaskEmbedding
from lightning_mtgan.regularizers import R1, R2, GradientPenalty, LatentSpread, LeCam, PathLength
from lightning_mtgan.supervision import AuxiliaryHeads, TwinHeads
from lightning_mtgan.tasks import MeanColour, TextureEnergy
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec, part_of

LABEL = TaskSpec("label", TaskKind.CLASSIFICATION, 3)
INK = TaskSpec("ink", TaskKind.REGRESSION, 1)
COLOUR = TaskSpec("colour", TaskKind.CONSTRAINT, 1, prior=((-0.1, 0.0, 0.1),), measure=MeanColour())
ALIKE = {name: DataSpec(8, 1) for name in "abc"}
LABELLED = {name: DataSpec(8, 1, (LABEL, INK)) for name in "abc"}
MIXED = {"a": DataSpec(8, 1), "b": DataSpec(16, 1), "c": DataSpec(8, 3), "d": DataSpec(16, 1)}
TASKS = {"a": DataSpec(8, 1, (LABEL,)), "b": DataSpec(8, 1, (INK, COLOUR)), "c": DataSpec(8, 1)}


def table(tasks: Sequence[TaskSpec], sizes: Mapping[str, int]) -> TaskEmbedding:
    return TaskEmbedding(tasks, sizes, 4)


CONDITIONAL: dict[str, Any] = {
    "embedding": table,
    "supervision": AuxiliaryHeads,
    "adversarial_head": ProjectionHead,
}


def options(domains: Mapping[str, DataSpec]) -> dict[str, Any]:
    """All that tasks allow for."""
    return CONDITIONAL if any(spec.tasks for spec in domains.values()) else {}


def spec_of(domains: Mapping[str, DataSpec]) -> DataSpec:
    first = next(iter(domains.values()), DataSpec(8, 1))
    return replace(first, domains=dict(domains))


def coupled(domains: Mapping[str, DataSpec] = ALIKE, seed: int = 0, **changes: Any) -> CoupledGame:
    parts: dict[str, Any] = {
        "spec": spec_of(domains),
        "generator": lambda spec, dim: LayeredGenerator(spec, dim, latent_dim=5, width=8, least_width=4),
        "trunk": lambda spec: LayeredTrunk(spec, width=8, least_width=4, num_features=6),
        "adversarial": NonSaturating(),
    }
    torch.manual_seed(seed)
    return CoupledGame(**{**parts, **changes})


def apart(domains: Mapping[str, DataSpec] = ALIKE, **changes: Any) -> CoupledGame:
    return coupled(domains, shared_generator_layers=0, shared_discriminator_layers=0, **changes)


def batch(
    game: CoupledGame, step: int = 0, sizes: Mapping[str, int] | None = None, dtype: torch.dtype = torch.float32
) -> Batch:
    """Noise for images, which follows from the names of the domains alone."""
    domains: dict[str, Batch] = {}
    for name, spec in game.spec.domains.items():
        draw, count = torch.Generator().manual_seed(seed_of(name, step)), (sizes or {}).get(name, 4)
        image = torch.rand(count, spec.num_channels, spec.image_size, spec.image_size, generator=draw) * 2 - 1
        targets = {"label": torch.randint(3, (count,), generator=draw), "ink": torch.randn(count, 1, generator=draw)}
        own = {task.name for task in spec.tasks}
        domains[name] = {
            "image": image.to(dtype),
            "targets": {
                task: value.to(dtype) if value.is_floating_point() else value
                for task, value in targets.items()
                if task in own
            },
        }
    return {"domains": domains, "draws": Draws(seed=3, step=step, dtype=dtype)}


def at(given: Batch, phase: str) -> Batch:
    return {**given, "draws": given["draws"].at(phase)}


def gradients(game: CoupledGame, phase_name: str, given: Batch) -> dict[str, Tensor]:
    """One phase, as the module plays it; its losses."""
    phase = next(phase for phase in game.phases() if phase.name == phase_name)
    for name, player in game.players.items():
        player.requires_grad_(name == phase.player)
    game.zero_grad()
    terms = phase.losses(at(given, phase.name))
    WeightedSum().backward(terms, list(game.players[phase.player].parameters()))
    return {name: loss.detach() for name, loss in terms.losses.items()}


def train(game: CoupledGame, steps: int = 3) -> list[dict[str, Tensor]]:
    """Steps of both players by Adam, in which the embedding stands still; the losses of each phase."""
    fixed = {id(p) for p in (game.arena.embedding.parameters() if game.arena.embedding is not None else ())}
    optimizers = {
        name: torch.optim.Adam([p for p in player.parameters() if id(p) not in fixed], lr=0.01)
        for name, player in game.players.items()
    }
    losses = []
    for step in range(steps):
        for phase in game.phases():
            if step % phase.every == 0:
                losses.append(gradients(game, phase.name, batch(game, step)))
                optimizers[phase.player].step()
    return losses


def parts(game: CoupledGame, domain: str) -> dict[str, nn.Module]:
    """Every module of one domain, by what it is there."""
    discriminators = game.arena.discriminators
    found: dict[str, nn.Module] = {"head": discriminators.head(domain)}
    for what, networks in (("generator", game.generators), ("trunk", discriminators.trunks)):
        begin = min(networks.routes[domain])
        found |= {f"{what} {depth - begin}": networks.layer(domain, depth) for depth in networks.routes[domain]}
    supervision = discriminators.supervision(domain)
    return found | ({"supervision": supervision} if supervision is not None else {})


def tensors(game: CoupledGame, domain: str) -> dict[str, Tensor]:
    return {f"{what} {key}": p for what, part in parts(game, domain).items() for key, p in part.named_parameters()}


def same(one: Mapping[str, Tensor | None], other: Mapping[str, Tensor | None]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(
        (one[key] is None and other[key] is None) or torch.equal(one[key], other[key])  # type: ignore[arg-type]
        for key in one
    )


def pattern(game: CoupledGame) -> list[int]:
    """Which modules of all domains are one instance: each by the place of its first."""
    every = [id(part) for name in game.domains for part in parts(game, name).values()]
    return [every.index(one) for one in every]


def images(game: CoupledGame, seed: int = 7, count: int = 3) -> dict[str, Tensor]:
    with torch.no_grad():
        return {
            name: game.sample_domain(name, count, generator=torch.Generator().manual_seed(seed))
            for name in game.domains
        }


# What is shared


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 8, None])
def test_discriminators_count_their_head_as_the_last_layer(number: int | None) -> None:
    game = coupled(MIXED, shared_discriminator_layers=number, shared_generator_layers=number)
    discriminators = game.arena.discriminators
    assert len({id(discriminators.head(name)) for name in MIXED}) == (4 if number == 0 else 1)
    trunks, last = discriminators.trunks, discriminators.trunks.length - 1
    for depth in range(trunks.length):
        counted = number is None or trunks.length - depth < number
        assert (trunks.layer("b", depth) is trunks.layer("d", depth)) == counted
    assert len(trunks.teams(last)) == (1 if number is None or number > 1 else 4)
    for depth in range(game.generators.length):
        counted = number is None or depth < number
        assert (game.generators.layer("b", depth) is game.generators.layer("d", depth)) == counted


SHARES = [(MIXED, 2, 1), (MIXED, None, None), (LABELLED, 0, 0), (LABELLED, 1, 2), (LABELLED, 4, 3)]


@pytest.mark.parametrize(("domains", "first", "last"), SHARES)
def test_copies_and_states_keep_what_is_shared(
    domains: Mapping[str, DataSpec], first: int | None, last: int | None
) -> None:
    def make(seed: int) -> CoupledGame:
        numbers = {"shared_generator_layers": first, "shared_discriminator_layers": last}
        return coupled(domains, seed, **numbers, **options(domains))

    game = make(0)
    train(game, 1)
    state = game.state_dict()
    twin, fresh = copy.deepcopy(game), make(1)
    assert not same(images(fresh), images(game))
    fresh.load_state_dict(state)
    old = {name: value.clone() for name, value in state.items()}
    for other in (twin, fresh):
        other.check()
        assert pattern(other) == pattern(game)
        assert not {id(p) for p in other.parameters()} & {id(p) for p in game.parameters()}
        assert same(images(other), images(game))
        train(other, 1)
        assert not same(images(other), images(game)) and same(game.state_dict(), old)
    assert same(twin.state_dict(), fresh.state_dict())


def test_a_state_holds_each_tensor_once() -> None:
    for game in (apart(), coupled(MIXED), coupled(LABELLED, **CONDITIONAL)):
        state = game.state_dict()
        assert len({tensor.data_ptr() for tensor in state.values()}) == len(state) == len(list(game.parameters()))


@pytest.mark.parametrize("number", [0, 3, None])
def test_the_average_moves_each_shared_tensor_once_and_stays_shared(number: int | None) -> None:
    game = coupled(MIXED, shared_generator_layers=number)
    average, shared = ParameterAverage(game, half_life=10, rampup=1.0), pattern(game)
    player = game.players["generator"]
    assert len(average.state_dict()) == len(list(player.parameters()))
    expected = copy.deepcopy(game)
    with torch.no_grad():
        for parameter in player.parameters():
            parameter.add_(0.1)
        for parameter in expected.players["generator"].parameters():
            parameter.add_(0.05)
    average.update(10, num_seen=1000)
    before = images(game)
    with average.applied():
        assert pattern(game) == shared
        for name, image in images(game).items():
            torch.testing.assert_close(image, images(expected)[name], rtol=1e-5, atol=1e-6)
    assert same(images(game), before) and pattern(game) == shared


def test_what_is_saved_is_said() -> None:
    game, single = coupled(), apart()
    lines = game.remarks()
    assert single.remarks() == [] and len(lines) == 2
    counts = [sum(p.numel() for p in one.players["generator"].parameters()) for one in (game, single)]
    assert f"the 3 generators have {counts[0]:,} parameters instead of {counts[1]:,}" in lines[0]


# Who moves

VARIANTS: dict[str, Callable[[], CoupledGame]] = {
    "alike": coupled,
    "mixed": lambda: coupled(MIXED),
    "nothing shared": apart,
    "all shared": lambda: coupled(shared_generator_layers=None, shared_discriminator_layers=None),
    "grouped": lambda: apart(grouped=True),
    "lazy R1, R2": lambda: coupled(MIXED, regularizers=[R1(every=4), R2()]),
    "lazy, of both players": lambda: coupled(regularizers=[R1(every=2), GradientPenalty(), LatentSpread(every=3)]),
    "conditional": lambda: coupled(LABELLED, **CONDITIONAL, regularizers=[R1(every=2)]),
    "tasks differ": lambda: coupled(TASKS, **CONDITIONAL),
    "twins, one for all": lambda: coupled(LABELLED, **{**CONDITIONAL, "supervision": TwinHeads}),
    "unconditional, heads": lambda: coupled(LABELLED, supervision=AuxiliaryHeads),
    "relativistic, LeCam apart": lambda: coupled(MIXED, adversarial=RelativisticPairing(), regularizers=[R1(), R2()]),
    "hinge, LeCam": lambda: coupled(MIXED, adversarial=Hinge(), regularizers=[LeCam(start=0)]),
}


@pytest.fixture(params=VARIANTS, name="game")
def _game(request: pytest.FixtureRequest) -> CoupledGame:
    return VARIANTS[request.param]()


def test_each_phase_changes_its_player_and_no_other(game: CoupledGame) -> None:
    game.check()
    for phase in game.phases():
        old = {name: p.detach().clone() for name, p in game.named_parameters()}
        losses = gradients(game, phase.name, batch(game))
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        owned = {id(p) for p in game.players[phase.player].parameters()}
        assert all((p.grad is None) or id(p) in owned for p in game.parameters())
        torch.optim.SGD(game.players[phase.player].parameters(), lr=0.1).step()
        moved = {name for name, p in game.named_parameters() if not torch.equal(p, old[name])}
        assert moved and all(name.startswith(f"players.{phase.player}.") for name in moved)
        for name in game.domains:  # each domain has learned
            assert any(p.grad is not None and p.grad.any() for p in tensors(game, name).values())


def test_discriminators_never_reach_the_generators(game: CoupledGame) -> None:
    for phase in game.phases():
        if phase.player == "discriminator":
            terms = phase.losses(at(batch(game), phase.name))
            total = sum(terms.losses.values())
            found = torch.autograd.grad(total, list(game.players["generator"].parameters()), allow_unused=True)  # type: ignore[arg-type]
            assert all(one is None for one in found)


def test_same_seed_same_bits(game: CoupledGame) -> None:
    twin = copy.deepcopy(game)  # a regulariser may remember what it has seen
    for one, other in zip(game.phases(), twin.phases(), strict=True):
        losses, others = (phase.losses(at(batch(game), phase.name)).losses for phase in (one, other))
        assert same(losses, others)
        assert not same(losses, one.losses(at(batch(game, step=1), one.name)).losses)


def test_lazy_penalties_are_those_of_every_step_times_their_interval() -> None:
    for kind in (R1, R2, LatentSpread):
        player = kind.player
        lazy, direct = (coupled(regularizers=[kind(every=every)]) for every in (4, 1))
        assert [phase.every for phase in lazy.phases() if phase.is_lazy] == [4]
        given = at(batch(lazy), "any")
        scaled = next(phase for phase in lazy.phases() if phase.is_lazy).losses(given)
        losses = next(phase for phase in direct.phases() if phase.name == player).losses(given).losses
        assert scaled.losses.keys() == scaled.penalties == {f"{kind.name}_{name}" for name in ALIKE}
        for name, loss in scaled.losses.items():
            assert loss.item() == pytest.approx(4 * losses[name].item(), rel=1e-4)


# Each domain alone

ALONE: dict[str, dict[str, Any]] = {
    "plain": {},
    "mixed": {"domains": MIXED},
    "task heads alone": {"domains": LABELLED, "supervision": TwinHeads},
    "R1, R2, LatentSpread": {"regularizers": [R1(), R2(), LatentSpread()]},
    "conditional, lazy R1": {"domains": LABELLED, "regularizers": [R1(every=2)], **CONDITIONAL},
    "relativistic": {"adversarial": RelativisticAverage()},
    "hinge, LeCam": {"adversarial": Hinge(), "regularizers": [LeCam(start=1)]},
}


@pytest.mark.parametrize("name", ALONE)
def test_nothing_shared_is_each_domain_alone_bit_for_bit(name: str) -> None:
    changes = copy.deepcopy(ALONE[name])
    domains = changes.pop("domains", ALIKE)
    whole = apart(domains, **copy.deepcopy(changes))
    before = {domain: {key: p.detach().clone() for key, p in tensors(whole, domain).items()} for domain in domains}
    together = train(whole)
    for domain, spec in domains.items():
        single = apart({domain: spec}, **copy.deepcopy(changes))
        assert same(tensors(single, domain), before[domain])
        losses = train(single)
        assert all(key.endswith(f"_{domain}") for turn in losses for key in turn)
        for turn, every in zip(losses, together, strict=True):
            assert same(turn, {key: loss for key, loss in every.items() if key.endswith(f"_{domain}")})
        slopes = [{key: p.grad for key, p in tensors(one, domain).items()} for one in (single, whole)]
        assert same(*slopes) and any(slope is not None for slope in slopes[0].values())
        assert same(tensors(single, domain), tensors(whole, domain))
        assert not same(tensors(single, domain), before[domain])
        memories = [nn.ModuleList(one.arena.regularizers[domain]).named_buffers() for one in (single, whole)]
        assert same(*map(dict, memories))


def test_an_embedding_learns_from_all_domains() -> None:
    whole = apart(LABELLED, **CONDITIONAL)
    gradients(whole, "generator", batch(whole))
    total: dict[str, Tensor] = {}
    for domain, spec in LABELLED.items():
        single = apart({domain: spec}, **CONDITIONAL)
        gradients(single, "generator", batch(single))
        assert single.arena.embedding is not None
        for key, p in single.arena.embedding.named_parameters():
            assert p.grad is not None
            total[key] = total.get(key, torch.zeros(())) + p.grad
    assert whole.arena.embedding is not None
    for key, p in whole.arena.embedding.named_parameters():
        torch.testing.assert_close(p.grad, total[key], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["mixed", "conditional, lazy R1"])
def test_the_order_of_domains_does_not_matter(name: str) -> None:
    changes = copy.deepcopy(ALONE[name])
    domains = changes.pop("domains", ALIKE)
    one, other = apart(domains, **changes), apart(dict(reversed(domains.items())), **changes)
    assert list(reversed(one.domains)) == list(other.domains)
    for turn, same_turn in zip(train(one), train(other), strict=True):
        assert same(turn, {key: same_turn[key] for key in turn})
    assert all(same(tensors(one, domain), tensors(other, domain)) for domain in domains)


# Grouped


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize("number", [0, 2])
def test_grouped_games_agree(dtype: torch.dtype, tolerance: float, number: int) -> None:
    found = []
    for grouped in (False, True):
        game = coupled(
            LABELLED | {"d": DataSpec(16, 1, (LABEL, INK))},
            shared_generator_layers=number,
            shared_discriminator_layers=number,
            regularizers=[R1(), R2(every=2)],  # in the pass of all domains, and each in one of its own
            grouped=grouped,
            **CONDITIONAL,
        ).to(dtype)
        for phase in game.phases():
            losses = gradients(game, phase.name, batch(game, dtype=dtype))
            slopes = {name: p.grad for name, p in game.named_parameters() if p.grad is not None}
            found.append((losses, slopes))
        found.append((images(game), {}))
    half = len(found) // 2
    assert half == 4
    for one, other in zip(found[:half], found[half:], strict=True):
        for left, right in zip(one, other, strict=True):
            assert left.keys() == right.keys()
            for key in left:
                assert left[key].dtype == dtype
                assert (left[key] - right[key]).norm() <= tolerance * left[key].norm().clamp(min=1e-2), key


# One latent


def test_what_domains_show_follows_from_what_they_share() -> None:
    made = {number: images(coupled(shared_generator_layers=number)) for number in (0, 2, 4, None)}
    assert all(torch.equal(made[None]["a"], made[None][name]) for name in "bc")
    for number in (0, 2, 4):
        assert not torch.equal(made[number]["a"], made[number]["b"])
    game = coupled(shared_generator_layers=None)
    _, fakes = game.fakes(batch(game), {})
    assert all(torch.equal(fakes["a"], fakes[name]) for name in "bc")
    _, fakes = apart().fakes(batch(game), {})
    assert not torch.equal(fakes["a"], fakes["b"])


# Batches


@pytest.mark.parametrize("sizes", [{}, {"a": 8, "c": 12}])
@pytest.mark.parametrize("adversarial", [NonSaturating(), RelativisticPairing()], ids=["alone", "pairs"])
def test_micro_batches_are_parts_of_the_whole(sizes: Mapping[str, int], adversarial: Any) -> None:
    game = coupled(LABELLED, adversarial=adversarial, regularizers=[R1()], **CONDITIONAL)
    whole = batch(game, sizes=sizes)
    for phase in game.phases():
        expected = phase.losses(at(whole, phase.name)).losses
        cut = [phase.losses(at(part_of(whole, part, 2), phase.name)).losses for part in range(2)]
        for name, loss in expected.items():
            mean = torch.stack([losses[name] for losses in cut]).mean()
            assert mean.item() == pytest.approx(loss.item(), rel=1e-5, abs=1e-6), name


def test_batches_of_different_sizes_are_as_if_each_was_alone() -> None:
    sizes = {"a": 4, "b": 2, "c": 7}
    for grouped in (False, True):
        game = coupled(regularizers=[R1(every=2)], grouped=grouped)
        for phase in game.phases():
            losses = phase.losses(at(batch(game, sizes=sizes), phase.name)).losses
            for name in game.domains:
                given = batch(game, sizes=sizes)
                given["domains"] = {name: given["domains"][name]}
                for key, loss in phase.losses(at(given, phase.name)).losses.items():
                    assert losses[key].item() == pytest.approx(loss.item(), rel=1e-5, abs=1e-6), key


def test_domains_of_one_batch_size_see_the_same_latents() -> None:
    game = coupled(MIXED)
    given, _ = game.fakes(batch(game, sizes={"d": 5}), {})
    assert torch.equal(given["a"], given["b"]) and torch.equal(given["a"], given["c"])
    assert given["d"].shape == (5, 5)


# Tasks


def test_what_a_domain_lacks_is_unknown() -> None:
    game = coupled(TASKS, **CONDITIONAL)
    given = batch(game)
    told = game.arena.conditions(given)
    assert list(game.tasks) == ["label", "ink", "colour"]
    assert torch.equal(told["a"]["label"], given["domains"]["a"]["targets"]["label"])
    assert torch.equal(told["b"]["ink"], given["domains"]["b"]["targets"]["ink"])
    assert torch.equal(told["b"]["colour"], given["domains"]["b"]["image"].mean((2, 3)))
    for name, lacking in (("a", ("ink", "colour")), ("b", ("label",)), ("c", ("label", "ink", "colour"))):
        for task in lacking:
            value = told[name][task]
            assert (value.isnan() if value.is_floating_point() else value == -1).all(), (name, task)
    inputs, _ = game.fakes(given, told)
    known = {name: inputs[name][:, 5:].unflatten(1, (3, 4)).abs().sum((0, 2)) > 0 for name in TASKS}
    assert {name: row.tolist() for name, row in known.items()} == {
        "a": [True, False, False],
        "b": [False, True, True],
        "c": [False, False, False],
    }


@pytest.mark.parametrize("number", [0, 1, 2, None])
def test_task_heads_are_shared_as_soon_as_the_features_are(number: int | None) -> None:
    game = coupled(TASKS, shared_discriminator_layers=number, **CONDITIONAL)
    heads = {name: game.arena.discriminators.supervision(name) for name in TASKS}
    if number in (0, 1):
        assert heads["a"] is not heads["b"] and heads["c"] is None
        assert [list(one.tasks) for one in (heads["a"], heads["b"]) if one is not None] == [["label"], ["ink"]]
    else:
        assert heads["a"] is heads["b"] is heads["c"]
        assert heads["a"] is not None and list(heads["a"].tasks) == ["label", "ink"]
    losses = [set(gradients(game, phase.name, batch(game))) for phase in game.phases()]
    adversarial = {f"adversarial_{name}" for name in TASKS}
    assert losses == [adversarial | {"label_a", "ink_b"}, adversarial | {"label_a", "ink_b", "colour_b"}]
    logits, told = game.judge_domain("a", batch(game)["domains"]["a"])
    assert logits is not None and logits.shape == (4,) and told["label"].shape == (4, 3) and list(told) == ["label"]
    assert game.judge_domain("c", batch(game)["domains"]["c"])[1] == {}


def test_a_task_that_another_domain_has_does_not_change_what_one_learns() -> None:
    more = coupled(TASKS, supervision=AuxiliaryHeads)
    less = coupled({name: DataSpec(8, 1) for name in TASKS}, supervision=AuxiliaryHeads)
    losses, others = (gradients(game, "discriminator", batch(game)) for game in (more, less))
    assert same({name: losses[name] for name in others}, others) and len(losses) == len(others) + 2


def test_the_same_is_asked_in_every_domain() -> None:
    game = coupled(LABELLED, **CONDITIONAL, shared_generator_layers=None)
    wanted = {"label": torch.tensor([0, 1, 2])}
    with torch.no_grad():
        made = [game.sample_domain(name, 3, wanted, torch.Generator().manual_seed(1)) for name in "abc"]
        other = game.sample_domain("a", 3, {"label": torch.tensor([2, 1, 0])}, torch.Generator().manual_seed(1))
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])
    assert [torch.equal(*pair) for pair in zip(made[0], other, strict=True)] == [False, True, False]


# Regularisers


def test_each_domain_has_its_own_regularisers() -> None:
    given = [LeCam(start=0, decay=0.5)]
    game = coupled(MIXED, adversarial=Hinge(), regularizers=given)
    gradients(game, "discriminator", batch(game))
    anchors = {name: game.arena.regularizers[name][0].get_buffer("anchors") for name in MIXED}
    assert not given[0].anchors.any() and all(one.any() for one in anchors.values())
    for name, domain in batch(game)["domains"].items():
        with torch.no_grad():
            logits, _ = game.judge_domain(name, domain)
        assert logits is not None
        assert anchors[name][0].item() == pytest.approx(logits.mean().item() / 2, rel=1e-5)
    assert len({tuple(one.tolist()) for one in anchors.values()}) == 4
    kept = [key for key in game.state_dict() if key.endswith("anchors")]
    assert len(kept) == 4 and not list(game.regularizers.parameters())


def test_a_relativistic_loss_compares_within_a_domain() -> None:
    game = coupled(MIXED, adversarial=RelativisticPairing())
    given = batch(game)
    with torch.no_grad():
        conditions = game.arena.conditions(given)
        _, fakes = game.fakes(given, conditions)
        for name, domain in given["domains"].items():
            real = game.judge_domain(name, domain)[0]
            fake = game.judge_domain(name, {"image": fakes[name], "targets": {}})[0]
            assert real is not None and fake is not None
            gap = torch.tensor([float(a) - float(b) for a, b in zip(real, fake, strict=True)])
            for phase, sign in zip(game.phases(), (-1, 1), strict=True):
                loss = phase.losses(given).losses[f"adversarial_{name}"]
                assert loss.item() == pytest.approx((sign * gap).exp().log1p().mean().item(), rel=1e-5)


def test_only_losses_that_exist_are_without_bound() -> None:
    for game in (
        coupled(),
        coupled(adversarial=Hinge()),
        coupled(LABELLED, **{**CONDITIONAL, "supervision": TwinHeads}),
    ):
        for phase in game.phases():
            assert phase.unbounded <= phase.losses(at(batch(game), phase.name)).losses.keys()
    assert coupled(adversarial=Hinge()).phases()[1].unbounded == {f"adversarial_{name}" for name in "abc"}


# Sampling


def test_one_state_gives_the_same_latents_in_all_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    for game in (coupled(MIXED), coupled(TASKS, **CONDITIONAL)):
        made = images(game)
        for name, spec in game.spec.domains.items():
            assert made[name].shape == (3, spec.num_channels, spec.image_size, spec.image_size)
            assert made[name].abs().max() <= 1
        assert torch.equal(game.sample(3, generator=torch.Generator().manual_seed(7)), made["a"])
        draw = torch.Generator().manual_seed(7)
        assert not torch.equal(game.sample(3, generator=draw), game.sample(3, generator=draw))
        assert not torch.equal(game.sample(3), game.sample(3))
        monkeypatch.setattr(CoupledGame, "render", lambda self, domain, given: given)
        latents = images(game)
        assert latents["a"].shape[1] >= 5 and all(torch.equal(latents["a"], one) for one in latents.values())
        monkeypatch.undo()


def test_a_view_is_one_domain_without_parameters_of_its_own() -> None:
    game = coupled(TASKS, **CONDITIONAL)
    before = list(game.state_dict())
    for name in TASKS:
        view = game.view(name)
        assert not list(view.parameters()) and not view.state_dict() and view.phases() == []
        assert view.spec == TASKS[name] and view.whole is game and view.obeys
        assert (view.dtype, view.device) == (game.dtype, game.device)
        draw = (torch.Generator().manual_seed(7) for _ in range(2))
        assert torch.equal(view.sample(3, generator=next(draw)), game.sample_domain(name, 3, generator=next(draw)))
        own = batch(game)["domains"][name]
        logits, expected = view.judge(own)[0], game.judge_domain(name, own)[0]
        assert logits is not None and expected is not None and torch.equal(logits, expected)
        assert view.draw_conditions(2, torch.Generator()).keys() == game.tasks.keys()
    game.check()
    assert list(game.state_dict()) == before
    assert not coupled().view("a").obeys


@pytest.mark.parametrize("domains", [MIXED, TASKS, LABELLED], ids=["mixed", "tasks differ", "labelled"])
def test_a_stored_description_builds_the_same_game(domains: Mapping[str, DataSpec]) -> None:
    game = coupled(domains, **options(domains))
    stored = DataSpec.from_dict(game.spec.to_dict())
    other = coupled(spec=stored, **options(domains))
    assert other.domains == game.domains and other.all_tasks == game.all_tasks and pattern(other) == pattern(game)
    assert same(game.state_dict(), other.state_dict())
    for one, turn in zip(train(game, 1), train(other, 1), strict=True):
        assert same(one, turn)


def test_initial_weights_follow_the_seed_and_leave_its_state_alone() -> None:
    one, other = coupled(seed=0), coupled(seed=1)
    assert not same(tensors(one, "a"), tensors(other, "a"))
    torch.manual_seed(5)
    expected = torch.rand(3)
    coupled(seed=5)
    assert torch.equal(torch.rand(3), expected)
    alone = apart()
    assert not same(tensors(alone, "a"), tensors(alone, "b"))


# Mistakes


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"spec": DataSpec(8, 1)}, "CoupledGame learns several domains; take lightning_mtgan.data.Domains as data"),
        ({"domains": {"a.b": DataSpec(8, 1)}}, "data.domains.a.b: a domain's name must not be empty or hold"),
        ({"domains": {"a/b": DataSpec(8, 1)}}, "data.domains.a/b: a domain's name must not be empty or hold"),
        ({"domains": {"": DataSpec(8, 1)}}, "a domain's name must not be empty"),
        (
            {"domains": {"a": DataSpec(8, 1, (LABEL,)), "b": DataSpec(8, 1, (replace(LABEL, size=4),))}},
            r"the task `label` of b is another one than before it \(classification of 4 instead of classification of 3",
        ),
        (
            {"domains": {"a": DataSpec(8, 1, (LABEL,)), "b": DataSpec(8, 1, (replace(INK, name="label"),))}},
            "the task `label` of b is another one",
        ),
        ({"shared_generator_layers": -1}, "shared_generator_layers is -1; use 0 for none, or null for all"),
        ({"shared_discriminator_layers": -2}, "shared_discriminator_layers is -2; use 0 for none, or null for all"),
        ({"regularizers": [PathLength()]}, "has PathLength, which needs a generator with styles; leave it out"),
        ({"regularizers": [R1(), R1(every=4)]}, "model.game.regularizers has R1 twice; name each once"),
        ({"regularizers": [LeCam()], "adversarial": RelativisticPairing()}, "RelativisticPairing judges differences"),
        (
            {"domains": {"a": DataSpec(8, 1, (replace(LABEL, name="adversarial"),))}},
            "two losses of this game would be called `adversarial_a`",
        ),
        (
            {
                "domains": {
                    "c": DataSpec(8, 1, (replace(LABEL, name="a_b"), replace(LABEL, name="a"))),
                    "b_c": ALIKE["b"],
                }
            },
            "two losses of this game would be called `a_b_c`; rename a task or a domain",
        ),
        ({"domains": {"a": DataSpec(12, 1)}}, "image_size is 12"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        coupled(changes.pop("domains", ALIKE), **changes)
    assert "\n" not in str(caught.value)


# Known faults


@pytest.mark.parametrize("name", ["train", "items", "type"])
def test_a_domain_may_be_called_like_a_method(name: str) -> None:
    game = coupled({name: DataSpec(8, 1)})
    assert images(game)[name].shape == (3, 1, 8, 8)


def test_latents_of_different_lengths_are_refused() -> None:
    with pytest.raises(UserError, match="latent"):
        coupled(MIXED, generator=lambda spec, dim: LayeredGenerator(spec, dim, spec.image_size, 8))


def test_tasks_beside_joint_ones_are_drawn_as_well() -> None:
    joint = {"label": torch.tensor([0, 1, 2]), "ink": torch.zeros(3, 1)}
    domains = {"a": DataSpec(8, 1, (LABEL, INK), joint), "b": DataSpec(8, 1, (replace(LABEL, name="kind"),))}
    game = coupled(domains, **CONDITIONAL)
    assert game.draw_conditions(2, torch.Generator()).keys() == {"label", "ink", "kind"}
    assert images(game)["b"].shape == (3, 1, 8, 8)


def test_judgement_measures_what_can_be_measured() -> None:
    game = coupled(TASKS, **CONDITIONAL)
    with torch.no_grad():
        for name in TASKS:
            game.arena.discriminators.head(name).project.weight.fill_(0.1)  # type: ignore[union-attr,operator]
    given = batch(game)
    seen = game.arena.see(
        {name: [one["image"]] for name, one in given["domains"].items()}, game.arena.conditions(given)
    )
    for name, own in given["domains"].items():
        logits, _ = game.judge_domain(name, own)
        assert logits is not None
        torch.testing.assert_close(logits, seen[name][0].logits)


def test_a_generator_without_an_embedding_learns_no_task() -> None:
    game = coupled(TASKS, supervision=AuxiliaryHeads)
    assert set(gradients(game, "generator", batch(game))) == {f"adversarial_{name}" for name in TASKS}


@pytest.mark.parametrize("changes", [{"supervision": TwinHeads}, {**CONDITIONAL, "supervision": TwinHeads}])
def test_tasks_without_a_loss_are_not_without_bound(changes: dict[str, Any]) -> None:
    game = coupled(TASKS, **changes)
    for phase in game.phases():
        assert phase.unbounded <= gradients(game, phase.name, batch(game)).keys()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (replace(LABEL, labels=("cat", "dog", "cow")), replace(LABEL, labels=("dog", "cow", "cat"))),
        (COLOUR, replace(COLOUR, measure=TextureEnergy())),
    ],
)
def test_classes_of_other_names_and_other_measures_are_refused(one: TaskSpec, other: TaskSpec) -> None:
    with pytest.raises(UserError, match="of b is another one"):
        coupled({"a": DataSpec(8, 1, (one,)), "b": DataSpec(8, 1, (other,))})


def test_an_unknown_domain_has_no_images() -> None:
    with pytest.raises(KeyError):
        coupled().sample_domain("z", 2)


def test_a_pivot_names_each_tensor_once() -> None:
    game = coupled(shared_generator_layers=None)
    pivot = game.generator_losses(batch(game)).pivot
    assert len({id(tensor) for tensor in pivot}) == len(pivot)
