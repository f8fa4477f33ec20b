"""What must hold for every Game, in every way it can be put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.callbacks import Samples
from lightning_mtgan.data import StackedDigits
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTGAN, VAE, Game
from lightning_mtgan.losses import Hinge, NonSaturating, RelativisticPairing
from lightning_mtgan.networks import ConvGenerator, ConvTrunk, ProjectionHead, TaskEmbedding, UnconditionalHead
from lightning_mtgan.pictures import beside_its_channels
from lightning_mtgan.regularizers import R1, R2
from lightning_mtgan.self_supervision import (
    Jigsaw,
    LabelAugmented,
    Rotations,
    SelfSupervision,
    TransformationPrediction,
)
from lightning_mtgan.supervision import AuxiliaryHeads, ContrastiveHeads, TwinHeads
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec

DATA = StackedDigits(batch_size=8, num_images=64, tasks=("red", "green", "blue", "even", "ink", "colour", "texture"))


def mtgan(**changes: object) -> MTGAN:
    parts: dict[str, object] = {
        "spec": DATA.spec,
        "generator": lambda spec, dim: ConvGenerator(spec, dim, latent_dim=8, width=8),
        "trunk": lambda spec: ConvTrunk(spec, width=8, num_features=16),
        "adversarial_head": ProjectionHead,
        "adversarial": RelativisticPairing(),
        "embedding": lambda tasks, sizes: TaskEmbedding(tasks, sizes, 4),
        "supervision": AuxiliaryHeads,
        "regularizers": [R1(), R2()],
    }
    torch.manual_seed(0)
    return MTGAN(**{**parts, **changes})  # type: ignore[arg-type]


def rotation(spec: DataSpec, num_features: int) -> SelfSupervision:
    return TransformationPrediction(spec, num_features, Rotations())


def jigsaw(spec: DataSpec, num_features: int) -> SelfSupervision:
    return LabelAugmented(spec, num_features, Jigsaw())


MASKS = torch.randint(256, (8, 1, 8, 8), dtype=torch.int16, generator=torch.Generator().manual_seed(0))
MASK = TaskSpec("mask", TaskKind.DENSE, 1, resolution=8)
LACKING = tuple(replace(task, is_complete=task.measure is not None) for task in (*DATA.spec.tasks, MASK))
ROWS = {name: rows[:8] for name, rows in (DATA.spec.joint or {}).items()} | {"mask": MASKS}

GAMES: dict[str, Callable[[], Game]] = {
    "default": mtgan,
    "non-saturating": lambda: mtgan(adversarial=NonSaturating()),
    "hinge, twin heads": lambda: mtgan(adversarial=Hinge(), supervision=TwinHeads),
    "contrastive heads": lambda: mtgan(supervision=ContrastiveHeads),
    "shared embedding": lambda: mtgan(embedding_owner="shared"),
    "generator's embedding": lambda: mtgan(embedding_owner="generator"),
    "lazy penalty": lambda: mtgan(regularizers=[R1(every=4), R2(every=2)]),
    "no penalty, no heads": lambda: mtgan(regularizers=[], supervision=None),
    "unconditional": lambda: mtgan(embedding=None, adversarial_head=UnconditionalHead),
    "missing labels and maps": lambda: mtgan(spec=DataSpec(8, 3, LACKING, ROWS)),
    "missing labels, contrastive": lambda: mtgan(spec=DataSpec(8, 3, LACKING, ROWS), supervision=ContrastiveHeads),
    "missing labels, twin heads": lambda: mtgan(spec=DataSpec(8, 3, LACKING, ROWS), supervision=TwinHeads),
    "vae": lambda: VAE(
        DATA.spec,
        lambda spec, dim: ConvGenerator(spec, dim, latent_dim=8, width=8),
        lambda spec: ConvTrunk(spec, width=8, num_features=16),
        lambda tasks, sizes: TaskEmbedding(tasks, sizes, 4),
    ),
    "self-supervised": lambda: mtgan(self_supervision=[rotation, jigsaw]),
    "every fifth batch": lambda: mtgan(generator_every=5),
    "no tasks": lambda: mtgan(spec=DataSpec(8, 3), adversarial_head=UnconditionalHead),
}


@pytest.fixture(params=GAMES, name="game")
def _game(request: pytest.FixtureRequest) -> Game:
    return GAMES[request.param]()


def batch(game: Game) -> Batch:
    rows = DATA.dataset("train")[torch.arange(8)]
    targets = {**rows["targets"], "mask": MASKS}
    for number, task in enumerate(game.spec.tasks):
        if not task.is_complete:  # each task lacks its target in other images
            targets[task.name] = targets[task.name].clone()
            targets[task.name][number % 3 :: 3] = torch.nan if targets[task.name].is_floating_point() else -1
    return {"image": rows["image"] / 127.5 - 1, "targets": targets, "draws": Draws(seed=3, step=1)}


def play(game: Game, phase_name: str, rate: float = 0.1) -> dict[str, Tensor]:
    """One gradient step of one phase, as the module plays it."""
    phase = next(phase for phase in game.phases() if phase.name == phase_name)
    for name, player in game.players.items():
        player.requires_grad_(name == phase.player)
    parameters = list(game.players[phase.player].parameters())
    optimizer = torch.optim.SGD(parameters, lr=rate)
    optimizer.zero_grad()
    terms = phase.losses(batch(game))
    WeightedSum().backward(terms, parameters)
    optimizer.step()
    return terms.losses


def copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def test_players_own_disjoint_parameters(game: Game) -> None:
    game.check()


def test_each_phase_changes_its_player_and_no_other(game: Game) -> None:
    for phase in game.phases():
        before = {name: copy(player) for name, player in game.players.items()}
        losses = play(game, phase.name)
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        for name, player in game.players.items():
            after = copy(player)
            changed = any(not torch.equal(after[key], before[name][key]) for key in after)
            assert changed == (name == phase.player), (phase.name, name)


def test_same_seed_same_bits(game: Game) -> None:
    for phase in game.phases():
        first, second = phase.losses(batch(game)), phase.losses(batch(game))
        assert all(torch.equal(first.losses[name], second.losses[name]) for name in first.losses)


def test_samples_are_images_and_a_function_of_the_generator(game: Game) -> None:
    with torch.no_grad():
        images = [game.sample(5, generator=torch.Generator().manual_seed(4)) for _ in range(2)]
    assert images[0].shape == (5, 3, 8, 8)
    assert images[0].abs().max() <= 1
    assert torch.equal(images[0], images[1])


def test_the_average_holds_exactly_what_sampling_reads(game: Game) -> None:
    average = ParameterAverage(game, half_life=1000, rampup=1.0)
    with torch.no_grad():
        before = game.sample(4, generator=torch.Generator().manual_seed(0))
        for parameter in game.parameters():
            parameter += 0.05
        with average.applied():
            assert torch.equal(game.sample(4, generator=torch.Generator().manual_seed(0)), before)
        assert not torch.equal(game.sample(4, generator=torch.Generator().manual_seed(0)), before)
        for name in set(dict(game.named_parameters())) - set(average.state_dict()):
            dict(game.named_parameters())[name].fill_(float("nan"))
        assert torch.isfinite(game.sample(4, generator=torch.Generator().manual_seed(0))).all()


def test_the_average_follows_its_half_life() -> None:
    game = mtgan()
    average = ParameterAverage(game, half_life=10, rampup=1.0)
    name = next(iter(average.state_dict()))
    parameter = dict(game.named_parameters())[name]
    old = parameter.detach().clone()
    with torch.no_grad():
        parameter += 1.0
    average.update(10, num_seen=1000)
    assert torch.allclose(average.state_dict()[name], old + 0.5, atol=1e-6)


def test_the_condition_reaches_the_image() -> None:
    game = mtgan()
    with torch.no_grad():
        images = [
            game.sample(3, {"red": torch.full((3,), digit)}, torch.Generator().manual_seed(0)) for digit in (1, 2)
        ]
    assert not torch.equal(images[0], images[1])


@pytest.mark.parametrize(
    "name",
    [
        "default",
        "contrastive heads",
        "hinge, twin heads",
        "shared embedding",
        "missing labels and maps",
        "self-supervised",
    ],
)
def test_a_step_never_asks_the_device_for_a_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    game = GAMES[name]()
    for phase in game.phases():  # first turn: constants find their way to the device
        phase.losses(batch(game))
    given = batch(game)

    def refuse(self: Tensor, *_: object) -> None:
        raise AssertionError("a host synchronisation inside a step")

    for method in ("item", "tolist", "__bool__", "__int__", "__float__", "cpu", "numpy", "nonzero"):
        monkeypatch.setattr(Tensor, method, refuse)
    for phase in game.phases():
        parameters = list(game.players[phase.player].parameters())
        WeightedSum().backward(phase.losses(given), parameters)


def test_bfloat16_reaches_the_parameters() -> None:
    game = mtgan()
    with torch.no_grad():
        game.discriminator.adversarial.project.weight.normal_()  # type: ignore[union-attr,operator]
    for phase in game.phases():
        with torch.autocast("cpu", torch.bfloat16):
            terms = phase.losses(batch(game))
        parameters = dict(game.players[phase.player].named_parameters())
        WeightedSum().backward(terms, list(parameters.values()))
        assert all(loss.dtype == torch.float32 for loss in terms.losses.values())
        silent = [key for key, p in parameters.items() if p.grad is None or p.grad.abs().sum() == 0]
        # A relativistic loss sees differences of logits, so no gradient reaches their common bias.
        assert set(silent) <= {"network.adversarial.judge.bias"}


def test_grey_images_have_no_channels_to_show() -> None:
    assert beside_its_channels(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 8, 8)
    colour = torch.rand(2, 3, 8, 8)
    shown = beside_its_channels(colour)
    assert shown.shape == (2, 3, 8, 32)
    assert torch.equal(shown[:, 2, :, 8:16], colour[:, 0])


def test_a_lazy_penalty_is_scaled_by_its_interval() -> None:
    direct = mtgan().phases()[0].losses(batch(mtgan())).losses
    lazy = {phase.name: phase for phase in mtgan(regularizers=[R1(every=4), R2(every=2)]).phases() if phase.is_lazy}
    for name, every in (("r1", 4), ("r2", 2)):
        assert lazy[name].every == every
        losses = lazy[name].losses(batch(mtgan())).losses
        assert losses[name].item() == pytest.approx(every * direct[name].item(), rel=1e-5)


def test_the_heads_learn_from_real_images_only() -> None:
    game = mtgan()
    supervision = game.discriminator.supervision
    assert supervision is not None
    fake = torch.randn(8, 16, requires_grad=True)
    targets = game.targets(batch(game))
    total = sum(supervision.discriminator_losses(torch.randn(8, 16), fake, targets, targets).values())
    assert torch.autograd.grad(total, fake, allow_unused=True)[0] is None  # type: ignore[arg-type]


def test_a_row_of_samples_does_not_contradict_itself() -> None:
    wanted, captions = Samples(num_rows=10).conditions(mtgan())
    assert wanted["red"].tolist() == list(range(10)) and captions[4].startswith("red 4")
    assert torch.equal(wanted["red"] % 2 == 0, wanted["even"][:, 0].bool())


def test_a_twin_is_maximised_by_the_generator() -> None:
    game = mtgan(supervision=TwinHeads)
    heads = game.discriminator.supervision
    assert isinstance(heads, TwinHeads)
    features, targets = torch.randn(8, 16), game.targets(batch(game))
    for name, task in heads.tasks.items():
        expected = task.loss(heads.heads[name](features), targets[name]) - task.loss(
            heads.twins[name](features), targets[name]
        )
        assert heads.generator_losses(features, targets)[name].item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_constraint_pulls_the_generator_alone() -> None:
    game = mtgan()
    names = [set(phase.losses(batch(game)).losses) for phase in game.phases()]
    assert not {"colour", "texture"} & names[0]
    assert {"colour", "texture"} <= names[1]


def test_a_shared_embedding_needs_a_loss() -> None:
    spec = StackedDigits(tasks=("red",)).spec
    with pytest.raises(UserError, match="no task loss"):
        mtgan(spec=spec, supervision=None, embedding_owner="shared")


def test_self_supervised_tasks_keep_their_weights_apart() -> None:
    game = mtgan(self_supervision=[rotation, jigsaw])
    names = [set(phase.losses(batch(game)).losses) for phase in game.phases()]
    assert {"rotation", "jigsaw"} <= names[0] and {"rotation", "jigsaw"} <= names[1]
    assert [phase.unbounded for phase in game.phases()] == [frozenset(), frozenset({"jigsaw"})]
    right = game.recognised(torch.rand(5, 3, 8, 8))
    assert right.keys() == {"rotation", "jigsaw"} and right["rotation"].shape == (5,)


def test_self_supervised_tasks_leave_the_other_losses_alone() -> None:
    plain, more = mtgan(), mtgan(self_supervision=[rotation])
    more.load_state_dict({**more.state_dict(), **plain.state_dict()})
    for one, other in zip(plain.phases(), more.phases(), strict=True):
        losses, others = (phase.losses(batch(plain)).losses for phase in (one, other))
        assert all(torch.equal(losses[name], others[name]) for name in losses)
        assert set(others) - set(losses) == {"rotation"}


def test_self_supervised_tasks_that_do_not_fit_are_named() -> None:
    with pytest.raises(UserError, match="self_supervision has `rotation` twice"):
        mtgan(self_supervision=[rotation, rotation])
    with pytest.raises(UserError, match="packing is 2, but the head of `rotation` answers for one image"):
        mtgan(
            self_supervision=[rotation], packing=2, supervision=None, embedding=None, adversarial_head=UnconditionalHead
        )
    with pytest.raises(UserError, match="task `rotation` has the name of another loss"):
        mtgan(self_supervision=[rotation], spec=DataSpec(8, 3, (TaskSpec("rotation", TaskKind.CLASSIFICATION, 4),)))


def test_two_owners_are_refused() -> None:
    game = mtgan()
    game.players["third"] = game.generator.lift
    with pytest.raises(ValueError, match="one owner"):
        game.check()


def test_a_game_learns_one_batch() -> None:
    """The heads fit eight images, so gradients reach the trunk through every part."""
    game = mtgan()
    first = play(game, "discriminator")["red"].item()
    for _ in range(100):
        last = play(game, "discriminator", rate=0.02)["red"].item()
    assert last < first / 2
