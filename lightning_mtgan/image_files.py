"""From an image file of any kind to pixels of one size."""

from __future__ import annotations

import contextlib
import lzma
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lightning_mtgan.errors import UserError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF")
"""What may stand in a file, whatever it is called: decoders that do nothing but decode."""
Image.init()  # or Pillow knows only some of them
MOST_PIXELS = 89_000_000
"""An image with more is taken for a decompression bomb, as Pillow does from 89 million on."""
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
REDUCING_GAP = 3.0
"""An image is averaged by whole factors until it is so many times as large as wanted; the filter does the rest."""
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
)
"""What Pillow and archives raise for files that are not as they should be."""


class CannotDecode(Exception):
    """A file that is no image that can be used, with the reason."""


class Header(NamedTuple):
    """What a file says of itself.

    Args:
        width: As it is looked at, in pixels.
        height: As it is looked at, in pixels.
        mode: Pillow's name for its kind of pixels.
    """

    width: int
    height: int
    mode: str


@dataclass(frozen=True)
class Format:
    """What every image is brought to.

    Args:
        size: Height and width, in pixels.
        channels: 1 for grey, 3 for colour.
        fit: ``crop`` the middle square, ``stretch`` to a square, or ``pad`` to one with the background.
        background: Red, green and blue behind transparent and padded pixels, 0 to 255.
        is_map: Whether values are averaged, not interpolated: for targets, which must not overshoot.
    """

    size: int
    channels: int
    fit: Literal["crop", "stretch", "pad"] = "crop"
    background: tuple[int, int, int] = (255, 255, 255)
    is_map: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pixels of an image."""
        return self.channels, self.size, self.size

    def in_words(self) -> str:
        """The format, for people."""
        kind = "grey" if self.channels == 1 else "colour"
        ways = {"crop": "middle square cropped", "stretch": "stretched to a square", "pad": "padded to a square"}
        return f"{self.size} x {self.size} pixels, {kind}, {ways[self.fit]}"


def header(file: IO[bytes]) -> Header:
    """Size and mode of an image file, from its first bytes.

    Raises:
        CannotDecode: If it is no image, or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong is said by name in the report
        with opened(file) as image:
            width, height = image.size
            mode, turned = image.mode, False
            if "exif" in image.info:  # asking for what is not there would decode a whole PNG
                with contextlib.suppress(*BROKEN):
                    turned = image.getexif().get(_ORIENTATION) in _TURNED
    if width * height > MOST_PIXELS:
        raise CannotDecode(
            f"{width:,} x {height:,} pixels, taken for a decompression bomb; cut it to less than 89 million pixels"
        )
    return Header(height, width, mode) if turned else Header(width, height, mode)


def decode(file: IO[bytes], format_: Format) -> np.ndarray:
    """The pixels of an image file, brought to a format: uint8 (channels, size, size).

    Transparent pixels show the background, 16 bits become 8 by division by 257, EXIF rotation is
    applied, and of several frames the first is taken.

    Raises:
        CannotDecode: If it cannot be decoded.
    """
    with opened(file) as image:
        try:
            enough = round(REDUCING_GAP * format_.size)
            image.draft(None, (enough, enough))  # a JPEG is decoded no larger than that asks for
            image.load()
            with contextlib.suppress(*BROKEN):  # of a broken EXIF nothing is taken
                ImageOps.exif_transpose(image, in_place=True)
            plain = _plain(image, format_.background)
            wanted = "L" if format_.channels == 1 else "RGB"
            if plain.mode == "LAB":
                plain = plain.convert("RGB")
            if plain.mode not in ("F", wanted):
                plain = plain.convert(wanted)
            square = np.asarray(_fitted(plain, format_))
        except BROKEN as error:
            raise CannotDecode(reason(error)) from error
    if square.dtype != np.uint8:
        square = square.round().clip(0, 255).astype(np.uint8)
    if square.ndim == 2:
        return np.repeat(square[None], format_.channels, axis=0)
    return np.ascontiguousarray(square.transpose(2, 0, 1))


def decode_whole(file: IO[bytes], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """An image file in its own size: pixels uint8 (channels, H, W), and which of them are opaque, bool (H, W).

    Pixels that are transparent at all, as at the soft edge of an erasure, are mid-grey; all else is as in ``decode``.

    Raises:
        CannotDecode: If it cannot be decoded.
    """
    with opened(file) as image:
        try:
            image.load()
            with contextlib.suppress(*BROKEN):
                ImageOps.exif_transpose(image, in_place=True)
            has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
            opaque = np.asarray(image.convert("RGBA"))[..., 3] == 255 if has_alpha else np.ones(image.size[::-1], bool)
            plain = _plain(image, (128, 128, 128))
            if plain.mode == "F":
                plain = Image.fromarray(np.asarray(plain).round().clip(0, 255).astype(np.uint8))
            if plain.mode == "LAB":
                plain = plain.convert("RGB")
            pixels = np.asarray(plain.convert("L" if channels == 1 else "RGB"))
        except BROKEN as error:
            raise CannotDecode(reason(error)) from error
    pixels = np.where(opaque if pixels.ndim == 2 else opaque[..., None], pixels, np.uint8(128))
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)), opaque


def opened(file: IO[bytes]) -> Image.Image:
    """An image file, of which nothing is decoded yet.

    Raises:
        CannotDecode: If it is no image.
    """
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise CannotDecode("not an image, whatever its name says") from None
    except Image.DecompressionBombError as error:
        raise CannotDecode(f"a decompression bomb? ({error})") from error
    except BROKEN as error:
        raise CannotDecode(reason(error)) from error


def reason(error: Exception) -> str:
    """Why a file cannot be decoded, from what was raised."""
    return f"cannot be decoded ({' '.join(str(error).split()) or type(error).__name__})"


def _plain(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Eight bits without transparency, or mode F with values from 0 to 255 where the file has more bits."""
    if image.mode.startswith(("I", "F")):
        return more_than_eight_bits(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (*background, 255)), layer)
    return image


def more_than_eight_bits(image: Image.Image) -> Image.Image:
    """An image of a mode I or F in mode F, with values from 0 to 255.

    Raises:
        CannotDecode: If its values are none of 8 or 16 bits, nor fractions.
    """
    values = np.asarray(image).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all() or low < 0:
        raise CannotDecode(f"values from {low:g} to {high:g}; save it with 8 or 16 bits")
    if image.mode == "F":
        if high > 255:
            raise CannotDecode(f"floating-point values up to {high:g}; bring them to 0 to 1, or 0 to 255")
        return Image.fromarray(values * 255 if high <= 1 else values)
    if high > 65535:
        raise CannotDecode(f"values up to {high:g}; save it with 8 or 16 bits")
    return Image.fromarray(values / 257 if high > 255 or image.mode != "I" else values)  # 32 bits may hold 8


def _fitted(image: Image.Image, format_: Format) -> Image.Image:
    filter_ = Image.Resampling.BOX if format_.is_map else Image.Resampling.LANCZOS
    size, (width, height) = format_.size, image.size
    if format_.fit == "pad":
        scale = size / max(width, height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        small = image.resize(inner, filter_, reducing_gap=REDUCING_GAP)
        red, green, blue = format_.background
        grey = round(0.299 * red + 0.587 * green + 0.114 * blue)
        page = Image.new(image.mode, (size, size), (red, green, blue) if image.mode == "RGB" else grey)
        page.paste(small, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return page
    box = (0.0, 0.0, float(width), float(height))
    if format_.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    return image.resize((size, size), filter_, box, reducing_gap=REDUCING_GAP)


def check_background(background: tuple[int, int, int]) -> None:
    """Refuse what is no colour.

    Raises:
        UserError: If a part is not from 0 to 255.
    """
    if not all(0 <= part <= 255 for part in background):
        raise UserError(f"data.background is {list(background)}; give red, green and blue from 0 to 255")
