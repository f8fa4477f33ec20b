"""The Game that enhances and recognises in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.cli import main
from lightning_mtgan.corruptions import BoxInpainting, Damaged, Denoising, LowContrast
from lightning_mtgan.data import Digits
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.recognition import recognition_figures
from lightning_mtgan.evaluation.restoration import damage
from lightning_mtgan.games.joint_enhancement import JointEnhancement
from lightning_mtgan.networks import ConvTrunk, UNet
from lightning_mtgan.networks.joint_network import JointNetwork
from lightning_mtgan.networks.nested_network import NestedNetwork
from lightning_mtgan.networks.parallel_network import ParallelNetwork
from lightning_mtgan.networks.sharing import HardSharing, SoftSharing
from lightning_mtgan.supervision import ADCHeads, AuxiliaryHeads, AuxiliaryHeadsOnBoth, BranchedHeads, TwinHeads
from lightning_mtgan.tasks import MeanColour
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec, part_of

CONFIG = Path(__file__).parents[1] / "conf" / "nested.yaml"
DATA = Digits(batch_size=6)
BRIGHTNESS = TaskSpec("brightness", TaskKind.CONSTRAINT, 1, measure=MeanColour())
NAMES = ("box_inpainting", "denoising", "low_contrast")
NEED_FAKES = (ADCHeads, AuxiliaryHeadsOnBoth, TwinHeads)


def nested(spec: DataSpec, dim: int, passes_gradient: bool = True) -> JointNetwork:
    return NestedNetwork(
        spec,
        dim,
        lambda spec, dim, encoder: UNet(spec, dim, encoder, width=4, num_halvings=1, num_blocks=1),
        lambda spec: ConvTrunk(spec, width=4, num_features=6),
        passes_gradient,
    )


def stopped(spec: DataSpec, dim: int) -> JointNetwork:
    return nested(spec, dim, passes_gradient=False)


def parallel(sharing: type = HardSharing) -> Callable[[DataSpec, int], JointNetwork]:
    return lambda spec, dim: ParallelNetwork(spec, dim, sharing, width=4, num_features=6, num_halvings=1, num_blocks=1)


def joint(network: Callable[[DataSpec, int], JointNetwork] = nested, **changes: object) -> JointEnhancement:
    parts: dict[str, object] = {
        "spec": DATA.spec,
        "corruptions": [BoxInpainting(), Denoising(), LowContrast()],
        "network": network,
        "supervision": AuxiliaryHeads,
        "embedding_dim": 4,
    }
    torch.manual_seed(0)
    game = JointEnhancement(**{**parts, **changes})  # type: ignore[arg-type]
    with torch.no_grad():  # what starts at zero hides what stands before it
        for parameter in game.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return game


@pytest.fixture(params=[nested, stopped, parallel(), parallel(SoftSharing)], name="game")
def _game(request: pytest.FixtureRequest) -> JointEnhancement:
    return joint(request.param)


def batch(step: int = 1) -> Batch:
    rows = DATA.dataset("train")[torch.arange(6)]
    return {"image": rows["image"] / 127.5 - 1, "targets": rows["targets"], "draws": Draws(seed=3, step=step)}


def step(game: JointEnhancement, weights: dict[str, float | None]) -> dict[str, Tensor]:
    """What an Adam step of the only phase moves the parameters by."""
    (phase,) = game.phases()
    parameters = list(game.players[phase.player].parameters())
    before = {name: p.detach().clone() for name, p in game.named_parameters()}
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    WeightedSum(weights).backward(phase.losses(batch()), parameters)
    optimizer.step()
    return {name: (p - before[name]).detach() for name, p in game.named_parameters()}


def test_one_player_owns_every_parameter_and_all_learn(game: JointEnhancement) -> None:
    game.check()
    assert list(game.players) == ["generator"]
    owned = list(game.players["generator"].parameters())
    assert {id(p) for p in owned} == {id(p) for p in game.parameters()}
    moved = step(game, {})
    assert all(bool(change.any()) for change in moved.values())


@pytest.mark.parametrize("network", [nested, stopped])
def test_the_tasks_alone_move_the_enhancer_only_if_they_may(network: Callable[..., JointNetwork]) -> None:
    moved = step(joint(network), dict.fromkeys(NAMES, 0.0))
    enhancer = {name: change for name, change in moved.items() if "nested.first" in name or "embedding" in name}
    others = {name: change for name, change in moved.items() if name not in enhancer}
    assert enhancer and others and all(bool(change.any()) for change in others.values())
    for name, change in enhancer.items():
        assert bool(change.any()) == (network is nested), name


def test_losses_are_those_of_each_part() -> None:
    game, given = joint(spec=replace(DATA.spec, tasks=(*DATA.spec.tasks, BRIGHTNESS))), batch()
    found = game.losses(given)
    damaged, index = game.damaged(given)
    condition = game.embedding(index)
    restored, features = game.network(damaged.image, damaged.known, condition)
    assert found.losses.keys() == {*NAMES, "digit", "brightness"} and found.penalties == frozenset()
    assert len(found.pivot) == 1 and torch.equal(found.pivot[0], restored) and game.phases()[0].has_pivot
    for number, name in enumerate(NAMES):
        errors = []
        for row in range(6):
            if index[row] == number:
                lost = damaged.known[row, 0] == 0
                errors.append((restored[row][:, lost] - given["image"][row][:, lost]).abs().mean())
        expected = torch.stack(errors).mean().item() if errors else 0.0
        assert found.losses[name].item() == pytest.approx(expected, abs=1e-6)
    odds = game.supervision.predictions(features)["digit"].log_softmax(1)
    likely = [odds[row, given["targets"]["digit"][row]] for row in range(6)]
    assert found.losses["digit"].item() == pytest.approx(-torch.stack(likely).mean().item(), abs=1e-6)
    constraint = game.tasks["brightness"]
    expected = game.constraints["brightness"].image_loss(restored, constraint.target(given))
    assert found.losses["brightness"].item() == pytest.approx(expected.item(), abs=1e-6)


def test_penalties_of_the_structure_are_losses() -> None:
    found = joint(parallel(SoftSharing)).losses(batch())
    assert found.penalties == {"soft_sharing"} and found.losses["soft_sharing"].requires_grad
    assert found.pivot == ()


def test_micro_batches_add_up_to_the_batch(game: JointEnhancement) -> None:
    together = game.losses(batch()).losses
    parts = [game.losses(part_of(batch(), part, 3)).losses for part in range(3)]
    for name, loss in together.items():
        mean = torch.stack([losses[name] for losses in parts]).mean()
        assert mean.item() == pytest.approx(loss.item(), abs=1e-6), name


def test_restored_images_keep_what_is_known(game: JointEnhancement) -> None:
    image, known = 2 * torch.rand(2, 1, 11, 9) - 1, (torch.rand(2, 1, 11, 9) < 0.5).float()
    given = Damaged(image * known, known)
    made = game.restore(given, ["box_inpainting", "denoising"])
    assert made.shape == image.shape and made.abs().max() <= 1
    assert torch.equal(made * known, image * known)
    assert not torch.equal(made, game.restore(given, ["denoising", "box_inpainting"]))


def test_tiles_overlap_by_the_enhancers_margin() -> None:
    game = joint()
    assert isinstance(game.network, NestedNetwork)
    assert game.margin == game.network.nested.first.margin
    assert joint(parallel()).margin is None  # a structure may look at the whole image


def test_what_is_recognised_is_what_the_heads_learn(game: JointEnhancement) -> None:
    damaged, index = game.damaged(batch())
    said = game.recognise(damaged, [NAMES[number] for number in index])["digit"]
    loss = game.tasks["digit"].loss(said, batch()["targets"]["digit"])
    assert loss.item() == pytest.approx(game.losses(batch()).losses["digit"].item(), abs=1e-6)


def test_images_as_they_are_are_judged_as_damaged_by_nothing(game: JointEnhancement) -> None:
    logits, heads = game.judge(batch())
    image = batch()["image"]
    expected = game.recognise(Damaged(image, torch.zeros_like(image)), ["box_inpainting"] * 6)
    assert logits is None and torch.equal(heads["digit"], expected["digit"])


def test_the_average_holds_what_restoring_and_recognising_read(game: JointEnhancement) -> None:
    average, (damaged, _) = ParameterAverage(game, half_life=1000, rampup=1.0), game.damaged(batch())
    names = ["denoising"] * 6
    with torch.no_grad():
        before = game.restore(damaged, names), game.recognise(damaged, names)["digit"]
        for parameter in game.parameters():
            parameter += 0.05
        assert not torch.equal(game.recognise(damaged, names)["digit"], before[1])
        with average.applied():
            assert torch.equal(game.restore(damaged, names), before[0])
            assert torch.equal(game.recognise(damaged, names)["digit"], before[1])


def test_own_accuracy_is_that_on_damaged_images() -> None:
    game, images = joint(), DATA.dataset("held_out")
    figures = recognition_figures(game, images, 70, seed=5)
    assert {"own_accuracy/digit", "own_calibration/digit"} == figures.keys()
    rows = images[torch.arange(70)]
    right = 0
    with torch.no_grad():
        for name in NAMES:
            damaged = damage(game.corruptions[name], rows["image"] / 127.5 - 1, 5)
            said = game.recognise(damaged, [name] * 70)["digit"].argmax(1)
            right += int((said == rows["targets"]["digit"]).sum())
    assert 0 < right < 210 and figures["own_accuracy/digit"] == pytest.approx(right / 210)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"corruptions": []}, "model.game.corruptions is empty"),
        ({"embedding_dim": 0}, "model.game.embedding_dim is 0"),
        ({"spec": replace(DATA.spec, tasks=())}, "the data has no task to recognise; use MTS4GAN"),
        ({"spec": replace(DATA.spec, tasks=(BRIGHTNESS,))}, "the data has no task to recognise; use MTS4GAN"),
        (
            {"spec": replace(DATA.spec, tasks=(TaskSpec("denoising", TaskKind.CLASSIFICATION, 3),))},
            "task `denoising` has the name of another loss",
        ),
        (
            {
                "spec": replace(DATA.spec, tasks=(TaskSpec("soft_sharing", TaskKind.CLASSIFICATION, 3),)),
                "network": parallel(SoftSharing),
            },
            "task `soft_sharing` has the name of another loss",
        ),
        *(({"supervision": heads}, f"{heads.__name__}, which learn on generated images") for heads in NEED_FAKES),
        (
            {"supervision": lambda tasks, size: BranchedHeads(tasks, size, TwinHeads, [["digit"]])},
            "has TwinHeads, which learn on generated images",
        ),
        ({"spec": replace(DATA.spec, domains={"one": DATA.spec})}, "but the data is Domains"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        joint(**changes)


def test_the_command_line_trains_it(tmp_path: Path) -> None:
    keys = {
        **{"wandb": "off", "trainer.accelerator": "cpu", "trainer.enable_progress_bar": "false"},
        **{"trainer.max_steps": 3, "samples.every_kimg": 0, "fidelity.every_kimg": 0, "checkpoints.every_kimg": 0},
        "fidelity.final": '{"num_images": 200, "num_neighbour_images": 50, "kid_subsets": 2, "num_restored_images": 9}',
        "runs": tmp_path,
    }
    assert main([f"--config={CONFIG}", *(f"--{key}={value}" for key, value in keys.items())]) == 0
    figures = json.loads((tmp_path / "nested" / "version_0" / "summary.json").read_text())["figures"]
    assert 0 <= figures["head_accuracy/digit"] <= 1 and "psnr_gain/enhancement" in figures
