"""Pictures that a person can look at: enlarged pixels, one row for each condition."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate, pad

LEAST_PIXELS = 64
"""Smaller images are enlarged by whole factors until they reach this many pixels."""


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


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    picture.save(partial, format="PNG")
    os.replace(partial, path)
