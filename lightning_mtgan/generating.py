"""``generate`` for Games that make images of noise, in one domain or in several."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame, Game
from lightning_mtgan.pictures import alike, beside_its_channels, save, sheet, to_picture
from lightning_mtgan.whole_files import write_whole

BATCH = 500
SHEET = 64
"""Images on the contact sheet, at most."""
COLUMNS = 16
"""Images of each domain on it, at most."""


def chosen(game: Game, domains: Sequence[str]) -> dict[str, Game]:
    """What makes the images of each domain that a person names, or of all; one nameless Game where there are none.

    Args:
        game: The Game.
        domains: Names; empty for all.

    Raises:
        UserError: If the Game has no such domain.
    """
    if not isinstance(game, DomainGame):
        if domains:
            raise UserError(f"--domain {domains[0]}: this generator was not trained on several domains; leave it")
        return {"": game}
    for name in domains:
        if name not in game.domains:
            raise UserError(f"--domain {name}: this generator has no such domain; it knows {', '.join(game.domains)}")
    return {name: game.view(name) for name in dict.fromkeys(domains or game.domains)}


def require_asked(game: Game, conditions: Sequence[str]) -> None:
    """Refuse what a generator would not listen to.

    Raises:
        UserError: If it reads no conditions, but some are given.
    """
    if conditions and not game.obeys:
        raise UserError(f"--condition {conditions[0]}: this generator reads no conditions; leave it")


def write_images(
    game: Game,
    parts: Mapping[str, Game],
    num_images: int,
    given: Mapping[str, Tensor],
    seed: int,
    show_channels: bool,
    folder: Path,
) -> None:
    """Write ``<domain>/00000.png`` ..., ``sheet.png``, and in ``conditions.csv`` what each image was asked to show.

    Image i has the same latent and shows the same in every domain.

    Args:
        game: The Game.
        parts: What makes the images of each domain, see ``chosen``.
        num_images: How many of each.
        given: Targets by task, each with ``num_images`` rows; the others are drawn.
        seed: Of latents and conditions.
        show_channels: Whether red, green and blue stand beside each image on the sheet.
        folder: An existing folder.
    """
    generator = torch.Generator(game.device).manual_seed(seed_of(seed, "generate"))
    wanted = game.draw_conditions(num_images, generator, given)
    latents, shown = generator.get_state(), dict[str, Tensor]()
    for name, part in parts.items():
        generator.set_state(latents)
        image = torch.cat(
            [
                part.sample(len(rows), {task: target[rows] for task, target in wanted.items()}, generator).cpu()
                for rows in torch.arange(num_images).split(BATCH)
            ]
        )
        for index, one in enumerate(image):
            save(to_picture(one), folder / name / f"{index:05d}.png")
        shown[name] = image[:SHEET]
    save(_sheet(shown, show_channels), folder / "sheet.png")
    _write_conditions(game, wanted, num_images, folder / "conditions.csv")
    of_each = f" of each domain ({', '.join(parts)})" if isinstance(game, DomainGame) else ""
    print(f"{num_images} images{of_each}, sheet.png and conditions.csv are in {folder}")


def _sheet(images: Mapping[str, Tensor], show_channels: bool) -> Image.Image:
    """A domain in each row, a latent in each column; of one nameless Game, as many rows as it takes."""
    if "" in images:
        shown, columns, captions = images[""], 4 if show_channels else 8, list[str]()
    else:
        rows = [image[:COLUMNS] for image in images.values()]
        shown, columns, captions = alike(rows), len(rows[0]), list(images)
    return sheet(beside_its_channels(shown) if show_channels else shown, columns, captions)


def _write_conditions(game: Game, wanted: Mapping[str, Tensor], num_images: int, path: Path) -> None:
    """What each image was asked to show; nothing of a generator that cannot be asked."""
    asked = wanted if game.obeys else {}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", *asked])
    for index in range(num_images):
        values = [game.tasks[name].in_cell(target[index]) for name, target in asked.items()]
        table.writerow([f"{index:05d}.png", *values])
    write_whole(path, text.getvalue())
