"""Photographs from file to file: pixels, and what must not be lost on the way."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lightning_mtgan.enhancing.exif import described
from lightning_mtgan.image_files import (
    BROKEN,
    GREY_MODES,
    CannotDecode,
    more_than_eight_bits,
    opened,
    reason,
)

KEPT = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP"}
"""Formats that are written again, by Pillow's names for what was read; all others become PNG."""
QUALITY = 95
"""Of JPEG and WebP, of 100."""
SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": QUALITY, "subsampling": 0},
    "WEBP": {"quality": QUALITY},
    "PNG": {},
}
LONGEST_EXIF = {"JPEG": 65_533}
"""Bytes of an EXIF block that a format can hold: a segment of a JPEG says its length in 16 bits, of itself, too."""
SPACES = {1: b"GRAY", 3: b"RGB "}
"""How the header of an ICC profile says, in bytes 16 to 19, of which pixels it speaks, by their channels."""


@dataclass(frozen=True)
class Photograph:
    """An image of 8 bits, turned as it is looked at.

    Args:
        pixels: uint8 (C, H, W), 1 channel for grey, 3 for colour.
        alpha: How opaque each pixel is, mode L of the same size, None where all are.
        format: Pillow's name for the format that it is written in.
        exif: What a camera has noted, None for nothing; its orientation is 1.
        profile: An ICC profile of the pixels, or None.
        name: What the file is called that it is written to.
    """

    pixels: Tensor
    alpha: Image.Image | None
    format: str
    exif: bytes | None
    profile: bytes | None
    name: str

    def showing(self, pixels: Tensor) -> Photograph:
        """The same file with other pixels."""
        return replace(self, pixels=pixels)


def read(path: Path, channels: int | None) -> Photograph:
    """A photograph from a file.

    Args:
        path: The file.
        channels: 1 or 3 to make it grey or coloured; None to leave it.

    Raises:
        CannotDecode: If it is none.
        OSError: If it cannot be read.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken EXIF nothing is taken, without a word
        with opened(file) as image:
            try:
                kept = KEPT.get(str(image.format))
                image.load()
                with contextlib.suppress(*BROKEN):
                    ImageOps.exif_transpose(image, in_place=True)
                exif = described(image, LONGEST_EXIF.get(kept or "PNG", math.inf))
                pixels, alpha = _pixels(image, channels)
                profile = image.info.get("icc_profile") or b""
            except BROKEN as error:
                raise CannotDecode(reason(error)) from error
    fits = profile[16:20] == SPACES[len(pixels)]  # that of a printer's colours says nothing of a screen's
    name = path.name if kept is not None else f"{path.stem}.png"
    return Photograph(pixels, alpha, kept or "PNG", exif, profile if fits else None, name)


def write(photograph: Photograph, path: Path) -> None:
    """Write a photograph whole or not at all."""
    bands = [Image.fromarray(band.numpy()) for band in photograph.pixels]
    picture = Image.merge("RGB", bands) if len(bands) == 3 else bands[0]
    if photograph.alpha is not None:
        picture.putalpha(photograph.alpha)
    notes = {"exif": photograph.exif, "icc_profile": photograph.profile}
    settings = SETTINGS[photograph.format] | {key: value for key, value in notes.items() if value is not None}
    partial = path.with_name(path.name + ".partial")
    try:
        picture.save(partial, format=photograph.format, **settings)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _pixels(image: Image.Image, channels: int | None) -> tuple[Tensor, Image.Image | None]:
    """Pixels and alpha, a band at a time: a large image as one array is held three times over on its way."""
    alpha = None
    is_grey = image.mode in GREY_MODES
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(np.asarray(more_than_eight_bits(image)).round().clip(0, 255).astype(np.uint8))
    elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("LA" if is_grey else "RGBA")
        alpha = image.getchannel("A")
    wanted = {1: "L", 3: "RGB", None: "L" if is_grey else "RGB"}[channels]
    if image.mode == "LAB":
        image = image.convert("RGB")  # from which alone there is a way to grey
    if image.mode != wanted:
        image = image.convert(wanted)
    pixels = torch.empty(len(image.getbands()), image.height, image.width, dtype=torch.uint8)
    for index, band in enumerate(pixels):
        band.copy_(torch.from_numpy(np.array(image.getchannel(index))))
    return pixels, alpha
