"""A folder of images of one domain, read to be translated, and what is written of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_mtgan.errors import UserError
from lightning_mtgan.image_files import CannotDecode, Format, decode
from lightning_mtgan.pictures import save, sheet, to_picture
from lightning_mtgan.restoring import images_of
from lightning_mtgan.types import DataSpec

SHEET = 16
"""Images on the contact sheet, at most."""


class Images(NamedTuple):
    """The images of a folder.

    Args:
        names: What each file is called, without its ending.
        image: The images (N, C, H, W) in [-1, 1].
        format: What they were brought to, for people.
    """

    names: list[str]
    image: Tensor
    format: str


def read_folder(folder: Path, spec: DataSpec) -> Images:
    """Every image of a folder, brought to a domain's size and channels as training images are.

    Of those that are not square the middle is taken.

    Args:
        folder: Images of any size.
        spec: What the domain is.

    Raises:
        UserError: If there are none, or one cannot be read.
    """
    files, format_ = images_of(folder), Format(spec.image_size, spec.num_channels)
    image = torch.cat([_read(path, format_) for path in files])
    return Images([path.stem for path in files], image, format_.in_words())


def _read(path: Path, format_: Format) -> Tensor:
    try:
        with path.open("rb") as file:
            pixels = decode(file, format_)
    except (OSError, CannotDecode) as error:
        raise UserError(f"--images: {path} {error}; repair it or take it away") from error
    return torch.from_numpy(pixels)[None].float() / 127.5 - 1


def require_elsewhere(folder: Path, output: Path, domains: Sequence[str]) -> None:
    """Refuse an output in which results would take the place of the images themselves.

    Raises:
        UserError: If the output, or the folder in it of one of the domains, is the images' folder.
    """
    if folder.resolve() in {one.resolve() for one in (output, *(output / name for name in domains))}:
        raise UserError(f"--output {output}: results would lie among the images of {folder}; choose another folder")


def write(images: Images, source: str, translated: Mapping[str, Tensor], output: Path) -> None:
    """Write ``<output>/<domain>/<name>.png`` for each image and domain, and ``<output>/sheet.png``.

    Args:
        images: What was read.
        source: Name of the domain that they are of.
        translated: Images (N, C, H, W) in [-1, 1] by domain; those of the source are reconstructions.
        output: An existing folder.
    """
    for domain, made in translated.items():
        for name, image in zip(images.names, made, strict=True):
            save(to_picture(image), output / domain / f"{name}.png")
    save(overview(images.image, source, translated), output / "sheet.png")


def overview(image: Tensor, source: str, translated: Mapping[str, Tensor]) -> Image.Image:
    """A contact sheet: one image in each column; rows of the images, their reconstructions, and each other domain."""
    others = [name for name in translated if name != source]
    rows = [one[:SHEET].float().cpu() for one in (image, *(translated[name] for name in (source, *others)))]
    channels, side = (max(row.shape[axis] for row in rows) for axis in (1, 2))
    shown = [interpolate(row.expand(-1, channels, -1, -1), (side, side)) for row in rows]
    return sheet(torch.cat(shown), len(rows[0]), [f"{source}, given", f"{source}, found", *others])
