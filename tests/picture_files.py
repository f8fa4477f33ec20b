"""Image files of every kind, as people have them, and some that they should not have."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

COLOUR = (200, 60, 20)


def quadrants(size: int = 48, colour: tuple[int, int, int] = COLOUR) -> Image.Image:
    """A picture that tells turned from unturned: its upper left quarter has a colour, the rest is grey."""
    pixels = np.full((size, size, 3), 90, dtype=np.uint8)
    pixels[: size // 2, : size // 2] = colour
    return Image.fromarray(pixels)


def write_kinds(folder: Path) -> dict[str, tuple[int, int, int]]:
    """The same picture in every kind of file; returns the colour that its upper left quarter should show."""
    folder.mkdir(parents=True, exist_ok=True)
    picture, grey = quadrants(), quadrants().convert("L")
    luma = int(np.asarray(grey)[0, 0])
    seen = dict.fromkeys(
        (
            "rgb.png",
            "rgb.bmp",
            "rgb.webp",
            "rgb.tiff",
            "rgb.jpg",
            "palette.png",
            "cmyk.tif",
            "turned.jpg",
            "shout.JPEG",
        ),
        COLOUR,
    ) | dict.fromkeys(("grey.png", "sixteen.png", "sixteen.tif", "float.tif"), (luma,) * 3)
    picture.save(folder / "rgb.png")
    picture.save(folder / "rgb.bmp")
    picture.save(folder / "rgb.webp", lossless=True)
    picture.save(folder / "rgb.tiff")
    picture.save(folder / "rgb.jpg", quality=98, subsampling=0)
    picture.save(folder / "shout.JPEG", quality=98, subsampling=0)
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.png")
    picture.convert("CMYK").save(folder / "cmyk.tif")
    grey.save(folder / "grey.png")
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    sixteen.save(folder / "sixteen.png")
    sixteen.save(folder / "sixteen.tif")
    Image.fromarray(np.asarray(grey).astype(np.float32) / 255).save(folder / "float.tif")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(
        folder / "turned.jpg", exif=exif.tobytes(), quality=98, subsampling=0
    )
    alpha = picture.convert("RGBA")
    alpha.putalpha(Image.fromarray(np.pad(np.zeros((24, 24), np.uint8), ((0, 24), (0, 24)), constant_values=255)))
    alpha.save(folder / "transparent.png")
    seen["transparent.png"] = (255, 255, 255)
    return seen


def write_bomb(path: Path) -> None:
    """A PNG of 30,000 x 30,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 10_000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


def png(size: int = 16, value: int = 0) -> bytes:
    """A small grey picture as bytes."""
    file = io.BytesIO()
    Image.fromarray(np.full((size, size), value, dtype=np.uint8)).save(file, format="PNG")
    return file.getvalue()


def write_folder(root: Path, count: int, classes: tuple[str, ...] = ("cats", "dogs"), size: int = 16) -> list[str]:
    """Different small pictures in folders of classes; returns their names."""
    names = []
    for index in range(count):
        name = f"{classes[index % len(classes)]}/{index:03d}.png"
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((size, size, 3), (5 * index % 256, 100 * (index % len(classes)), 40), dtype=np.uint8)
        pixels[index % size] = index % 256
        Image.fromarray(pixels).save(path)
        names.append(name)
    return names
