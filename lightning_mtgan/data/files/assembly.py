"""From a folder or an archive to images, tasks, and everything that should be said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow
import torch
from torch import Tensor

from lightning_mtgan.data.files.columns import Column, columns_to_tasks
from lightning_mtgan.data.files.containers import Problem, open_container, printable
from lightning_mtgan.data.files.kinds import Kind
from lightning_mtgan.data.files.names import FileNames
from lightning_mtgan.data.files.store import Source, Store, open_store
from lightning_mtgan.data.files.survey import Survey, survey
from lightning_mtgan.data.files.table import find_table, read_labels, read_stylegan
from lightning_mtgan.errors import UserError
from lightning_mtgan.image_files import Format

SPLITS = {"train": "train", "training": "train"} | dict.fromkeys(
    ("val", "valid", "validation", "test", "testing", "held_out"), "held_out"
)
"""Top folders that are parts of the data, not classes."""


@dataclass(frozen=True)
class Request:
    """What a person asks for; see ``ImageFolder``."""

    root: str
    table: str | None
    kinds: Mapping[str, Kind]
    class_folders: bool | None
    image_size: int | None
    channels: Literal[1, 3] | None
    fit: Literal["crop", "stretch", "pad"]
    background: tuple[int, int, int]
    max_enlargement: float
    max_aspect_ratio: float
    held_out_share: float
    follow_links: bool
    cache: Path


@dataclass(frozen=True)
class Assembled:
    """Images in a store, their tasks, and how they are split.

    Args:
        store: The decoded images.
        format: What they were brought to.
        names: The file of each row of the store.
        columns: The tasks, with a target for each row.
        rows: The rows of each split, in an order that any first part of is a fair sample, int64.
        survey: What the headers said.
        problems: Everything that cannot be used.
        notes: What else should be known.
    """

    store: Store
    format: Format
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: dict[str, Tensor]
    survey: Survey
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def assemble(request: Request) -> Assembled:
    """Survey, label, decode and split.

    Raises:
        UserError: If there are no images, or the table does not fit them.
    """
    container = open_container(request.root, request.follow_links)
    found = survey(container, request.cache)
    if not found.names and not found.problems:
        others = ", ".join(f"{count:,} {ending}" for ending, count in sorted(found.others.items()))
        raise UserError(
            f"data.root {request.root} holds no images (png, jpg, webp, bmp, tiff)"
            + (f", only {others}" if others else "; put some there")
        )
    place = find_table(container, request.table)
    size = request.image_size or found.usual_size()
    found = _leave_out_extremes(found, request, size)
    everything, notes, labels = found, list[str](), None
    if place is not None:
        labels = read_labels(place, found.names, found.problems)
    elif request.class_folders is not True:
        labels = read_stylegan(container, found.names, found.problems)
    columns: list[Column] = []
    if labels is not None:
        files = FileNames([*found.names, *(problem.name for problem in found.problems)])
        columns, more = columns_to_tasks(labels.columns, {**labels.kinds, **request.kinds}, files, labels.source)
        notes += more
        found, columns = _without_maps(found, columns)
    elif request.kinds:
        raise UserError(f"data.kinds is set, but there is no table; put a CSV or Parquet file into {request.root}")
    parts, below = _parts(found.names)
    if request.class_folders or (labels is None and request.class_folders is None):
        columns += _class_column(below, {column.name for column in columns}, request)
    channels = request.channels or found.usual_channels()
    format_ = Format(size, channels, request.fit, request.background)
    sources = {"image": Source(found.names, format_)}
    sources |= {column.name: _map_source(column, format_, everything) for column in columns if column.kind == "dense"}
    pixels = dict(zip(everything.names, (everything.width * everything.height).tolist(), strict=True))
    store = open_store(container, found.key, sources, pixels, request.cache)
    problems = (*found.problems, *(labels.problems if labels is not None else ()), *store.problems)
    notes += _odd_names(found.names) + _duplicates(found.names, store) + _unlabelled(columns)
    rows = _split(store, parts, request.held_out_share)
    return Assembled(store, format_, found.names, tuple(columns), rows, found, problems, tuple(notes))


def _leave_out_extremes(found: Survey, request: Request, size: int) -> Survey:
    """Images that would become a blur, or of which next to nothing would be seen."""
    short, long = np.minimum(found.width, found.height), np.maximum(found.width, found.height)
    is_tiny = short * request.max_enlargement < size
    is_strip = long > short * request.max_aspect_ratio
    problems = []
    for index in (is_tiny | is_strip).nonzero()[0].tolist():
        shape = f"{found.width[index]} x {found.height[index]} pixels"
        if is_tiny[index]:
            reason = (
                f"{shape}, to be enlarged {size / short[index]:.3g} times to {size} x {size}; "
                "data.max_enlargement is the limit"
            )
        else:
            reason = (
                f"{shape}, {long[index] / short[index]:.3g} times as long as wide; data.max_aspect_ratio is the limit"
            )
        problems.append(Problem(printable(found.names[index]), reason))
    return found.without(problems, ~(is_tiny | is_strip))


def _without_maps(found: Survey, columns: list[Column]) -> tuple[Survey, list[Column]]:
    """Files that are some image's map are no images themselves; a map that cannot be read is missing."""
    maps = {file for column in columns for file in column.files if file is not None}
    if not maps:
        return found, columns
    usable = set(found.names)
    keep = np.array([name not in maps for name in found.names])
    rows = torch.from_numpy(keep)

    def kept(column: Column) -> Column:
        target = column.target[rows] if column.target is not None else None
        files = [file if file in usable else None for file, stays in zip(column.files, keep, strict=False) if stays]
        return replace(column, target=target, files=tuple(files))

    return found.without([], keep), [kept(column) for column in columns]


def _parts(names: tuple[str, ...]) -> tuple[list[str] | None, list[str]]:
    """The split of each file, where top folders say so, and its path below that."""
    tops = [name.partition("/")[0] if "/" in name else "" for name in names]
    found = {SPLITS.get(top.lower()) for top in tops}
    if not {"train", "held_out"} <= found:
        return None, list(names)
    if None in found:
        stray = next(name for name, top in zip(names, tops, strict=True) if top.lower() not in SPLITS)
        raise UserError(f"there are folders of splits, and {printable(stray)} lies beside them; move it into one")
    return [SPLITS[top.lower()] for top in tops], [name.partition("/")[2] for name in names]


def _class_column(names: list[str], taken: set[str], request: Request) -> list[Column]:
    """The first folder of each path as a class; nothing where there is one folder, or none."""
    folders = pyarrow.array([printable(name.partition("/")[0]) if "/" in name else None for name in names])
    is_possible = len(folders.drop_null().unique()) >= 2 and "class" not in taken
    if not is_possible and request.class_folders:
        raise UserError(
            "data.class_folders is true, but the images lie in one folder, or the table has a column `class`; "
            "leave it away"
        )
    if not is_possible:
        return []
    return columns_to_tasks({"class": folders}, {"class": "classification"}, FileNames([]), "the folders")[0]


def _map_source(column: Column, image: Format, found: Survey) -> Source:
    is_grey = dict(zip(found.names, found.is_grey.tolist(), strict=True))
    channels = 1 if all(is_grey[file] for file in column.files if file is not None) else 3
    return Source(column.files, Format(image.size, channels, image.fit, (0, 0, 0), is_map=True))


def _odd_names(names: tuple[str, ...]) -> list[str]:
    odd = [printable(name) for name in names if name.encode(errors="replace").decode() != name]
    return [f"{name}: its name is not UTF-8; the image is used" for name in odd]


def _duplicates(names: tuple[str, ...], store: Store) -> list[str]:
    first: dict[bytes, str] = {}
    notes = []
    for name, digest, is_whole in zip(names, store.digests, store.whole["image"], strict=True):
        if is_whole and (other := first.setdefault(digest.tobytes(), name)) != name:
            notes.append(f"{printable(name)}: the same image as {printable(other)}")
    return notes


def _unlabelled(columns: list[Column]) -> list[str]:
    if not columns:
        return ["there are no labels: neither a table nor folders of classes; images alone are learned"]
    return []


def _split(store: Store, parts: list[str] | None, held_out_share: float) -> dict[str, Tensor]:
    """Rows of each split; by folder, or the share of held-out images by their content.

    Images in the order of their hashes are as good as shuffled, stay where they are when others
    are added, and leave no copy of a training image among the held-out ones.
    """
    order = np.lexsort(store.digests.T[::-1])
    order = order[store.whole["image"][order]]
    if parts is not None:
        is_train = np.array([part == "train" for part in parts])[order]
    else:
        count = int(len(order) * held_out_share)
        while 0 < count < len(order) and (store.digests[order[count]] == store.digests[order[count - 1]]).all():
            count += 1
        if count == len(order):  # all images are the same
            count = 0
        is_train = np.arange(len(order)) >= count
    rows = {"train": torch.from_numpy(order[is_train].copy())}
    if not is_train.all():
        rows["held_out"] = torch.from_numpy(order[~is_train].copy())
    return rows
