"""Enhancement without pairs: what is damaged, what stays clean, and that no loss sees both of one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.cli import main
from lightning_mtgan.corruptions import Colourisation, Corruption, Damaged, Denoising
from lightning_mtgan.data import Photos
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import UnpairedEnhancement
from lightning_mtgan.games.patches import Patches
from lightning_mtgan.losses import (
    Hinge,
    LeastSquares,
    NonSaturating,
    RelativisticAverageLeastSquares,
    preservation_distance,
)
from lightning_mtgan.networks import PatchTrunk, UNet
from lightning_mtgan.regularizers import R1, GradientPenalty, LatentConsistency, LeCam, PathLength
from lightning_mtgan.types import Batch, part_of
from tests.conftest import SMALL, Train, arguments_of, weights

CONFIG = Path(__file__).parents[1] / "conf" / "enhancement_unpaired.yaml"
DATA = Photos(batch_size=8, image_size=16, num_images=64, tasks=())


class Constant(Corruption):
    """Leaves the same images whatever they were."""

    name = "constant"

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        left = torch.rand(image.shape, generator=torch.Generator().manual_seed(5)).to(image.dtype)
        return Damaged(left, torch.zeros_like(left[:, :1]))


def unpaired(**changes: object) -> UnpairedEnhancement:
    parts: dict[str, object] = {
        "spec": DATA.spec,
        "corruptions": [Denoising(), Colourisation()],
        "generator": lambda spec, dim, encoder: UNet(spec, dim, encoder, width=4, num_blocks=1),
        "trunk": lambda spec: PatchTrunk(spec, width=4, num_features=8),
        "local_trunk": lambda spec: PatchTrunk(spec, width=4, num_halvings=1, num_features=8),
        "adversarial": RelativisticAverageLeastSquares(),
        "local_adversarial": LeastSquares(),
        "num_patches": 3,
        "patch_size": 6,
        "regularizers": [R1()],
        "embedding_dim": 4,
    }
    torch.manual_seed(0)
    game = UnpairedEnhancement(**{**parts, **changes})  # type: ignore[arg-type]
    with torch.no_grad():  # what starts at zero hides what stands before it
        for parameter in game.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return game


GAMES: dict[str, Callable[[], UnpairedEnhancement]] = {
    "as in the paper": unpaired,
    "one corruption, lazy penalty": lambda: unpaired(corruptions=[Denoising()], regularizers=[R1(every=4)]),
    "other losses": lambda: unpaired(
        adversarial=Hinge(), local_adversarial=NonSaturating(), regularizers=[LeCam(), GradientPenalty(every=2)]
    ),
}


@pytest.fixture(params=GAMES, name="game")
def _game(request: pytest.FixtureRequest) -> UnpairedEnhancement:
    return GAMES[request.param]()


def batch(step: int = 1, dtype: torch.dtype = torch.float32) -> Batch:
    image = DATA.dataset("train")[torch.arange(8)]["image"].to(dtype) / 127.5 - 1
    return {"image": image, "targets": {}, "draws": Draws(seed=3, step=step, dtype=dtype)}


def played(game: UnpairedEnhancement, name: str, given: Batch) -> dict[str, Tensor]:
    """The losses of a phase, whose gradients then stand at its player's parameters."""
    phase = next(phase for phase in game.phases() if phase.name == name)
    for player_name, player in game.players.items():
        player.requires_grad_(player_name == phase.player)
    game.zero_grad()
    terms = phase.losses({**given, "draws": given["draws"].at(name)})
    WeightedSum().backward(terms, list(game.players[phase.player].parameters()))
    return {loss: value.detach() for loss, value in terms.losses.items()}


def slopes(game: UnpairedEnhancement) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in game.named_parameters() if p.grad is not None}


# Players


def test_each_phase_changes_all_of_its_player_and_nothing_else(game: UnpairedEnhancement) -> None:
    game.check()
    for phase in game.phases():
        before = {name: p.detach().clone() for name, p in game.named_parameters()}
        losses = played(game, phase.name, batch())
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        torch.optim.SGD(game.players[phase.player].parameters(), lr=0.1).step()
        changed = {name for name, p in game.named_parameters() if not torch.equal(p, before[name])}
        owned = {name for name in before if name.startswith(f"players.{phase.player}.")}
        assert changed <= owned
        if phase.name == phase.player:
            # to one hinge or a difference nothing is to be gained by a bias
            assert owned - changed <= {"players.discriminator.network.adversarial.judge.bias"}, phase.name
        else:
            assert changed


def test_a_loss_of_differences_has_no_bias_to_wander_by_rounding() -> None:
    names = {name for name, _ in unpaired().named_parameters() if name.endswith("adversarial.judge.bias")}
    assert names == {"players.discriminator.local.adversarial.judge.bias"}


def test_losses_have_their_names_and_bounds() -> None:
    game = unpaired(adversarial=Hinge(), local_adversarial=LeastSquares(), regularizers=[R1(every=2)])
    assert {phase.name: (phase.every, phase.unbounded) for phase in game.phases()} == {
        "discriminator": (1, frozenset()),
        "r1": (2, frozenset()),
        "generator": (1, frozenset({"adversarial"})),
    }
    assert played(game, "discriminator", batch()).keys() == {"adversarial", "local_adversarial"}
    assert played(game, "generator", batch()).keys() == {
        "adversarial",
        "local_adversarial",
        "preservation",
        "local_preservation",
    }


@pytest.mark.parametrize("corruptions", [[Denoising()], [Denoising(), Colourisation()]])
def test_the_average_holds_what_restoring_reads(corruptions: list[Corruption]) -> None:
    game = unpaired(corruptions=corruptions)
    average, given = ParameterAverage(game, half_life=1000, rampup=1.0), game.damaged(batch())[0]
    names = [corruptions[-1].name] * 4
    with torch.no_grad():
        before = game.restore(given, names)
        for parameter in game.parameters():
            parameter += 0.05
        with average.applied():
            assert torch.equal(game.restore(given, names), before)
        for name in set(dict(game.named_parameters())) - set(average.state_dict()):
            dict(game.named_parameters())[name].fill_(float("nan"))
        assert torch.isfinite(game.restore(given, names)).all()


def test_several_corruptions_are_told_apart_and_one_is_not_told() -> None:
    several, one = unpaired(), unpaired(corruptions=[Denoising()])
    given = Damaged(torch.rand(1, 3, 21, 10), torch.zeros(1, 1, 21, 10))
    made = [several.restore(given, [name]) for name in ("denoising", "colourisation")]
    assert made[0].shape == given.image.shape and made[0].abs().max() <= 1
    assert not torch.equal(*made)
    assert not any("embedding" in name or "steer" in name for name, _ in one.named_parameters())
    assert one.judge(batch()) == (None, {})


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    found = []
    for seed in (3, 3, 4):
        game = unpaired()
        for step in range(2):
            for phase in game.phases():
                played(game, phase.name, {**batch(), "draws": Draws(seed, step)})
                torch.optim.SGD(game.players[phase.player].parameters(), lr=0.1).step()
        found.append(torch.cat([parameter.detach().flatten() for parameter in game.parameters()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


# Who sees what


def test_even_rows_are_damaged_and_odd_ones_stay_clean() -> None:
    game, given = unpaired(regularizers=[]), batch()
    damaged, index = game.damaged(given)
    for row in range(4):
        truth, left = given["image"][2 * row], damaged.image[row]
        name = game.mixture.names[int(index[row])]
        distances = [(left.mean(0) - image.mean(0)).abs().mean() for image in given["image"]]
        assert min(range(8), key=lambda number: float(distances[number])) == 2 * row, name
        assert not torch.equal(left, truth)
    seen: list[Tensor] = []
    for judge in game.players["discriminator"].values():  # type: ignore[operator]
        judge.trunk.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, :3]))
    with torch.no_grad():
        game.discriminator_losses(given)
        fake = game.restored(damaged, index)
    (whole, patches), places = seen, game.patches(given)
    torch.testing.assert_close(whole, torch.cat([given["image"][1::2], fake]))
    torch.testing.assert_close(patches, torch.cat([places(given["image"][1::2]), places(fake)]))


@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_the_truth_of_a_damaged_image_enters_no_loss(name: str) -> None:
    game = unpaired(corruptions=[Constant()], regularizers=[R1(), GradientPenalty()])
    given = batch()
    other, clean = given["image"].clone(), given["image"].clone()
    other[0::2] = torch.rand_like(other[0::2])
    clean[1::2] = torch.rand_like(clean[1::2])
    losses, with_other, with_clean = (played(game, name, {**given, "image": x}) for x in (given["image"], other, clean))
    assert all(torch.equal(loss, with_other[key]) for key, loss in losses.items())
    assert not torch.equal(losses["adversarial"], with_clean["adversarial"])


# Patches


def test_patches_are_cut_where_they_are_said_to_be() -> None:
    image = torch.rand(2, 3, 9, 12)
    patches = Patches.drawn(Draws(0), 200, 5, image)
    assert {row for row, _ in patches.corners} == set(range(5))
    assert {column for _, column in patches.corners} == set(range(8))
    cut = patches(image)
    for number, (row, column) in enumerate(patches.corners):
        for which in range(2):
            expected = torch.stack([image[which, :, row + i, column : column + 5] for i in range(5)], dim=1)
            assert torch.equal(cut[2 * number + which], expected)
    assert Patches.drawn(Draws(0), 3, 9, image[..., :9]).corners == ((0, 0),) * 3


def test_patches_are_the_same_in_a_step_and_others_in_the_next() -> None:
    game, given = unpaired(), batch()
    draws = given["draws"]
    places = game.patches(given)
    for same in (draws.at("generator"), draws.at("r1"), replace(draws, rank=1, world_size=2), draws.of_part(1, 2)):
        assert game.patches({**given, "draws": same}) == places
    steps = [game.patches(batch(step)).corners for step in range(8)]
    assert all(one != other for one, other in pairwise(steps))


# Preservation


def test_preservation_is_the_distance_of_normalised_features() -> None:
    before, after = ([torch.randn(2, 3, 4, 5), torch.randn(2, 6, 2, 3)] for _ in range(2))
    total = 0.0
    for one, other in zip(before, after, strict=True):
        gaps = []
        for image in range(2):
            for channel in range(one.shape[1]):
                a, b = one[image, channel], other[image, channel]
                gap = (a - a.mean()) / (a.var(correction=0) + 1e-5) ** 0.5
                gaps.append((gap - (b - b.mean()) / (b.var(correction=0) + 1e-5) ** 0.5).square().mean())
        total += float(torch.stack(gaps).mean()) / 2
    assert preservation_distance(before, after).item() == pytest.approx(total, rel=1e-5)


def test_preservation_ignores_gain_and_offset_of_each_channel() -> None:
    before = [torch.randn(2, 3, 8, 8, dtype=torch.float64) * 10]
    gain, offset = torch.rand(2, 2, 3, 1, 1, dtype=torch.float64) + 0.5
    assert preservation_distance(before, [before[0] * gain + 9 * offset]) < 1e-10
    assert preservation_distance(before, [-before[0]]).item() == pytest.approx(4)
    flat = [torch.full((2, 3, 8, 8), 0.3, requires_grad=True)]
    distance = preservation_distance([torch.full((2, 3, 8, 8), 0.7)], flat)
    distance.backward()
    assert distance == 0 and flat[0].grad is not None and torch.isfinite(flat[0].grad).all()


def test_what_is_preserved_is_the_damaged_image_and_no_gradient_goes_there() -> None:
    game, given = unpaired(corruptions=[Constant()]), batch()
    images = game.damaged(given)[0].image
    with torch.no_grad():
        for parameter in game.generator.to_image.parameters():
            parameter.zero_()  # what comes back is what went in
    losses = played(game, "generator", given)
    assert losses["preservation"] == 0 and losses["local_preservation"] == 0
    assert not preservation_distance([images.clone().requires_grad_()], [images]).requires_grad


# The same on any number of ranks and micro-batches


def test_ranks_and_micro_batches_add_up_to_the_batch() -> None:
    game = unpaired(adversarial=NonSaturating(), regularizers=[R1(), GradientPenalty(every=2)]).double()
    whole = batch(dtype=torch.float64)
    ranks = [
        {**whole, "image": whole["image"].chunk(2)[rank], "draws": replace(whole["draws"], rank=rank, world_size=2)}
        for rank in range(2)
    ]
    for halves in ([part_of(whole, part, 2) for part in range(2)], ranks):
        for phase in game.phases():
            losses = played(game, phase.name, whole)
            expected, total = slopes(game), dict[str, Tensor]()
            for half in halves:
                parts = played(game, phase.name, half)  # type: ignore[arg-type]
                losses = {name: loss - parts[name] / 2 for name, loss in losses.items()}
                total = {name: total.get(name, 0) + slope / 2 for name, slope in slopes(game).items()}
            assert max(abs(loss) for loss in losses.values()) < 1e-12
            assert expected.keys() == total.keys() and expected
            assert all(torch.allclose(expected[name], total[name], rtol=1e-9, atol=1e-12) for name in total)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"corruptions": []}, "model.game.corruptions is empty"),
        ({"num_patches": 0}, "model.game.num_patches is 0; use 1 or more"),
        ({"patch_size": 17}, "model.game.patch_size is 17, but images have 16 pixels; use 2 to 16"),
        ({"patch_size": 1}, "model.game.patch_size is 1"),
        ({"embedding_dim": 0}, "model.game.embedding_dim is 0"),
        ({"regularizers": [PathLength()]}, "PathLength, which needs a generator with latents"),
        ({"regularizers": [LatentConsistency()]}, "LatentConsistency, which needs a generator with latents"),
        ({"regularizers": [R1(), R1(every=2)]}, "has R1 twice"),
        ({"regularizers": [LeCam()]}, "LeCam, which reads logits themselves, but RelativisticAverageLeastSquares"),
        ({"spec": replace(DATA.spec, num_channels=1)}, "Colourisation needs"),
        ({"spec": replace(DATA.spec, domains={"one": DATA.spec})}, "but the data is Domains"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        unpaired(**changes)


def test_an_odd_batch_is_refused() -> None:
    given = batch()
    with pytest.raises(UserError, match=r"there are 7; use an even data.batch_size"):
        unpaired().damaged({**given, "image": given["image"][:7]})


# Through the command line


def test_trains_and_refuses_odd_batches(train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    common = [*arguments_of(CONFIG), "--data.image_size=16", "--data.batch_size=8", "--model.game.local_trunk.width=4"]
    assert all(torch.isfinite(tensor).all() for tensor in weights(train(*common, "--trainer.max_steps=3")).values())
    printed = capfd.readouterr().out
    assert "psnr_gain" in printed and "enhancement" in printed
    assert main([*SMALL, *common, "--data.batch_size=9", f"--runs={tmp_path / 'odd'}"]) == 2
    assert "data.batch_size 9 cannot be divided by 1 processes in packs of 2 images" in capfd.readouterr().err
