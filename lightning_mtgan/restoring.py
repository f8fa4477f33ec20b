"""``generate`` for Games that take images: a folder of images is restored."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from lightning_mtgan.corruptions import Damaged
from lightning_mtgan.enhancing.tiles import TILE, tiles
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import ImageGame
from lightning_mtgan.image_files import CannotDecode, decode_whole, header
from lightning_mtgan.networks import filled
from lightning_mtgan.pictures import save, to_picture

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MOST_AT_ONCE = 4_000_000
"""Pixels of an image, at most, for a network that must see all of it."""


def restore_folder(game: ImageGame, folder: Path, corruption: str | None, output: Path) -> None:
    """Restore every image of a folder, each in its own size, into PNG files of the same names.

    Args:
        game: The Game that restores.
        folder: Images of any size; transparent pixels are holes.
        corruption: What happened to them; None where the Game knows one thing only.
        output: An existing folder.

    Raises:
        UserError: If there is nothing to restore, a file is broken, or it is not said what happened.
    """
    name = chosen(game, corruption)
    files, dtype = images_of(folder), game.dtype
    if output.resolve() == folder.resolve():
        raise UserError(f"--output {output} is the folder of the images themselves; choose another")
    for path in files:  # all of them, before the first is written
        damaged = game.corruptions[name].prepared(*read(path, game.spec.num_channels))
        if bool(damaged.known.all()):
            raise UserError(
                f"--images: {path} lacks nothing: {name} restores what is transparent; erase that first, and save a PNG"
            )
        if game.margin is None:
            require_small(f"--images: {path}", *damaged.image.shape[2:])
    for path in track(files, f"Restoring ({name})", disable=len(files) < 2):
        damaged = game.corruptions[name].prepared(*read(path, game.spec.num_channels))
        image, known = (one.to(game.device, dtype) for one in (damaged.image, damaged.known))
        restored = whole(game, Damaged(image, known), name)
        save(to_picture(restored[0]), output / f"{path.stem}.png")
    print(f"{len(files)} restored images are in {output}")


def chosen(game: ImageGame, corruption: str | None, key: str = "--restore") -> str:
    """What happened to the images.

    Args:
        game: The Game that restores.
        corruption: What a person says; None for nothing.
        key: The argument that says it.

    Raises:
        UserError: If that is not said, or is nothing that the Game knows.
    """
    known = ", ".join(game.corruptions)
    if corruption is None and len(game.corruptions) == 1:
        return next(iter(game.corruptions))
    if corruption is None:
        raise UserError(f"{key} is missing: say what this generator is to do, one of {known}")
    if corruption not in game.corruptions:
        raise UserError(f"{key} {corruption} is nothing that this generator has learned; it knows {known}")
    return corruption


def images_of(folder: Path) -> list[Path]:
    """The image files of a folder, by name.

    Raises:
        UserError: If there are none, one is broken, or two would have the same result.
    """
    files = files_of(folder, "--images")
    stems: dict[str, Path] = {}
    for path in files:
        if (other := stems.setdefault(path.stem, path)) is not path:
            raise UserError(f"--images: {other.name} and {path.name} would both become {path.stem}.png; rename one")
        try:
            with path.open("rb") as file:
                header(file)
        except (OSError, CannotDecode) as error:
            raise UserError(f"--images: {path} {error}; repair it or take it away") from error
    return files


def files_of(folder: Path, key: str) -> list[Path]:
    """The files of a folder that are called as images are, by name.

    Args:
        folder: The folder.
        key: The argument that names it.

    Raises:
        UserError: If it is none, or there are no images in it.
    """
    if not folder.is_dir():
        raise UserError(f"{key} {folder} is no folder; name one that holds images")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != ".")
    if not files:
        raise UserError(f"{key} {folder} holds no images ({', '.join(ENDINGS)})")
    return files


def read(path: Path, channels: int) -> tuple[Tensor, Tensor]:
    """An image (1, C, H, W) in [-1, 1], and 1 where it is opaque, (1, 1, H, W).

    Raises:
        UserError: If it cannot be decoded.
    """
    try:
        with path.open("rb") as file:
            pixels, opaque = decode_whole(file, channels)
    except (OSError, CannotDecode) as error:
        raise UserError(f"--images: {path} {error}; repair it or take it away") from error
    image, known = torch.from_numpy(pixels)[None].float() / 127.5 - 1, torch.from_numpy(opaque)[None, None].float()
    return image * known, known


def whole(game: ImageGame, damaged: Damaged, name: str, tile: int = TILE) -> Tensor:
    """One damaged image restored, (1, C, H, W), a tile at a time where it is large.

    Args:
        game: The Game that restores.
        damaged: The image.
        name: What happened to it.
        tile: Height and width of a tile, in pixels.
    """
    if game.margin is None:
        return game.restore(damaged, [name])
    base = filled(damaged.image, damaged.known) if damaged.known.any() else damaged.image  # a hole may exceed a tile
    restored = torch.empty_like(damaged.image)
    height, width = damaged.image.shape[2:]
    for one in tiles(height, width, game.margin, tile):
        image, known, begun = (part[..., *one.seen] for part in (damaged.image, damaged.known, base))
        restored[..., *one.place] = game.restore(Damaged(image, known), [name], begun)[..., *one.inner]
    return restored


def require_small(file: str, height: int, width: int) -> None:
    """Refuse an image that is too large for a generator to see all of it at once.

    Args:
        file: How a person calls it.
        height: In pixels.
        width: In pixels.

    Raises:
        UserError: With its size, and the largest that there can be.
    """
    if height * width > MOST_AT_ONCE:
        raise UserError(
            f"{file} has {width:,} x {height:,} pixels, and this generator must see all of them at once; make it "
            f"smaller, {MOST_AT_ONCE // 1_000_000} million pixels at most"
        )
