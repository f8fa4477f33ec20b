"""Discriminators whose tasks share layers by a structure: each head reads its own branch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy, leaky_relu, linear, relu

from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.config_files import merged
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTGAN
from lightning_mtgan.losses import Hinge
from lightning_mtgan.networks import ConvGenerator, ConvTrunk, ProjectionHead, TaskEmbedding, UnconditionalHead
from lightning_mtgan.networks.mixing import mixes_samples
from lightning_mtgan.networks.sharing import (
    MTAN,
    NDDR,
    PLE,
    ConvolutionalFusion,
    CrossStitch,
    FeatureFusion,
    GatedFusion,
    HardSharing,
    MMoE,
    Separate,
    Sharing,
    Sluice,
    SoftSharing,
    WeightedFusion,
)
from lightning_mtgan.networks.structured_trunk import StructuredTrunk
from lightning_mtgan.regularizers import R1
from lightning_mtgan.supervision import AuxiliaryHeads, ContrastiveHeads, TwinHeads
from lightning_mtgan.tasks import MeanColour
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec
from tests.conftest import ROOT

SPEC = DataSpec(
    8,
    3,
    (
        TaskSpec("kind", TaskKind.CLASSIFICATION, 3),
        TaskSpec("mean", TaskKind.CONSTRAINT, 3, prior=((0.0, 1.0),) * 3, measure=MeanColour()),
        TaskSpec("age", TaskKind.REGRESSION, 1, prior=((-1.0, 1.0),)),
    ),
)
BRANCHES = ("adversarial", "kind", "age")
CONDITION = 12
"""Length of what the generator is told: 4 for each task."""
STRUCTURES: dict[str, Callable[..., Sharing]] = {
    **{kind.__name__: kind for kind in (HardSharing, SoftSharing, Separate, CrossStitch, Sluice, NDDR, MTAN)},
    "MMoE": partial(MMoE, num_experts=2),
    "PLE": PLE,
    **{
        f"fusion by {fusion.__name__}": partial(FeatureFusion, fusion=fusion)
        for fusion in (WeightedFusion, GatedFusion, ConvolutionalFusion)
    },
}
PENALISED = {"SoftSharing": "soft_sharing", "Sluice": "orthogonality"}


@pytest.fixture(params=STRUCTURES, name="structure")
def _structure(request: pytest.FixtureRequest) -> str:
    return request.param


def mtgan(structure: str, **changes: object) -> MTGAN:
    sharing = STRUCTURES[structure]
    parts: dict[str, object] = {
        "spec": SPEC,
        "generator": lambda spec, dim: ConvGenerator(spec, dim, latent_dim=4, width=4),
        "trunk": lambda spec: StructuredTrunk(spec, sharing, width=4, branch_features=6),
        "adversarial_head": ProjectionHead,
        "adversarial": Hinge(),
        "embedding": lambda tasks, sizes: TaskEmbedding(tasks, sizes, 4),
        "supervision": AuxiliaryHeads,
    }
    torch.manual_seed(0)
    return MTGAN(**{**parts, **changes})  # type: ignore[arg-type]


def batch(num_images: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(num_images, 3, 8, 8, generator=generator) * 2 - 1
    targets = {"kind": torch.arange(num_images) % 3, "age": torch.randn(num_images, 1, generator=generator)}
    return {"image": image, "targets": targets, "draws": Draws(seed=3, step=1)}


def trunk_of(game: MTGAN) -> StructuredTrunk:
    trunk = game.discriminator.trunk
    assert isinstance(trunk, StructuredTrunk)
    return trunk


def unsettled(game: MTGAN) -> MTGAN:
    """With all parameters moved, so that nothing has the value that it begins with."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in game.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return game


def test_each_phase_changes_its_player_and_no_other(structure: str) -> None:
    game = mtgan(structure, regularizers=[R1(every=2)])
    game.check()
    for phase in game.phases():
        before = {name: copy.deepcopy(player.state_dict()) for name, player in game.players.items()}
        parameters = list(game.players[phase.player].parameters())
        terms = phase.losses(batch())
        assert all(loss.ndim == 0 and loss.isfinite() for loss in terms.losses.values())
        WeightedSum().backward(terms, parameters)
        torch.optim.SGD(parameters, lr=0.1).step()
        for name, player in game.players.items():
            parameters_of = dict(player.named_parameters())  # buffers of NDDR follow whatever they see
            changed = any(not torch.equal(one, before[name][key]) for key, one in parameters_of.items())
            assert changed == (name == phase.player), (phase.name, name)


def test_a_branch_for_realism_and_one_for_each_task_with_a_head(structure: str) -> None:
    trunk = trunk_of(mtgan(structure))
    image = batch()["image"]
    features = trunk(image)
    assert trunk.branches == BRANCHES
    assert features.shape == (4, trunk.num_features) == (4, 18)
    parts = [trunk.part(features, name) for name in BRANCHES]
    assert torch.equal(torch.cat(parts, dim=1), features)
    assert all(not torch.equal(parts[0], part) for part in parts[1:])


def test_features_of_an_image_do_not_depend_on_the_batch(structure: str) -> None:
    trunk = trunk_of(unsettled(mtgan(structure))).double()
    assert mixes_samples(trunk) == (structure == "NDDR")
    trunk.eval()
    image = batch(5)["image"].double()
    with torch.no_grad():
        together = trunk(image)
        alone = torch.cat([trunk(image[[index]]) for index in (3, 0, 4)])
    torch.testing.assert_close(together[[3, 0, 4]], alone)


@pytest.mark.parametrize("supervision", [AuxiliaryHeads, TwinHeads, ContrastiveHeads])
def test_each_head_reads_its_branch_alone(supervision: type) -> None:
    game = unsettled(mtgan("HardSharing", supervision=supervision))
    discriminator, trunk = game.discriminator, trunk_of(game)
    features = torch.randn(4, 18, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = game.targets(batch())
    assert discriminator.supervision is not None
    said = {"adversarial": discriminator.adversarial(features, torch.ones(4, CONDITION))}
    said |= discriminator.supervision.predictions(features)
    for losses in (
        discriminator.supervision.discriminator_losses(features, features, targets, targets),
        discriminator.supervision.generator_losses(features, targets),
    ):
        assert list(losses) == ["kind", "age"]
        said |= {f"{name} {number}": loss for number, (name, loss) in enumerate(losses.items())}
    for name, value in said.items():
        (gradient,) = torch.autograd.grad(value.square().sum(), features)
        reads = [bool(trunk.part(gradient, branch).any()) for branch in BRANCHES]
        assert reads == [branch == name.split()[0] for branch in BRANCHES], name
    assert discriminator.supervision.unbounded == (frozenset({"kind", "age"}) if supervision is TwinHeads else set())


def reached(game: MTGAN, loss: Tensor) -> set[str]:
    """The parameters of the trunk that a loss has a gradient for."""
    named = dict(game.discriminator.trunk.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return {name for name, one in zip(named, gradients, strict=True) if one is not None and bool(one.any())}


def test_separate_branches_learn_from_their_own_loss_alone() -> None:
    game = mtgan("Separate")
    losses = game.discriminator_losses(batch()).losses
    found = {name: reached(game, losses[name]) for name in BRANCHES}
    assert not found["adversarial"] & found["kind"] | found["kind"] & found["age"] | found["adversarial"] & found["age"]
    assert set.union(*found.values()) == {name for name, _ in game.discriminator.trunk.named_parameters()}
    assert len({len(names) for names in found.values()}) == 1


def test_losses_of_hard_sharing_are_those_of_a_plain_network() -> None:
    game = unsettled(mtgan("HardSharing"))
    network, given = trunk_of(game).network, batch()
    weights = list(network.sharing.parameters())
    assert len(weights) == 6  # a convolution, and at 8 x 8 pixels one halving of two

    def features(image: Tensor, branch: str) -> Tensor:
        first = leaky_relu(conv2d(image, *weights[:2], padding=1), 0.2)
        half = leaky_relu(conv2d(first, *weights[2:4], stride=2, padding=1), 0.2)
        last = (half + leaky_relu(conv2d(half, *weights[4:], padding=1), 0.2)) / 2**0.5
        gather = network.gather[branch]
        return leaky_relu(linear(last.flatten(1), gather.weight, gather.bias), 0.2)  # type: ignore[arg-type]

    targets = game.targets(given)
    fake = game.arena.play(given, targets, moves_generator=False).fake_image
    head = game.discriminator.adversarial
    condition = game.arena.condition(targets, fake)
    assert isinstance(head, ProjectionHead)

    def logits(image: Tensor) -> Tensor:
        seen = features(image, "adversarial")
        return (linear(seen, head.judge.weight, head.judge.bias)[:, 0]) + (head.project(condition) * seen).sum(1)

    found = game.discriminator_losses(given).losses
    heads = game.discriminator.supervision.heads  # type: ignore[union-attr]
    kind, age = (heads[name].heads[name](features(given["image"], name)) for name in ("kind", "age"))  # type: ignore
    standard = targets["age"] / 2**0.5  # the table -1, 1 has the deviation sqrt(2)
    gap = (age - standard).abs()
    expected = {
        "adversarial": relu(1 - logits(given["image"])).mean() + relu(1 + logits(fake)).mean(),
        "kind": cross_entropy(kind, targets["kind"]),
        "age": torch.where(gap < 1, gap.square() / 2, gap - 0.5).mean(),
    }
    assert list(found) == list(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss)


def test_penalties_are_the_discriminators_losses(structure: str) -> None:
    game = unsettled(mtgan(structure, regularizers=[R1()]))
    terms = game.discriminator_losses(batch())
    mine = {PENALISED[structure]} if structure in PENALISED else set()
    assert terms.penalties == {"r1", *mine}
    assert list(terms.losses) == ["adversarial", "kind", "age", "r1", *mine]
    assert all(terms.losses[name] > 0 for name in mine)
    assert not mine & game.generator_losses(batch()).losses.keys()


@pytest.mark.parametrize(("structure", "name"), PENALISED.items())
def test_a_penalty_has_a_weight(structure: str, name: str) -> None:
    game = unsettled(mtgan(structure))
    parameters = list(game.players["discriminator"].parameters())

    def gradients(weights: dict[str, float | None]) -> list[Tensor | None]:
        game.zero_grad()
        WeightedSum(weights).backward(game.discriminator_losses(batch()), parameters)
        return [None if one.grad is None else one.grad.clone() for one in parameters]

    penalty = trunk_of(game).penalties()[name]
    own = torch.autograd.grad(penalty, parameters, allow_unused=True)
    without, default, heavy = gradients({name: 0.0}), gradients({}), gradients({name: 3.0})
    assert any(one is not None and bool(one.any()) for one in own)
    for weight, found in ((1, default), (3, heavy)):
        for before, after, one in zip(without, found, own, strict=True):
            if before is not None and after is not None:
                torch.testing.assert_close(after, before if one is None else before + weight * one)


def test_copies_and_stored_parameters_play_the_same(structure: str) -> None:
    game = unsettled(mtgan(structure))
    duplicate = copy.deepcopy(game)
    restored = mtgan(structure)
    restored.load_state_dict(game.state_dict())
    expected = game.discriminator_losses(batch()).losses
    with torch.no_grad():  # which must not reach the copies
        for parameter in game.parameters():
            parameter.zero_()
    for other in (duplicate, restored):
        found = other.discriminator_losses(batch()).losses
        assert all(torch.equal(found[name], loss) for name, loss in expected.items())


def test_other_trunks_are_read_as_a_whole() -> None:
    game = mtgan("HardSharing", trunk=lambda spec: ConvTrunk(spec, width=4, num_features=6))
    torch.manual_seed(0)
    TaskEmbedding(SPEC.tasks, {name: task.code_size for name, task in game.tasks.items()}, 4)
    ConvGenerator(SPEC, CONDITION, latent_dim=4, width=4)
    trunk, head = ConvTrunk(SPEC, width=4, num_features=6), ProjectionHead(6, CONDITION)
    heads = AuxiliaryHeads({name: game.tasks[name] for name in ("kind", "age")}, 6)
    image = batch()["image"]
    features = game.discriminator.trunk(image)
    assert torch.equal(features, trunk(image))
    assert torch.equal(
        game.discriminator.adversarial(features, torch.ones(4, CONDITION)), head(features, torch.ones(4, CONDITION))
    )
    found = game.discriminator.supervision.predictions(features)  # type: ignore[union-attr]
    assert all(torch.equal(found[name], said) for name, said in heads.predictions(features).items())
    assert game.phases()[0].has_pivot
    assert game.discriminator_losses(batch()).pivot


def test_branches_have_no_features_in_common_to_compare_gradients_at() -> None:
    game = mtgan("HardSharing")
    assert not game.phases()[0].has_pivot
    assert game.discriminator_losses(batch()).pivot == ()


def test_without_tasks_only_realism_has_a_branch(structure: str) -> None:
    game = mtgan(structure, spec=DataSpec(8, 3), adversarial_head=UnconditionalHead)
    assert trunk_of(game).branches == ("adversarial",)
    assert {"adversarial"} <= game.discriminator_losses(batch()).losses.keys()


def test_a_configuration_names_the_structure() -> None:
    package = "lightning_mtgan.networks"
    sharing = {"class_path": f"{package}.sharing.CrossStitch", "init_args": {"own": 0.75}}
    trunk = {
        "class_path": f"{package}.structured_trunk.StructuredTrunk",
        "init_args": {"sharing": sharing, "width": 4, "branch_features": 6},
    }
    config = merged([ROOT / "conf" / "default.yaml"], {})["model"]["game"]
    config["init_args"]["trunk"] = trunk
    game = configured_game(config, SPEC)
    assert isinstance(game, MTGAN)
    assert isinstance(trunk_of(game).network.sharing, CrossStitch)


def test_what_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(
        UserError, match=r"model\.game\.supervision is null, but StructuredTrunk has a branch .*kind, age"
    ):
        mtgan("HardSharing", supervision=None)
    with pytest.raises(UserError, match=r"branch_features is 0; use 1 or more"):
        StructuredTrunk(SPEC, HardSharing, branch_features=0)
    with pytest.raises(UserError, match=r"model\.game\.trunk\.width is 0; use 1 or more"):
        StructuredTrunk(SPEC, HardSharing, width=0)
    for name, said in (("adversarial", "branch that judges realism"), ("soft_sharing", "rename it in the data")):
        spec = DataSpec(8, 3, (TaskSpec(name, TaskKind.CLASSIFICATION, 3),))
        with pytest.raises(UserError, match=f"`{name}` has the name of .*{said}"):
            mtgan("SoftSharing", spec=spec)
