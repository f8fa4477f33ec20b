"""Pictures that a person can look at: enlarged pixels, one row for each condition; numbers as heat maps."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate, pad

LEAST_PIXELS = 64
"""Smaller images are enlarged by whole factors until they reach this many pixels."""
AGAINST, TOGETHER, UNKNOWN = (178, 24, 43), (33, 102, 172), (224, 224, 224)
"""Colours of -1, 1 and nan in heat maps; 0 is white."""
TEXT, GAP, LONGEST = 15, 12, 20
"""In heat maps: height of letters and of what is left free, in pixels; characters of a name."""


def to_picture(image: Tensor) -> Image.Image:
    """One image (C, H, W) in [-1, 1] as it is, pixel by pixel."""
    data = ((image.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(data[0].numpy() if len(data) == 1 else data.movedim(0, 2).contiguous().numpy())


def enlarge(image: Tensor) -> Tensor:
    """Images (N, C, H, W) with each pixel repeated until they are at least 64 pixels high."""
    factor = max(1, -(-LEAST_PIXELS // image.shape[2]))
    return image.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def beside_its_channels(image: Tensor) -> Tensor:
    """Images (N, C, H, W) with each channel, in grey, to the right: (N, C, H, (1 + C) W); grey stays as it is."""
    if image.shape[1] == 1:
        return image
    parts = [channel.expand_as(image) for channel in image.split(1, dim=1)]
    return torch.cat([image, *parts], dim=3)


def beside_its_maps(image: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """Images (N, C, H, W) with their maps (N, c, R, R), 0 to 255 and black where unknown, to the right."""
    num_channels = max(one.shape[1] for one in (image, *maps))
    shown = [interpolate(one.clamp(min=0).float() / 127.5 - 1, image.shape[2:]) for one in maps]
    return torch.cat([one.expand(-1, num_channels, -1, -1) for one in (image, *shown)], dim=3)


def alike(images: Sequence[Tensor]) -> Tensor:
    """Images of several kinds, each (N, C, H, W), one kind after the other, all as large and as colourful as the most.

    Small ones are enlarged pixel by pixel, and grey ones repeated in each channel.
    """
    channels, side = (max(image.shape[axis] for image in images) for axis in (1, 2))
    return torch.cat([interpolate(image, (side, side)).expand(-1, channels, -1, -1) for image in images])


def sheet(image: Tensor, num_columns: int, captions: Sequence[str] = ()) -> Image.Image:
    """A contact sheet.

    Args:
        image: Images (N, C, H, W) in [-1, 1], row by row.
        num_columns: Images in a row.
        captions: A line of text for each row, to its left.
    """
    cells = pad(enlarge(image), (2, 2, 2, 2), value=1.0)
    missing = -len(cells) % num_columns
    cells = torch.cat([cells, torch.ones(missing, *cells.shape[1:]).to(cells)])
    rows = cells.unflatten(0, (-1, num_columns))
    num_rows, _, channels, height, width = rows.shape
    grid = rows.permute(2, 0, 3, 1, 4).reshape(channels, num_rows * height, num_columns * width)
    picture = to_picture(grid).convert("RGB")
    if not captions:
        return picture
    margin = 12 + max(int(ImageDraw.Draw(picture).multiline_textbbox((0, 0), caption)[2]) for caption in captions)
    page = Image.new("RGB", (picture.width + margin, picture.height), "white")
    page.paste(picture, (margin, 0))
    for row, caption in enumerate(captions):
        ImageDraw.Draw(page).multiline_text((6, row * height + 6), caption, fill="black")
    return page


def labelled(image: Tensor, captions: Sequence[str], num_columns: int) -> Image.Image:
    """A contact sheet with a caption below each image.

    Args:
        image: Images (N, C, H, W) in [-1, 1], row by row.
        captions: One or more lines of text for each.
        num_columns: Images in a row.
    """
    pictures = [to_picture(one).convert("RGB") for one in enlarge(image)]
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    boxes = [ruler.multiline_textbbox((0, 0), caption) for caption in captions]
    width = 8 + max(pictures[0].width, *(int(box[2]) for box in boxes))
    height = 12 + pictures[0].height + 4 + max(int(box[3]) for box in boxes)
    num_rows = -(-len(pictures) // num_columns)
    page = Image.new("RGB", (width * min(num_columns, len(pictures)), height * num_rows), "white")
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = number % num_columns * width + 4, number // num_columns * height + 4
        page.paste(picture, (left, top))
        ImageDraw.Draw(page).multiline_text((left, top + picture.height + 4), caption, fill="black")
    return page


def heat_map(
    title: str, names: Sequence[str], shades: Tensor, texts: Sequence[Sequence[str]] | None = None
) -> Image.Image:
    """A matrix in colours, with names to the left and, upright, above.

    Args:
        title: What stands above.
        names: Of rows and columns, m.
        shades: How blue (to 1) or red (to -1, and beyond as these) each cell is, (m, m); grey for nan.
        texts: What stands in each cell, in one or more lines; None for its shade with two decimals.
    """
    values = shades.tolist()
    texts = texts or [[two_decimals(value) for value in row] for row in values]
    labels = [line_of(name if len(name) <= LONGEST else name[: LONGEST - 3] + "...") for name in names]
    cells = [[line_of(text, "white" if _is_dark(v) else "black", _colour(v)) for text, v in zip(*row, strict=True)]
             for row in zip(texts, values, strict=True)]  # fmt: skip
    width = max(labels[0].height, *(cell.width for row in cells for cell in row)) + GAP
    height = max(labels[0].height, *(cell.height for row in cells for cell in row)) + GAP
    heading, margin = line_of(title), max(label.width for label in labels) + GAP // 2
    top = heading.height + GAP + margin
    page = Image.new("RGB", (max(margin + width * len(names), heading.width), top + height * len(names)), "white")
    page.paste(heading, (0, 0))
    for number, label in enumerate(labels):
        place = margin + width * number + (width - label.height) // 2
        page.paste(label.rotate(90, expand=True), (place, top - GAP // 2 - label.width))
        place = top + height * number + (height - label.height) // 2
        page.paste(label, (margin - GAP // 2 - label.width, place))
    for row, pictures in enumerate(cells):
        for column, cell in enumerate(pictures):
            x, y = margin + width * column, top + height * row
            page.paste(_colour(values[row][column]), (x + 1, y + 1, x + width - 1, y + height - 1))
            page.paste(cell, (x + (width - cell.width) // 2, y + (height - cell.height) // 2))
    return page


def line_of(text: str, colour: str = "black", ground: str | tuple[int, int, int] = "white") -> Image.Image:
    """One or more lines of text, in the middle of a picture as large as they are."""
    font = ImageFont.load_default(TEXT)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    width = max(int(font.getlength(line)) for line in text.split("\n")) + 2
    height = 4 + max(int(ruler.multiline_textbbox((0, 0), text, font)[3]), TEXT * (1 + text.count("\n")))
    picture = Image.new("RGB", (width, height), ground)
    place = (width / 2, height / 2)
    ImageDraw.Draw(picture).multiline_text(place, text, colour, font, anchor="mm", align="center")
    return picture


def arranged(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures of any size on a page, row by row."""
    heights = [max(picture.height for picture in row) for row in rows]
    widths = [sum(picture.width + 3 * GAP for picture in row) - GAP for row in rows]
    page = Image.new("RGB", (max(widths), sum(heights) + GAP * (len(rows) + 1)), "white")
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        left = GAP
        for picture in row:
            page.paste(picture, (left, top))
            left += picture.width + 3 * GAP
        top += height + GAP
    return page


def two_decimals(value: float) -> str:
    """A number in about [-1, 1], with its sign; a dash for nan."""
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:+.2f}"  # which makes -0 a 0


def _colour(share: float) -> tuple[int, int, int]:
    if math.isnan(share):
        return UNKNOWN
    strength, end = min(abs(share), 1.0), TOGETHER if share > 0 else AGAINST
    red, green, blue = (round(255 + strength * (part - 255)) for part in end)
    return red, green, blue


def _is_dark(share: float) -> bool:
    return sum(_colour(share)) < 380


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    picture.save(partial, format="PNG")
    os.replace(partial, path)
