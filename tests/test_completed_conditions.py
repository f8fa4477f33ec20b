"""Generated images are asked for something also where real ones have no labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from lightning_mtgan import checkpoint
from lightning_mtgan.data import Domains, FewLabels, StackedDigits
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTGAN
from lightning_mtgan.games.asking import CompletedConditions
from lightning_mtgan.losses import NonSaturating
from lightning_mtgan.networks import ConvGenerator, ConvTrunk, ProjectionHead, TaskEmbedding, UnconditionalHead
from lightning_mtgan.regularizers import R1
from lightning_mtgan.supervision import AuxiliaryHeads
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec, is_known, part_of
from tests.conftest import Train, farthest, weights

COUNT = 24
FREE = FewLabels(StackedDigits(num_images=400, tasks=("red", "green", "blue")), 0.25)
"""Independent tasks, which are drawn each by itself."""
BOUND = FewLabels(StackedDigits(num_images=400, tasks=("red", "even", "ink", "colour")), 0.25)
"""Tasks that follow from the same stack, which are drawn as whole rows."""
SPECS = pytest.mark.parametrize("spec", [FREE.spec, BOUND.spec], ids=["free", "bound"])


def draws(step: int = 1, phase: str = "", seed: int = 3) -> Draws:
    return Draws(seed, step, phase, dtype=torch.float64)


def mtgan(spec: DataSpec, **changes: Any) -> MTGAN:
    parts: dict[str, Any] = {
        "generator": lambda spec, dim: ConvGenerator(spec, dim, latent_dim=8, width=8),
        "trunk": lambda spec: ConvTrunk(spec, width=8, num_features=16),
        "adversarial_head": UnconditionalHead,
        "adversarial": NonSaturating(),
        "embedding": lambda tasks, sizes: TaskEmbedding(tasks, sizes, 4),
        "supervision": AuxiliaryHeads,
        "embedding_owner": "generator",
        "regularizers": [R1()],
        "completes_conditions": True,
    }
    torch.manual_seed(0)
    return MTGAN(spec, **{**parts, **changes}).double()


def batch(spec: DataSpec, numbers: Draws | None = None, knows: float = 0.5) -> Batch:
    """Images in double precision, of which some lack all labels, and the third alone that of the second task."""
    data = next(data for data in (FREE, BOUND) if data.spec.tasks == spec.tasks)
    rows = data.data.dataset("train")[torch.arange(COUNT)]
    targets = {name: target.clone() for name, target in rows["targets"].items()}
    lacks = torch.arange(COUNT) >= knows * COUNT
    for name in targets:
        targets[name][lacks] = torch.nan if targets[name].is_floating_point() else -1
    second = targets[spec.tasks[1].name]
    second[2] = torch.nan if second.is_floating_point() else -1
    return {"image": rows["image"].double() / 127.5 - 1, "targets": targets, "draws": numbers or draws()}


def knows_all(known: Batch) -> Tensor:
    return torch.stack([is_known(target) for target in known["targets"].values()]).all(0)


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@SPECS
def test_conditions_are_targets_where_all_are_known_and_draws_elsewhere(spec: DataSpec) -> None:
    game, known = mtgan(spec), batch(spec)
    keeps, targets, found = knows_all(known), game.targets(known), game.conditions(known)
    assert keeps.sum() == COUNT / 2 - 1 and list(found) == [task.name for task in spec.tasks]
    for name, condition in found.items():
        assert condition.dtype == targets[name].dtype and condition.shape == targets[name].shape
        assert torch.equal(condition[keeps], targets[name][keeps]) and bool(is_known(condition).all())
    others = game.conditions(batch(spec, draws(seed=4)))
    for name in found:
        assert not torch.equal(found[name][~keeps], others[name][~keeps])


def test_without_it_fakes_are_asked_for_what_the_real_images_show() -> None:
    for spec in (FREE.spec, BOUND.spec):
        game, known = mtgan(spec, completes_conditions=False), batch(spec)
        assert game.completed is None and game.known_share == 0.25
        for name, condition in game.conditions(known).items():
            assert torch.equal(is_known(condition), is_known(game.targets(known)[name]))
            assert not is_known(condition).all() or name == "colour"
    whole = batch(BOUND.spec, knows=1)
    whole["targets"]["even"][2] = 1.0
    assert equal(mtgan(BOUND.spec).conditions(whole), mtgan(BOUND.spec).targets(whole))
    assert mtgan(DataSpec(8, 3)).conditions(whole) == {}


def contradictions(conditions: dict[str, Tensor]) -> int:
    """Images whose red digit is not as even as they say."""
    return int((conditions["even"][:, 0] != (conditions["red"] % 2 == 0)).sum())


def test_dependent_tasks_never_contradict() -> None:
    spec = BOUND.spec
    tasks, count = make_tasks(spec.tasks), 4000
    targets = {
        "red": torch.full((count,), -1),
        "even": torch.full((count, 3), torch.nan),
        "ink": torch.full((count, 3), torch.nan),
        "colour": torch.zeros(count, 3),
    }
    targets["even"][::3] = 1.0  # what is known of an image that lacks anything is not asked for
    found = CompletedConditions(spec, tasks)(targets, Draws(0))
    assert contradictions(found) == 0 and found["red"].unique().tolist() == list(range(10))
    assert 0.4 < found["even"].mean() < 0.6
    assert spec.joint is not None
    rows, real = (
        set(map(tuple, torch.cat([one[name].view(len(one["red"]), -1) for name in found], dim=1).tolist()))
        for one in (found, spec.joint)
    )
    assert rows <= real and len(rows) > 3000
    alone = CompletedConditions(replace(spec, joint=None), tasks)(targets, Draws(0))
    assert contradictions(alone) > count / 4  # each by itself they do
    game = mtgan(spec)
    for step in range(20):
        conditions = game.conditions(batch(spec, draws(step)))
        assert contradictions(conditions) == 0
        assert torch.allclose(conditions["ink"].double(), (conditions["colour"] + 1) / 2, atol=1e-3)


def test_single_tasks_follow_their_priors() -> None:
    prior = (0.7, 0.2, 0.1)
    spec = DataSpec(8, 1, (TaskSpec("kind", TaskKind.CLASSIFICATION, 3, (), (prior,), is_complete=False),))
    found = CompletedConditions(spec, make_tasks(spec.tasks))({"kind": torch.full((8000,), -1)}, Draws(0))["kind"]
    assert torch.allclose(found.bincount() / 8000, torch.tensor(prior), atol=0.03)


@SPECS
@pytest.mark.parametrize(("ranks", "parts"), [(2, 1), (1, 3), (2, 2)])
def test_ranks_and_micro_batches_equal_one_process(spec: DataSpec, ranks: int, parts: int) -> None:
    game, whole = mtgan(spec), batch(spec)
    size = COUNT // (ranks * parts)
    found: list[dict[str, Tensor]] = [{}] * (ranks * parts)
    for rank in range(ranks):
        numbers = [(part * ranks + rank) * size + row for part in range(parts) for row in range(size)]
        mine: Batch = {
            "image": whole["image"][numbers],
            "targets": {name: target[numbers] for name, target in whole["targets"].items()},
            "draws": replace(whole["draws"], rank=rank, world_size=ranks),
        }
        for part in range(parts):
            found[part * ranks + rank] = game.conditions(part_of(mine, part, parts))
    assert equal({name: torch.cat([one[name] for one in found]) for name in found[0]}, game.conditions(whole))


@SPECS
def test_they_are_the_same_in_each_phase_of_a_step_and_others_in_the_next(
    spec: DataSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = mtgan(spec, embedding_owner="shared", regularizers=[R1(every=4)])
    play: Callable[..., Any] = game.arena.play
    asked: list[dict[str, Tensor]] = []

    def record(known: Batch, conditions: dict[str, Tensor], moves_generator: bool) -> Any:
        asked.append(conditions)
        return play(known, conditions, moves_generator)

    monkeypatch.setattr(game.arena, "play", record)
    for step in (1, 2):
        for phase in game.phases():
            phase.losses(batch(spec, draws(step, phase.name)))
    assert [phase.name for phase in game.phases()] == ["discriminator", "r1", "shared", "generator"]
    assert all(equal(asked[0], one) for one in asked[1:4]) and all(equal(asked[4], one) for one in asked[5:])
    keeps = knows_all(batch(spec))
    for name in asked[0]:
        assert torch.equal(asked[0][name][keeps], asked[4][name][keeps])
        assert not torch.equal(asked[0][name], asked[4][name])


@SPECS
def test_what_is_learned_of_real_images_stays_and_all_generated_ones_count(spec: DataSpec) -> None:
    game, plain, known = mtgan(spec), mtgan(spec, completes_conditions=False), batch(spec)
    assert farthest(game.state_dict(), plain.state_dict()) == 0
    one, other = (some.discriminator_losses(known).losses for some in (game, plain))
    assert one.keys() == other.keys() and "r1" in one
    for name in one:
        close = torch.allclose(one[name], other[name], rtol=1e-12, atol=0)
        assert close == (name != "adversarial"), name
    terms, conditions = game.generator_losses(known), game.conditions(known)
    # By hand: the images that these conditions ask for, and the mean over every one of them.
    condition = game.arena.condition(conditions, known["image"])
    image = game.generator(draws().normal("latent", COUNT, 8), condition)
    assert torch.allclose(terms.pivot[0], image)
    assert game.discriminator.supervision is not None
    predictions = game.discriminator.supervision.predictions(game.discriminator.trunk(image))
    for name, task in game.tasks.items():
        if name in predictions:
            mean = torch.stack([task.losses(predictions[name], conditions[name])[row].mean() for row in range(COUNT)])
            assert bool(mean.isfinite().all())
            assert torch.allclose(terms.losses[name], mean.mean()), name
        else:
            assert torch.allclose(terms.losses[name], task.image_loss(image, conditions[name])), name  # type: ignore[attr-defined]
    nothing = batch(spec, knows=0)
    for some, counts in ((game, True), (plain, False)):
        losses = some.generator_losses(nothing).losses
        assert all((losses[name] > 0) == counts for name in predictions)


@SPECS
def test_sampling_asks_for_complete_conditions(spec: DataSpec) -> None:
    game, plain = mtgan(spec), mtgan(spec, completes_conditions=False)
    assert game.known_share == 1 and plain.known_share == 0.25
    found, gaps = (some.draw_conditions(2000, torch.Generator().manual_seed(0)) for some in (game, plain))
    assert all(bool(is_known(target).all()) for target in found.values())
    assert 0.2 < is_known(gaps["red"]).double().mean() < 0.3
    generator = torch.Generator().manual_seed(1)
    wanted = game.draw_conditions(16, generator)
    latent = torch.randn(16, 8, generator=generator).double()
    images = game.generator(latent, game.arena.condition(wanted, latent))
    assert torch.equal(game.sample(16, None, torch.Generator().manual_seed(1)), images)
    given = {"red": torch.full((16,), 7)}
    asked = game.draw_conditions(16, torch.Generator().manual_seed(0), given)
    assert (asked["red"] == 7).all() and all(bool(is_known(target).all()) for target in asked.values())


@pytest.mark.parametrize("owner", ["generator", "discriminator", "shared"])
def test_a_head_that_reads_the_condition_is_refused(owner: str) -> None:
    message = (
        r"^model\.game\.completes_conditions is true, but ProjectionHead would tell generated images by their "
        r"conditions; use lightning_mtgan\.networks\.UnconditionalHead$"
    )
    with pytest.raises(UserError, match=message):
        mtgan(FREE.spec, adversarial_head=ProjectionHead, embedding_owner=owner)
    mtgan(FREE.spec, adversarial_head=ProjectionHead, embedding_owner=owner, completes_conditions=False)


def test_a_training_with_few_labels_resumes_bit_by_bit(train: Train, tmp_path: Path) -> None:
    inner = {"class_path": "lightning_mtgan.data.StackedDigits", "init_args": {"tasks": ["red", "even"]}}
    few = {"batch_size": 16, "share": 0.1, "data": inner}
    path = tmp_path / "completed.yaml"
    path.write_text(yaml.safe_dump({"data": {"class_path": "lightning_mtgan.data.FewLabels", "init_args": few}}))
    game = "--model.game."
    arguments = [
        f"--config={path}",
        "--seed_everything=3",
        "--fidelity.final=null",
        "--data.data.num_images=400",
        f"{game}adversarial_head=lightning_mtgan.networks.UnconditionalHead",
        f"{game}embedding_owner=generator",
        f"{game}supervision=lightning_mtgan.supervision.AuxiliaryHeads",
        f"{game}completes_conditions=true",
        *[
            f"--model.balancers.{player}.weights.{weight}"
            for player in ("discriminator", "generator")
            for weight in ("even=0.5", "green=null", "blue=null")
        ],
    ]
    whole = train(*arguments, "--trainer.max_steps=4", runs="whole")
    train(*arguments, "--trainer.max_steps=2", runs="parts")
    parts = train(*arguments, "--trainer.max_steps=4", "--ckpt_path=last", runs="parts")
    assert farthest(weights(whole), weights(parts)) == 0
    path = whole / "checkpoints" / "last.ckpt"
    restored = checkpoint.build_game(checkpoint.read(path), path)
    assert restored.known_share == 1 and restored.spec.known_share == 0.1


def test_nested_few_labels_say_their_share() -> None:
    twice = FewLabels(FewLabels(StackedDigits(num_images=400), 0.5), 0.1)
    share = is_known(twice.dataset("train").targets()["red"]).double().mean().item()
    assert twice.spec.known_share == share


def test_domains_keep_the_share_of_the_first() -> None:
    few = FewLabels(StackedDigits(num_images=400), 0.1)
    assert Domains({"few": few}).spec.known_share == 0.1


def test_rows_with_gaps_are_not_asked_for() -> None:
    joint = {n: t.clone() for n, t in BOUND.data.spec.joint.items()}
    joint["red"][::2] = -1
    spec = replace(BOUND.spec, joint=joint, known_share=1.0)
    game = mtgan(spec)
    assert all(is_known(t).all() for t in game.conditions(batch(spec)).values())
    assert all(is_known(t).all() for t in game.draw_conditions(500, torch.Generator()).values())


def test_numbers_known_in_part() -> None:
    spec = DataSpec(8, 1, (TaskSpec("n", TaskKind.REGRESSION, 2, is_complete=False),))
    found = CompletedConditions(spec, make_tasks(spec.tasks))({"n": torch.tensor([[1.0, torch.nan]])}, Draws(0))
    assert not found["n"].isnan().any()
