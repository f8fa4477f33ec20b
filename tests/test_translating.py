from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lightning_mtgan import __main__ as tools
from lightning_mtgan import checkpoint
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame
from lightning_mtgan.translating import LatentEncoder, LatentSearch, Mapper, translate
from lightning_mtgan.types import DataSpec, TaskKind, TaskSpec

DIGIT = TaskSpec("digit", TaskKind.CLASSIFICATION, 3)
EMBEDDING = {"class_path": "lightning_mtgan.networks.TaskEmbedding", "init_args": {"embedding_dim": 4}}
MAPPERS: list[Callable[[], Mapper]] = [
    lambda: LatentSearch(steps=3, candidates=8),
    lambda: LatentEncoder(steps=3, batch_size=4, width=8),
    lambda: LatentEncoder(steps=3, batch_size=4, width=8, refinement=LatentSearch(steps=2, candidates=8)),
]


def config(**more: Any) -> dict[str, Any]:
    networks = "lightning_mtgan.networks"
    arguments = {
        "generator": {"class_path": f"{networks}.LayeredGenerator", "init_args": {"latent_dim": 4, "width": 8}},
        "trunk": {"class_path": f"{networks}.LayeredTrunk", "init_args": {"width": 8}},
        "adversarial": {"class_path": "lightning_mtgan.losses.NonSaturating"},
    }
    return {"class_path": "lightning_mtgan.games.CoupledGame", "init_args": {**arguments, **more}}


def spec_of(*tasks: TaskSpec) -> DataSpec:
    domains = {"plain": DataSpec(8, 1, tasks), "negative": DataSpec(8, 1, tasks), "large": DataSpec(16, 3, tasks)}
    return DataSpec(8, 1, tasks, domains=domains)


def game_of(*tasks: TaskSpec, **more: Any) -> DomainGame:
    """Random weights, so large that images have contrast and differ."""
    torch.manual_seed(0)
    game = checkpoint.configured_game(config(**more), spec_of(*tasks))
    assert isinstance(game, DomainGame)
    with torch.no_grad():
        for parameter in game.players["generator"].parameters():
            parameter.mul_(2)
    return game.eval()


def some(count: int, length: int = 4) -> Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(1))


def given_to(game: DomainGame, latent: Tensor, digit: Tensor) -> Tensor:
    return game.arena.told(latent.to(game.dtype), {"digit": digit}).detach()


def error(game: DomainGame, domain: str, given: Tensor, image: Tensor) -> Tensor:
    return (game.render(domain, given) - image).square().flatten(1).mean(1).detach()


def test_search_finds_what_the_generator_made() -> None:
    game, latent = game_of(), some(6)
    image = game.render("plain", latent).detach()
    begin, end = (LatentSearch(steps=steps, starts=2).latents(game, "plain", image) for steps in (0, 120))
    assert error(game, "plain", begin, image).mean() > 0.01  # or nothing would be left to find
    assert error(game, "plain", end, image).mean() < 0.2 * error(game, "plain", begin, image).mean()
    shown = translate(game, LatentSearch(steps=120, starts=2), image, "plain", ["large"])
    other = game.render("large", latent).detach()
    assert (shown["large"] - other).square().mean() < 0.2 * error(game, "large", begin, other).mean()


def test_search_starts_from_the_nearest_and_keeps_the_best() -> None:
    game = game_of()
    image = game.render("plain", some(5)).detach()
    near = LatentSearch(steps=0, candidates=64).latents(game, "plain", image)
    anywhere = LatentSearch(steps=0, candidates=1, starts=1).latents(game, "plain", image)
    assert (error(game, "plain", near, image) <= error(game, "plain", anywhere, image)).all()
    guesses = torch.stack([some(5) + 9, some(5)], dim=1)
    assert torch.equal(LatentSearch(steps=0).descend(game, "plain", image, guesses), some(5))


def test_prior_draws_latents_to_zero() -> None:
    game = game_of()
    image = game.render("plain", 2 * some(4)).detach()
    loose, tight = (LatentSearch(40, 1, prior=prior).latents(game, "plain", image) for prior in (0.0, 1.0))
    assert tight.square().mean() < 0.25 * loose.square().mean()


def test_encoder_knows_latents_better_than_their_mean() -> None:
    game, latent = game_of(), some(200)
    image = game.render("plain", latent).detach()
    told = LatentEncoder(steps=150, batch_size=32, width=16).latents(game, "plain", image)
    assert (told - latent).square().mean() < 0.5 * latent.square().mean()


def test_refinement_goes_on_from_the_guess() -> None:
    game, search = game_of(), LatentSearch(steps=20)
    image = game.render("plain", some(5)).detach()
    guess, refined = (
        LatentEncoder(9, 8, width=8, refinement=one).latents(game, "plain", image) for one in (None, search)
    )
    assert torch.equal(refined, search.descend(game, "plain", image, guess[:, None]))
    assert (error(game, "plain", refined, image) < error(game, "plain", guess, image)).all()


@pytest.mark.parametrize("mapper", MAPPERS)
def test_same_seed_same_bits_and_nothing_else_changes(mapper: Callable[[], Mapper]) -> None:
    game = game_of(DIGIT, embedding=EMBEDDING)
    before, image = {k: v.clone() for k, v in game.state_dict().items()}, some(3, 64).view(3, 1, 8, 8).tanh()
    chance = torch.get_rng_state()
    with torch.no_grad():  # as in a command
        first = mapper().latents(game, "plain", image)
    torch.manual_seed(7)
    assert torch.equal(first, mapper().latents(game, "plain", image))
    torch.set_rng_state(chance)
    mapper().latents(game, "plain", image)
    assert torch.equal(chance, torch.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in game.state_dict().items())
    assert all(one.grad is None for one in game.parameters())
    assert not first.requires_grad
    assert not torch.equal(first, LatentSearch(steps=3, candidates=8, seed=1).latents(game, "plain", image))


def test_images_do_not_know_of_each_other() -> None:
    game = game_of().double()
    image = game.render("plain", some(7).double()).detach()
    together, cut = (LatentSearch(10, 3, rows=rows).latents(game, "plain", image) for rows in (512, 7))
    alone = torch.cat([LatentSearch(10, 3).latents(game, "plain", one) for one in image.split(1)])
    torch.testing.assert_close(cut, together, rtol=0, atol=1e-9)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mapper", MAPPERS)
def test_mappers_ask_for_nothing_where_that_is_known(mapper: Callable[[], Mapper]) -> None:
    game = game_of(TaskSpec("digit", TaskKind.CLASSIFICATION, 3, is_complete=False), embedding=EMBEDDING)
    image = some(5, 64).view(5, 1, 8, 8).tanh()
    assert (mapper().latents(game, "plain", image)[:, 4:] == 0).all()
    wanted = given_to(game, torch.zeros(5, 4), torch.full((5,), 2))[:, 4:]
    assert torch.equal(mapper().latents(game, "plain", image, {"digit": torch.tensor([2])})[:, 4:], wanted)


def test_mappers_find_a_condition_that_generators_always_know() -> None:
    game = game_of(DIGIT, embedding=EMBEDDING)
    digit = torch.arange(30) % 3
    given = given_to(game, some(30), digit)
    image = game.render("plain", given).detach()
    for mapper in (LatentSearch(30), LatentEncoder(steps=100, width=16)):
        found = mapper.latents(game, "plain", image)[:, 4:]
        rows = given_to(game, torch.zeros(3, 4), torch.arange(3))[:, 4:]
        assert (torch.cdist(found, rows).min(dim=1).values < 1e-3).all()  # one of the three, not between them
        assert (torch.cdist(found, rows).argmin(dim=1) == digit).float().mean() > 0.6


def test_progress_is_shown() -> None:
    game, told = game_of(), list[tuple[str, int]]()

    def watch(steps: Any, title: str) -> Any:
        told.append((title, len(steps)))
        return steps

    search = LatentSearch(steps=2, candidates=4, rows=1, watch=watch)
    LatentEncoder(3, 4, width=8, refinement=search, watch=watch).latents(game, "plain", torch.zeros(3, 1, 8, 8))
    assert [length for _, length in told] == [3, 2]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: LatentSearch(steps=-1), "steps of a LatentSearch is -1"),
        (lambda: LatentSearch(starts=0), "starts of a LatentSearch is 0"),
        (lambda: LatentSearch(candidates=3), "candidates of a LatentSearch is 3; it must be at least 4"),
        (lambda: LatentSearch(lr=0), "lr of a LatentSearch is 0"),
        (lambda: LatentEncoder(batch_size=0), "batch_size of a LatentEncoder is 0"),
        (lambda: LatentEncoder(lr=-1), "lr of a LatentEncoder is -1"),
        (lambda: translate(game_of(), LatentSearch(), some(1), "red", []), "red: .* it has plain, negative, large"),
    ],
)
def test_wrong_numbers_and_domains(wrong: Callable[[], Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        wrong()


def write_checkpoint(path: Path, game: torch.nn.Module, about: dict[str, Any], spec: DataSpec) -> None:
    content = {"format": checkpoint.FORMAT, "config": {"game": about}, "spec": spec.to_dict(), "average": None}
    state = {f"game.{key}": value for key, value in game.state_dict().items()}
    torch.save({checkpoint.KEY: content, "state_dict": state}, path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    game = game_of()
    for index, image in enumerate(game.render("plain", some(2)).detach()):
        pixels = ((image[0] + 1) * 127.5).round().to(torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / f"{index}.png")
    Image.new("RGB", (31, 20), "red").save(folder / "wide.jpg")
    write_checkpoint(tmp_path / "game.ckpt", game, config(), spec_of())
    return folder


def command(photos: Path, *more: str, source: str = "plain", output: str = "out") -> int:
    root = photos.parent
    given = [f"--checkpoint={root / 'game.ckpt'}", f"--images={photos}", f"--output={root / output}"]
    return tools.main(["translate", *given, f"--source={source}", *more])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("method", ["search", "encoder"])
def test_command_writes_a_folder_for_each_domain(
    photos: Path, method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "encoder":
        monkeypatch.setitem(tools.translating.METHODS, method, lambda seed: LatentEncoder(9, 4, width=8, seed=seed))
    assert command(photos, f"--method={method}", "--seed=3") == 0
    output = photos.parent / "out"
    names = ("0.png", "1.png", "wide.png")
    assert files(output) == sorted(["sheet.png", *(f"{d}/{n}" for d in ("large", "negative", "plain") for n in names)])
    with Image.open(output / "large" / "wide.png") as image:
        assert (image.size, image.mode) == ((16, 16), "RGB")
    with Image.open(output / "sheet.png") as image:
        assert image.height == 4 * 68
        assert image.width > 3 * 68
    assert "3 images of plain (8 x 8 pixels, grey, middle square cropped)" in capsys.readouterr().out
    if method == "search":  # the generator's own images come back
        given, found = (np.asarray(Image.open(folder / "0.png"), np.float32) for folder in (photos, output / "plain"))
        assert math.sqrt(np.square(given - found).mean()) < 0.3 * given.std()


def test_command_translates_to_what_is_asked_for(photos: Path) -> None:
    assert command(photos, "--target", "large", source="negative") == 0
    assert {path.name for path in (photos.parent / "out").iterdir()} == {"large", "negative", "sheet.png"}


def test_mistakes_are_one_sentence_and_write_nothing(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*more: str, **other: str) -> str:
        before = files(photos.parent)
        assert command(photos, *more, **other) == 2
        assert files(photos.parent) == before
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert "--source red: this game has no such domain; it has plain, negative, large" in said(source="red")
    assert "--target blue: this game has no such domain" in said("--target", "large", "blue")
    assert "read no conditions" in said("--condition=digit=3")
    assert "among the images" in said(output="photos")
    shutil.copytree(photos, photos.parent / "plain")
    assert "among the images" in said("--images", str(photos.parent / "plain"), output=".")
    (photos / "broken.png").write_bytes(b"no image")
    assert "broken.png" in said()
    (photos / "broken.png").write_bytes((photos / "0.png").read_bytes()[:-30])
    assert "broken.png cannot be decoded" in said()
    (photos.parent / "empty").mkdir()
    assert "holds no images" in said("--images", str(photos.parent / "empty"))
    networks = {
        "generator": {"class_path": "lightning_mtgan.networks.ConvGenerator"},
        "trunk": {"class_path": "lightning_mtgan.networks.ConvTrunk"},
    }
    vae = {"class_path": "lightning_mtgan.games.VAE", "init_args": networks}
    write_checkpoint(photos.parent / "game.ckpt", checkpoint.configured_game(vae, DataSpec(8, 1)), vae, DataSpec(8, 1))
    assert "is of a VAE, which knows no domains" in said()
