"""Penalties and regularisers by hand, by naive references, by what theory says, and as parts of a game."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from lightning_mtgan.augment import Augmentation
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.losses import Hinge, RelativisticPairing
from lightning_mtgan.networks import UnconditionalHead
from lightning_mtgan.regularizers import (
    R1,
    R2,
    DiversitySensitive,
    FakeConsistency,
    FeatureMatching,
    GradientPenalty,
    LatentConsistency,
    LatentSpread,
    LeCam,
    ModeSeeking,
    Pass,
    PathLength,
    Play,
    RealConsistency,
    Regularizer,
    Seen,
)
from lightning_mtgan.types import Change, DataSpec, TaskKind, TaskSpec
from tests.test_games import batch, mtgan
from tests.test_games import play as take_turn


class Brighter(Augmentation):
    """A change without chance."""

    changes = frozenset({Change.COLOUR})

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        return image + 0.25


class Toy:
    """d(x) = sum of w x^power, G(z) = A z reshaped: everything can be worked out by hand."""

    def __init__(self, power: int = 1, num_images: int = 6, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.power, self.num_images = power, num_images
        self.weight = torch.randn(12, dtype=torch.float64, requires_grad=True)
        self.matrix = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
        self.image = torch.randn(num_images, 3, 2, 2, dtype=torch.float64)
        self.latent = torch.randn(num_images, 5, dtype=torch.float64)

    def logits(self, image: Tensor) -> Tensor:
        return image.flatten(1).pow(self.power) @ self.weight

    def generate(self, latent: Tensor) -> Tensor:
        return (latent @ self.matrix.T).view(-1, 3, 2, 2)

    def play(self, player: str, step: int = 3, part: int = 0, parts: int = 1) -> Play:
        def judge(image: Tensor, kind: str, track: bool) -> Seen:
            image = image.detach().requires_grad_() if track else image
            return Seen(Pass(image, image.flatten(1), self.logits(image)), slice(0, len(image)))

        draws = Draws(seed=1, step=step, dtype=torch.float64, part=part, parts=parts)
        return Play(
            draws,
            self.image,
            self.latent,
            self.generate,
            lambda latent: latent[:, None],
            lambda style, latent: self.generate(style[:, 0]),
            judge,
            moves_generator=player == "generator",
        )

    def loss(self, regularizer: Regularizer, **when: int) -> Tensor:
        return regularizer.loss(self.play(regularizer.player, **when))


ALL: dict[str, Callable[[], Regularizer]] = {
    "r1": R1,
    "r2": R2,
    "gradient_penalty": GradientPenalty,
    "consistency_real": lambda: RealConsistency(Brighter()),
    "consistency_fake": lambda: FakeConsistency(Brighter()),
    "latent_consistency": LatentConsistency,
    "latent_spread": LatentSpread,
    "lecam": lambda: LeCam(start=0),
    "path_length": lambda: PathLength(every=1),
    "mode_seeking": ModeSeeking,
    "diversity": DiversitySensitive,
    "feature_matching": FeatureMatching,
}


def test_a_linear_discriminator_has_its_weight_norm_as_r1_and_r2() -> None:
    toy = Toy()
    for regularizer in (R1(), R2()):
        assert toy.loss(regularizer).item() == pytest.approx(0.5 * toy.weight.square().sum().item(), rel=1e-12)


def test_a_linear_discriminator_has_a_slope_of_its_weight_norm_everywhere() -> None:
    toy = Toy()
    expected = (toy.weight.norm() - 1).square().item()
    assert toy.loss(GradientPenalty()).item() == pytest.approx(expected, rel=1e-9)
    toy.weight = (toy.weight / toy.weight.norm()).detach().requires_grad_()
    assert toy.loss(GradientPenalty()).item() == pytest.approx(0, abs=1e-18)


def test_the_slope_is_taken_on_lines_between_both_kinds() -> None:
    toy = Toy(power=2)
    share = Draws(seed=1, step=3, dtype=torch.float64).uniform("between", 6, 1, 1, 1)
    middle = share * toy.image + (1 - share) * toy.generate(toy.latent)
    slopes = (2 * middle.flatten(1) * toy.weight).norm(dim=1)
    assert toy.loss(GradientPenalty()).item() == pytest.approx((slopes - 1).square().mean().item(), rel=1e-9)


def test_r1_of_a_square_by_hand() -> None:
    toy = Toy(power=2)
    slopes = 2 * toy.image.flatten(1) * toy.weight
    assert toy.loss(R1()).item() == pytest.approx(0.5 * slopes.square().sum(1).mean().item(), rel=1e-9)


def test_consistency_by_hand() -> None:
    toy = Toy()
    expected = (0.25 * toy.weight.sum()).square().item()
    for regularizer in (RealConsistency(Brighter()), FakeConsistency(Brighter())):
        assert toy.loss(regularizer).item() == pytest.approx(expected, rel=1e-9)


def test_latent_consistency_and_spread_by_hand() -> None:
    toy = Toy()
    step = 0.1 * Draws(seed=1, step=3, dtype=torch.float64).normal("latent/step", 6, 5)
    moved = toy.generate(step)  # linear: the difference of images is the image of the difference
    assert toy.loss(LatentSpread(step=0.1)).item() == pytest.approx(-moved.square().mean().item(), rel=1e-9)
    expected = toy.logits(moved).square().mean().item()
    assert toy.loss(LatentConsistency(step=0.1)).item() == pytest.approx(expected, rel=1e-9)


def test_path_length_by_hand() -> None:
    toy, regularizer = Toy(), PathLength(every=1).double()
    regularizer.mean_length.fill_(0.7)
    noise = Draws(seed=1, step=3, dtype=torch.float64).normal("path/noise", 6, 3, 2, 2) / 2
    lengths = (noise.flatten(1) @ toy.matrix).norm(dim=1)
    assert toy.loss(regularizer).item() == pytest.approx((lengths - 0.7).square().mean().item(), rel=1e-9)
    assert regularizer.mean_length.item() == pytest.approx(0.99 * 0.7 + 0.01 * lengths.mean().item(), rel=1e-9)


def test_a_generator_that_turns_latents_has_a_path_length_of_one() -> None:
    toy, regularizer = Toy(num_images=2000), PathLength(every=1, decay=0.0).double()
    toy.matrix = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))[0]
    toy.latent = torch.randn(2000, 12, dtype=torch.float64)
    toy.loss(regularizer)  # ||Q^T y|| = ||y||, and E ||y||^2 = channels
    assert regularizer.mean_length.item() == pytest.approx(3**0.5, rel=0.02)


def test_mode_seeking_and_diversity_by_hand() -> None:
    toy = Toy()
    other = Draws(seed=1, step=3, dtype=torch.float64).normal("latent/other", 6, 5)
    images = toy.generate(toy.latent - other).abs().flatten(1).mean(1)
    latents = (toy.latent - other).abs().mean(1)
    expected = 1 / ((images.mean() / latents.mean()).item() + 1e-5)
    assert toy.loss(ModeSeeking()).item() == pytest.approx(expected, rel=1e-9)
    limit = (images / latents).median().item()
    expected = -(images / latents).clamp(max=limit).mean().item()
    assert toy.loss(DiversitySensitive(limit=limit)).item() == pytest.approx(expected, rel=1e-9)


def test_feature_matching_by_hand() -> None:
    toy = Toy()
    gap = toy.image.flatten(1).mean(0) - toy.generate(toy.latent).flatten(1).mean(0)
    assert toy.loss(FeatureMatching()).item() == pytest.approx(gap.square().sum().item(), rel=1e-9)


def test_lecam_follows_a_naive_loop() -> None:
    toy, regularizer = Toy(), LeCam(decay=0.5, start=1).double()
    real_anchor = fake_anchor = 0.0
    for step in range(4):
        real, fake = toy.logits(toy.image), toy.logits(toy.generate(toy.latent))
        expected = 0.0
        if step >= 1:
            expected = sum(max(0.0, d - fake_anchor) ** 2 for d in real.tolist()) / 6
            expected += sum(max(0.0, real_anchor - d) ** 2 for d in fake.tolist()) / 6
        assert toy.loss(regularizer, step=step).item() == pytest.approx(expected, rel=1e-9)
        real_anchor = 0.5 * real_anchor + 0.5 * real.mean().item()
        fake_anchor = 0.5 * fake_anchor + 0.5 * fake.mean().item()
        toy.weight = (toy.weight * 1.5).detach().requires_grad_()


@pytest.mark.parametrize("name", ["lecam", "path_length"])
def test_what_is_remembered_does_not_depend_on_micro_batches(name: str) -> None:
    whole, parted = Toy(), Toy()
    one, other = ALL[name]().double(), ALL[name]().double()
    whole.loss(one)
    for part in range(2):
        half = Toy()
        half.image, half.latent = (rows[3 * part : 3 * part + 3] for rows in (parted.image, parted.latent))
        half.loss(other, part=part, parts=2)
    for key, value in one.state_dict().items():
        assert torch.allclose(value, other.state_dict()[key], rtol=1e-12)


@pytest.mark.parametrize("name", ["lecam", "path_length"])
def test_a_step_without_numbers_is_not_remembered(name: str) -> None:
    toy, regularizer = Toy(), ALL[name]().double()
    toy.loss(regularizer)
    before = {key: value.clone() for key, value in regularizer.state_dict().items() if key != "sums"}
    toy.image = toy.image * torch.nan
    toy.matrix = (toy.matrix * torch.nan).detach().requires_grad_()
    toy.loss(regularizer)
    for key, value in before.items():
        assert torch.equal(value, regularizer.state_dict()[key])


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    toy = Toy(power=2)
    regularizer = ALL[name]().double()
    state = {key: value.clone() for key, value in regularizer.state_dict().items()}
    moves = toy.matrix if regularizer.player == "generator" else toy.weight

    def loss(parameter: Tensor) -> Tensor:
        regularizer.load_state_dict(state)  # what is remembered must not change between two looks
        if regularizer.player == "generator":
            toy.matrix = parameter
        else:
            toy.weight = parameter
        return toy.loss(regularizer)

    assert gradcheck(loss, moves)


@pytest.mark.parametrize("name", ALL)
def test_every_regulariser_moves_only_its_player(name: str) -> None:
    game = mtgan(regularizers=[ALL[name]()], adversarial=Hinge())
    regularizer = game.regularizers[0]
    phase = next(phase for phase in game.phases() if phase.name == regularizer.player)
    assert name in phase.losses(batch(game)).losses
    before = {key: value.clone() for key, value in game.named_parameters()}
    take_turn(game, phase.name)
    moved = {key.split(".")[1] for key, value in game.named_parameters() if not torch.equal(value, before[key])}
    assert moved == {regularizer.player}


@pytest.mark.parametrize("name", [name for name, make in ALL.items() if make().player == "discriminator"])
def test_a_constant_discriminator_asks_for_nothing(name: str) -> None:
    game = mtgan(
        regularizers=[ALL[name]()],
        adversarial=Hinge(),
        adversarial_head=UnconditionalHead,
        supervision=None,
        embedding_owner="generator",
    )
    for parameter in game.discriminator.parameters():
        nn.init.zeros_(parameter)
    value = next(p for p in game.phases() if p.name == "discriminator").losses(batch(game)).losses[name]
    assert value.item() == pytest.approx(1.0 if name == "gradient_penalty" else 0.0, abs=1e-9)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kinds", [("r1",), ("r2",), ("r1", "r2")])
def test_penalties_are_the_same_in_every_arrangement(kinds: tuple[str, ...], lazy: bool) -> None:
    both = mtgan(regularizers=[R1(), R2()]).phases()[0].losses(batch(mtgan())).losses
    game = mtgan(regularizers=[ALL[kind](every=2) if lazy else ALL[kind]() for kind in kinds])  # type: ignore[call-arg]
    found: dict[str, Tensor] = {}
    for phase in game.phases():
        if phase.player == "discriminator":
            found |= phase.losses(batch(game)).losses
    for kind in kinds:
        assert found[kind].item() == pytest.approx(both[kind].item() * (2 if lazy else 1), rel=1e-5)


@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty", "path_length"])
def test_penalties_are_taken_in_full_precision_under_autocast(name: str) -> None:
    found = []
    for is_mixed in (False, True):
        game = mtgan(regularizers=[ALL[name]()])
        phase = next(phase for phase in game.phases() if phase.name == game.regularizers[0].player)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_mixed):
            found.append(phase.losses(batch(game)).losses)
    plain, mixed = found
    assert mixed["adversarial"].item() != plain["adversarial"].item()
    rel = 2e-2 if name in ("r2", "gradient_penalty") else 1e-5  # generated images come from a rounded generator
    assert mixed[name].item() == pytest.approx(plain[name].item(), rel=rel)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "never": (lambda: R1(every=0), "R1.every is 0"),
    "twice": (lambda: mtgan(regularizers=[R1(), R1()]), "has R1 twice"),
    "no logits of its own": (
        lambda: mtgan(regularizers=[LeCam()], adversarial=RelativisticPairing()),
        "LeCam, which reads logits themselves, but RelativisticPairing judges differences alone",
    ),
    "no step": (lambda: LatentSpread(step=0.0), "LatentSpread.step is 0.0"),
    "no limit": (lambda: DiversitySensitive(limit=0.0), "limit is 0.0"),
    "forgets nothing": (lambda: LeCam(decay=1.0), "LeCam.decay is 1.0"),
    "never the generator": (lambda: mtgan(generator_every=0), "generator_every is 0"),
    "no packs": (lambda: mtgan(packing=0), "packing is 0"),
    "packs and heads": (lambda: mtgan(packing=2), "task heads answer for one image each"),
    "packs and conditions": (lambda: mtgan(packing=2, supervision=None), "reads the condition of one image"),
    "forgets nothing of lengths": (lambda: PathLength(decay=1.5), "PathLength.decay is 1.5"),
    "no eps": (lambda: ModeSeeking(eps=0.0), "ModeSeeking.eps is 0.0"),
    "nobody teaches the embedding": (
        lambda: mtgan(adversarial_head=UnconditionalHead),
        "UnconditionalHead ignores the condition",
    ),
    "two losses of one name": (
        lambda: mtgan(
            spec=DataSpec(8, 3, (TaskSpec("diversity", TaskKind.CLASSIFICATION, 3),)),
            regularizers=[DiversitySensitive()],
        ),
        "task `diversity` has the name of another loss",
    ),
    "colour": (lambda: mtgan(augmentation=Brighter()), "makes the targets of task `red` false"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case: str) -> None:
    build, words = BAD[case]
    with pytest.raises(UserError, match=words):
        build()


def test_packs_are_judged_as_one() -> None:
    parts = {"adversarial_head": UnconditionalHead, "supervision": None, "embedding_owner": "generator"}
    game = mtgan(packing=2, regularizers=[R1(), R2()], **parts)
    assert game.discriminator.trunk.from_image.in_channels == 6  # type: ignore[union-attr]
    given = batch(game)
    seen = game.arena.play(given, game.targets(given), False).real
    assert seen.logits.shape == (4,)
    image = given["image"].clone()
    image[1] += 0.5  # the second image of the first pack
    other = game.arena.play({**given, "image": image}, game.targets(given), False).real
    assert (seen.logits != other.logits).tolist() == [True, False, False, False]
    logits, _ = game.judge(
        {**given, "image": given["image"][:7], "targets": {k: v[:7] for k, v in given["targets"].items()}}
    )
    assert logits is not None and logits.shape == (7,)


def test_augmentation_is_for_the_adversarial_head_where_tasks_see_clean_images() -> None:
    plain, clean = mtgan(), mtgan(augmentation=Brighter(), clean_tasks=True)
    one, other = (game.phases()[0].losses(batch(game)).losses for game in (plain, clean))
    assert one["adversarial"].item() != other["adversarial"].item()
    assert one["red"].item() == pytest.approx(other["red"].item(), rel=1e-5)
    one, other = (game.phases()[-1].losses(batch(game)).losses for game in (plain, clean))
    assert one["adversarial"].item() != other["adversarial"].item()
    assert one["red"].item() == pytest.approx(other["red"].item(), rel=1e-5)


def test_a_waiting_generator_is_regularised_as_often_as_it_plays() -> None:
    game = mtgan(generator_every=5, regularizers=[PathLength(every=4), R1(every=16)])
    phases = {phase.name: phase for phase in game.phases()}
    assert (phases["path_length"].every, phases["r1"].every) == (20, 16)
    now = mtgan(regularizers=[PathLength(every=1)])
    direct = next(phase for phase in now.phases() if phase.name == "generator").losses(batch(now)).losses
    lazy = phases["path_length"].losses(batch(game)).losses
    assert lazy["path_length"].item() == pytest.approx(4 * direct["path_length"].item(), rel=1e-5)


def test_a_generator_pleases_by_its_images_alone() -> None:
    game = mtgan(embedding_owner="generator", adversarial=Hinge(), supervision=None)
    head = game.discriminator.adversarial
    torch.nn.init.normal_(head.project.weight)  # type: ignore[union-attr]
    for player in game.players.values():
        player.requires_grad_(True)
    losses = game.phases()[-1].losses(batch(game)).losses
    given = batch(game)
    image = game.arena.play(given, game.targets(given), True).fake_image
    found = torch.autograd.grad(losses["adversarial"], list(game.embedding.parameters()))  # type: ignore[union-attr]
    features = game.discriminator.trunk(image)
    targets = {name: value.detach() for name, value in game.targets(given).items()}
    with torch.no_grad():
        told = game.arena.condition(targets, image)
    wanted = torch.autograd.grad(-head(features, told).mean(), list(game.embedding.parameters()))  # type: ignore[union-attr]
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_generator_plays_every_so_many_batches() -> None:
    phases = {phase.name: phase for phase in mtgan(generator_every=5).phases()}
    assert (phases["discriminator"].every, phases["generator"].every) == (1, 5)
    assert not phases["generator"].is_lazy
