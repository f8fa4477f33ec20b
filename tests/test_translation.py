"""Translations by one representation: who moves, what S is for, and what is measured."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import softplus

from lightning_mtgan import __main__ as tools
from lightning_mtgan.balancing import WeightedSum
from lightning_mtgan.callbacks.translation_pictures import translation_sheet
from lightning_mtgan.cli import main
from lightning_mtgan.data import DigitDomain, Domains, Edges, Negative, Plain
from lightning_mtgan.draws import Draws, seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import DigitDomainsEvaluator, Jury, Protocol, measurement_of
from lightning_mtgan.games import TranslationGame
from lightning_mtgan.losses import Hinge, NonSaturating, RelativisticPairing, Wasserstein
from lightning_mtgan.networks import DomainEncoder, LayeredTrunk, RepresentationDecoder
from lightning_mtgan.pictures import to_picture
from lightning_mtgan.regularizers import R1, R2, GradientPenalty, LatentSpread, LeCam
from lightning_mtgan.types import Batch, DataSpec
from tests.conftest import ROOT, SMALL, newest_run

MIXED = {"a": DataSpec(8, 1), "b": DataSpec(8, 3), "c": DataSpec(8, 1)}


def spec_of(domains: Mapping[str, DataSpec]) -> DataSpec:
    return replace(next(iter(domains.values()), DataSpec(8, 1)), domains=dict(domains))


def translating(
    domains: Mapping[str, DataSpec] = MIXED, kind: type[TranslationGame] = TranslationGame, **changes: Any
) -> Any:
    parts: dict[str, Any] = {
        "spec": spec_of(domains),
        "generator": lambda spec, *shape: RepresentationDecoder(spec, *shape, width=8, least_width=4),
        "trunk": lambda spec: LayeredTrunk(spec, width=8, least_width=4, num_features=6),
        "encoder": lambda spec: DomainEncoder(spec, width=8, num_halvings=1, least_width=4),
        "adversarial": NonSaturating(),
    }
    torch.manual_seed(0)
    game = kind(**{**parts, **changes})
    with torch.no_grad():  # heads that read S from the beginning
        for name in domains:
            for parameter in game.arena.discriminators.head(name).parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return game


def batch(game: TranslationGame, step: int = 0, count: int = 4, dtype: torch.dtype = torch.float32) -> Batch:
    domains: dict[str, Batch] = {}
    for name, spec in game.spec.domains.items():
        draw = torch.Generator().manual_seed(seed_of(name, step))
        image = torch.rand(count, spec.num_channels, spec.image_size, spec.image_size, generator=draw) * 2 - 1
        domains[name] = {"image": image.to(dtype), "targets": {}}  # type: ignore[typeddict-item]
    return {"domains": domains, "draws": Draws(seed=3, step=step, dtype=dtype)}  # type: ignore[typeddict-item]


def played(game: TranslationGame, phase_name: str, given: Batch, weight: float = 1.0) -> dict[str, Tensor]:
    """The losses of one phase, played as the module does, with a weight of the reconstructions."""
    phase = next(phase for phase in game.phases() if phase.name == phase_name)
    for name, player in game.players.items():
        player.requires_grad_(name == phase.player)
    game.zero_grad()
    terms = phase.losses({**given, "draws": given["draws"].at(phase.name)})
    weights: dict[str, float | None] = {name: weight for name in terms.losses if name.startswith("reconstruction")}
    WeightedSum(weights).backward(terms, list(game.players[phase.player].parameters()))
    return {name: loss.detach() for name, loss in terms.losses.items()}


def slopes(game: TranslationGame) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in game.named_parameters() if p.grad is not None}


VARIANTS: dict[str, Callable[[], TranslationGame]] = {
    "mixed": translating,
    "two domains": lambda: translating({name: MIXED[name] for name in "ab"}),
    "generators begin alike": lambda: translating(shared_generator_layers=3),
    "lazy R1, R2": lambda: translating(regularizers=[R1(every=4), R2()]),
    "Wasserstein": lambda: translating(adversarial=Wasserstein(), regularizers=[GradientPenalty()]),
    "relativistic": lambda: translating(adversarial=RelativisticPairing(), regularizers=[R1(), R2(every=2)]),
    "hinge, LeCam": lambda: translating(adversarial=Hinge(), regularizers=[LeCam(start=0)]),
}


@pytest.fixture(params=VARIANTS, name="game")
def _game(request: pytest.FixtureRequest) -> TranslationGame:
    return VARIANTS[request.param]()


# Who moves


def test_each_phase_changes_its_player_and_no_other(game: TranslationGame) -> None:
    game.check()
    lazy = [phase.name for phase in game.phases() if phase.is_lazy]
    assert [phase.name for phase in game.phases()] == ["discriminator", *lazy, "generator", "representation"]
    for phase in game.phases():
        old = {name: p.detach().clone() for name, p in game.named_parameters()}
        losses = played(game, phase.name, batch(game))
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        assert {name.rpartition("_")[2] for name in losses} == set(game.domains)
        torch.optim.SGD(game.players[phase.player].parameters(), lr=0.1).step()
        moved = {name for name, p in game.named_parameters() if not torch.equal(p, old[name])}
        assert moved and all(name.startswith(f"players.{phase.player}.") for name in moved)


def test_the_representation_is_a_constant_but_in_its_own_turn() -> None:
    game = translating(regularizers=[R1()])
    encoder = list(game.players["representation"].parameters())
    for phase in game.phases():
        losses = phase.losses({**batch(game), "draws": batch(game)["draws"].at(phase.name)}).losses
        for name, loss in losses.items():
            reached = torch.autograd.grad(loss, encoder, allow_unused=True, retain_graph=True)
            is_reached = any(one is not None and bool(one.any()) for one in reached)
            # Of the generator's losses, consistency passes through E, which the training holds fixed there.
            own = phase.player == "representation" or (phase.player == "generator" and "consistency" in name)
            assert is_reached == own, name


def test_discriminators_never_reach_generators(game: TranslationGame) -> None:
    for phase in game.phases():
        if phase.player == "discriminator":
            total = sum(phase.losses(batch(game)).losses.values())
            others = [*game.players["generator"].parameters(), *game.players["representation"].parameters()]
            assert all(one is None for one in torch.autograd.grad(total, others, allow_unused=True))  # type: ignore[arg-type]


@torch.no_grad()
def by_hand(game: TranslationGame, name: str, image: Tensor, others: Tensor, source: str) -> dict[str, float]:
    """A domain's losses, image by image."""
    encoder: Any = game.players["representation"]["network"]  # type: ignore[index]
    found = {"reconstruction": 0.0, "adversarial": 0.0, "consistency": 0.0}
    for truth, other in zip(image, others, strict=True):
        again, fake = game.translate(truth[None], name, name), game.translate(other[None], source, name)
        wanted, shown = (
            (s - s.mean()) / (s.var(correction=0) + 1e-5).sqrt() for s in map(encoder, (other[None], fake))
        )
        features = game.arena.discriminators.trunks({name: fake})[name]
        logit = game.arena.discriminators.head(name)(features, wanted.mean((2, 3)))
        found["reconstruction"] += float((again - truth).abs().mean()) / len(image)
        found["adversarial"] += float(softplus(-logit)) / len(image)
        found["consistency"] += float((shown - wanted).square().mean()) / len(image)
    return found


def test_the_losses_are_those_of_the_formula() -> None:
    game = translating().double()
    given = batch(game, dtype=torch.float64)
    found = played(game, "generator", given)
    own = played(game, "representation", given)
    images = {name: given["domains"][name]["image"] for name in game.domains}
    for name, source in game.arena.sources(given["draws"]).items():
        for loss, value in by_hand(game, name, images[name], images[source], source).items():
            assert found[f"{loss}_{name}"].item() == pytest.approx(value, rel=1e-9)
            assert own[f"{loss}_{name}"].item() == pytest.approx(value, rel=1e-9)


def test_lazy_penalties_are_those_of_every_step_times_their_interval() -> None:
    lazy, direct = (translating(regularizers=[R1(every=every), R2(every=every)]) for every in (4, 1))
    every = played(direct, "discriminator", batch(direct))
    for kind in ("r1", "r2"):
        for name, loss in played(lazy, kind, batch(lazy)).items():
            assert loss.item() == pytest.approx(4 * every[name].item(), rel=1e-4)


# Where images come from


def test_each_domain_gets_and_gives_images_once_in_a_step_and_all_pairs_come_up() -> None:
    game, pairs = translating({name: DataSpec(8, 1) for name in "abcd"}), set()
    for step in range(40):
        draws = Draws(seed=3, step=step)
        sources = game.arena.sources(draws.at("discriminator"))
        assert sources == game.arena.sources(replace(draws.at("generator"), rank=1, world_size=2, part=1, parts=3))
        assert sorted(sources.values()) == sorted(game.domains)
        pairs |= set(sources.items())
    assert pairs == {(one, other) for one in "abcd" for other in "abcd" if one != other}


def test_ranks_and_micro_batches_add_up_to_the_batch() -> None:
    for variant in (translating, lambda: translating(regularizers=[R1(), GradientPenalty(every=2)])):
        game, whole = variant().double(), batch(translating(), count=8, dtype=torch.float64)
        for phase in game.phases():
            losses = played(game, phase.name, whole)
            expected = slopes(game)
            total: dict[str, Tensor] = {}
            for rank in range(2):
                half = {
                    "domains": {n: {"image": d["image"].chunk(2)[rank]} for n, d in whole["domains"].items()},
                    "draws": replace(whole["draws"], rank=rank, world_size=2),
                }
                parts = played(game, phase.name, half)  # type: ignore[arg-type]
                losses = {name: loss - parts[name] / 2 for name, loss in losses.items()}
                total = {name: total.get(name, 0) + slope / 2 for name, slope in slopes(game).items()}
            assert max(abs(loss) for loss in losses.values()) < 1e-12
            assert expected.keys() == total.keys() and expected
            assert all(torch.allclose(expected[name], total[name], rtol=1e-9, atol=1e-12) for name in total)


# What S is for


def test_images_and_judgements_follow_s() -> None:
    game, given = translating(), batch(translating())
    turn = game.arena.turn(given)
    wrong = {name: shared.flip(0) for name, shared in turn.shared.items()}
    shown, other = game.arena.decoded(turn.shared), game.arena.decoded(wrong)
    right = game.arena.see({n: [x] for n, x in turn.real.items()}, {n: [s] for n, s in turn.shared.items()})
    beside = game.arena.see({n: [x] for n, x in turn.real.items()}, {n: [s] for n, s in wrong.items()})
    for name in game.domains:
        assert not torch.allclose(shown[name], other[name], atol=1e-3)
        torch.testing.assert_close(shown[name].flip(0), other[name])  # each image from its own S alone
        assert not torch.allclose(right[name][0].logits, beside[name][0].logits, atol=1e-4)
        logits, _ = game.judge_domain(name, given["domains"][name])
        torch.testing.assert_close(logits, right[name][0].logits)


def test_one_encoder_sees_grey_as_colour() -> None:
    encoder = DomainEncoder(DataSpec(16, 3), width=8, num_halvings=2)
    grey = torch.rand(2, 1, 16, 16)
    assert encoder(grey).shape == (2, encoder.num_features, 4, 4)
    assert torch.equal(encoder(grey), encoder(grey.repeat(1, 3, 1, 1)))
    decoder = RepresentationDecoder(DataSpec(16, 3), encoder.num_features, 2, width=8)
    assert decoder(encoder(grey)).shape == (2, 3, 16, 16)


def test_reconstructions_get_better() -> None:
    game = translating()
    given, errors = batch(game), []
    optimizers = {name: torch.optim.Adam(player.parameters(), lr=0.01) for name, player in game.players.items()}
    for step in range(30):
        for phase in game.phases():
            losses = played(game, phase.name, {**given, "draws": Draws(3, step)}, weight=100.0)
            optimizers[phase.player].step()
        errors.append(sum(float(losses[f"reconstruction_{name}"]) for name in game.domains))
    assert errors[-1] < 0.8 * errors[0]


def test_s_is_watched() -> None:
    game = translating()
    terms = next(phase for phase in game.phases() if phase.name == "generator").losses(batch(game))
    size, weight = terms.observed["representation/norm"]
    every = torch.cat(list(game.arena.turn(batch(game)).shared.values()))
    assert size.item() / weight.item() == pytest.approx(every.square().mean().sqrt().item(), rel=1e-5)
    assert terms.observed["representation/spread"][0] > 0


def test_same_seed_same_bits(game: TranslationGame) -> None:
    twin = copy.deepcopy(game)
    state = torch.get_rng_state()
    for one, other in zip(game.phases(), twin.phases(), strict=True):
        losses, same = one.losses(batch(game)).losses, other.losses(batch(game)).losses
        assert all(torch.equal(loss, same[name]) for name, loss in losses.items())
    assert torch.equal(state, torch.get_rng_state())


# What is measured


class Exact(TranslationGame):
    """Knows how the digits look in each domain, as it happens."""

    def translate(self, image: Tensor, source: str, target: str) -> Tensor:
        return image if source == target else -image


class Mistaken(Exact):
    """Shows the digit of another image."""

    def translate(self, image: Tensor, source: str, target: str) -> Tensor:
        return super().translate(image, source, target).flip(0)


PROTOCOL = Protocol(num_images=150, num_neighbour_images=50, num_copy_images=20, kid_subsets=2, num_restored_images=20)


def measured(kind: type[TranslationGame], jury: Jury) -> tuple[dict[str, float], dict[str, Any]]:
    data = Domains({"plain": DigitDomain(Plain()), "negative": DigitDomain(Negative())})
    game = translating(data.spec.domains, kind).eval()
    measurement = measurement_of(jury, data, game, None)
    fake, (real, known) = measurement.generate(PROTOCOL, 0), measurement.real_images(PROTOCOL)
    opinions = measurement.opinions(game, PROTOCOL, 0)
    figures = measurement.figures(fake, real, known, opinions, PROTOCOL, measurement.restorations(PROTOCOL, 0))
    assert figures is not None
    return figures


def test_translations_are_measured_against_their_sources() -> None:
    jury = Jury.of(DigitDomainsEvaluator(), None)
    assert jury is not None
    (right, facts), (wrong, _) = (measured(kind, jury) for kind in (Exact, Mistaken))
    for name in ("plain", "negative"):
        assert right[f"fid/{name}"] == pytest.approx(0, abs=0.01)
        assert right[f"translation_accuracy/digit@{name}"] > 0.95 > 0.5 > wrong[f"translation_accuracy/digit@{name}"]
        assert right[f"psnr/{name}"] > 60 > 30 > wrong[f"psnr/{name}"]
    one, other = (right[f"translation_accuracy/digit@{name}"] for name in ("plain", "negative"))
    assert right["translation_accuracy/digit"] == pytest.approx((one + other) / 2)
    assert right["translation_accuracy/digit@plain@negative"] == other
    assert not {"memorisation", "task_accuracy/digit"} & right.keys()
    assert facts["num_images"] == 150 and set(facts["domains"]) == {"plain", "negative"}


def test_sources_take_turns() -> None:
    data = Domains({name: DigitDomain(one) for name, one in
                    {"plain": Plain(), "negative": Negative(), "edges": Edges()}.items()})  # fmt: skip
    jury = Jury.of(DigitDomainsEvaluator(), None)
    assert jury is not None
    game = translating(data.spec.domains).eval()
    judged = measurement_of(jury, data, game, None).generate(replace(PROTOCOL, num_images=7), 0)["negative"]
    assert judged.wanted["source@"].tolist() == [0, 2, 0, 2, 0, 2, 0]
    truth = data.dataset("negative/reference")[torch.arange(7)]["targets"]["digit"]  # one order in all domains
    assert torch.equal(judged.wanted["digit"], truth)


def test_a_sheet_shows_each_image_beside_its_translations() -> None:
    game = translating({name: DataSpec(16, 1) for name in "ab"}, Exact).eval()
    images = {
        n: torch.full((count, 1, 16, 16), level, dtype=torch.uint8) for n, count, level in (("a", 2, 255), ("b", 3, 51))
    }
    picture = translation_sheet(game, images)
    cell = to_picture(torch.ones(1, 64, 64)).width + 4
    margin, middle = picture.width - 6 * cell, cell // 2
    rows = [
        [picture.getpixel((margin + column * cell + middle, row * cell + middle)) for column in range(6)]
        for row in range(2)
    ]
    assert [[pixel[0] for pixel in row] for row in rows] == [[255, 255, 0] * 2, [51, 204, 51] * 2]  # type: ignore[index]


# By the command line


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translation")
    protocol = '{"num_images": 60, "num_neighbour_images": 20, "num_copy_images": 0, "kid_subsets": 2}'
    arguments = [f"--fidelity.{when}={protocol}" for when in ("periodic", "final")]
    config = f"--config={ROOT / 'conf' / 'translation.yaml'}"
    assert main([config, *SMALL, *arguments, f"--runs={folder}", "--data.batch_size=4", "--trainer.max_steps=2"]) == 0
    return newest_run(folder) / "checkpoints" / "last.ckpt"


def test_a_folder_is_translated(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list((checkpoint.parents[1] / "samples").glob("*.png"))
    (tmp_path / "in").mkdir()
    Image.new("L", (16, 16), 200).save(tmp_path / "in" / "one.png")
    common = [f"--checkpoint={checkpoint}", f"--images={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"]
    assert tools.main(["translate", *common, "--source=plain", "--target", "blended", "edges"]) == 0
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert written == {"plain/one.png", "blended/one.png", "edges/one.png", "sheet.png"}
    with Image.open(tmp_path / "out" / "blended" / "one.png") as file:
        assert file.mode == "RGB"
    capsys.readouterr()
    assert tools.main(["translate", *common, "--source=green"]) == 2
    assert "--source green: this game has no such domain; it has plain, negative" in capsys.readouterr().err
    assert tools.main(["generate", f"--checkpoint={checkpoint}"]) == 2
    assert "it translates images; use the command translate" in capsys.readouterr().err


# Mistakes

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no domains": ({"domains": {}}, "take lightning_mtgan.data.Domains with two or more"),
    "one domain": ({"domains": {"a": DataSpec(8, 1)}}, "take lightning_mtgan.data.Domains with two or more"),
    "a bad name": ({"domains": {"a.b": DataSpec(8, 1), "c": DataSpec(8, 1)}}, "data.domains.a.b: a domain's name"),
    "sizes": ({"domains": {"a": DataSpec(8, 1), "b": DataSpec(16, 1)}}, "images of a have 8 pixels and those of b 16"),
    "channels": ({"domains": {"a": DataSpec(8, 3), "b": DataSpec(8, 4)}}, "images of 3 and of 4 channels"),
    "latents": ({"regularizers": [LatentSpread()]}, "LatentSpread, which needs a generator with latents"),
    "twice": ({"regularizers": [R1(), R1(every=2)]}, "R1 twice"),
    "logits": ({"adversarial": RelativisticPairing(), "regularizers": [LeCam()]}, "LeCam, which reads logits"),
    "never": ({"representation_every": 0}, "representation_every is 0; use 1"),
    "shared": ({"shared_generator_layers": -1}, "shared_generator_layers is -1; use 0"),
    "halvings": ({"encoder": lambda spec: DomainEncoder(spec, num_halvings=4)}, "num_halvings is 4, but images of 8"),
    "width": ({"encoder": lambda spec: DomainEncoder(spec, width=0)}, "width is 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_said_in_a_sentence(name: str) -> None:
    changes, expected = MISTAKES[name]
    with pytest.raises(UserError) as error:
        translating(**changes)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_mistakes_of_use() -> None:
    game = translating()
    with pytest.raises(UserError, match="domain z: this game has no such domain; it has a, b, c"):
        game.translate(torch.zeros(1, 1, 8, 8), "a", "z")
    with pytest.raises(TypeError, match="takes images; use translate"):
        game.sample(1)
    uneven = batch(game)
    uneven["domains"]["a"]["image"] = uneven["domains"]["a"]["image"][:2]
    with pytest.raises(UserError, match="as many images of each domain"):
        game.arena.turn(uneven)
