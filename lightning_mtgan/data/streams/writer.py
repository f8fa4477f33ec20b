"""Writes the images of a data module as a stream, which ``Streamed`` reads."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_mtgan.data.images import CHUNK, IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.streams.chunks import ABOUT, NUM_REFERENCE, evenly_spaced, require_litdata
from lightning_mtgan.errors import UserError


def write_stream(
    data: ImageDataModule, folder: Path, num_workers: int = 0, chunk_bytes: int | str = "64MB", seed: int = 0
) -> None:
    """Write a data module as a folder that ``Streamed`` reads: whole, or not at all.

    Training images are shuffled once, because neighbours in a chunk are seen together. Of ``reference``
    and ``held_out`` at most 10,000 images are written, evenly spaced.

    Args:
        data: The data.
        folder: Where to; must not exist, or be empty.
        num_workers: Processes that fetch the images; one process writes.
        chunk_bytes: Size of a chunk, in bytes or as litdata writes it: what is fetched in one piece.
        seed: Seed of the shuffling.

    Raises:
        UserError: If litdata is missing, there is something in the folder, or it cannot be written.
    """
    require_litdata()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty; give another folder")
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.mkdir(parents=True)
        splits = {}
        for split in ("train", "reference", "held_out"):
            if split not in data.splits or not len(images := data.dataset(split)):
                continue
            if split == "train":
                order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
            else:
                order = evenly_spaced(len(images), NUM_REFERENCE)
            _write(images, order, partial / split, num_workers, chunk_bytes)
            some = f"{len(order):,} evenly spaced of " if len(order) < len(images) else ""
            splits[split] = some + data.splits[split]
        torch.save({"spec": data.spec.to_dict(), "splits": splits}, partial / ABOUT)
        os.replace(partial, folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror or error}); give another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(images: IndexedImages, order: Tensor, folder: Path, num_workers: int, chunk_bytes: int | str) -> None:
    """Write images of a split in the order of their indices, with litdata's index."""
    from litdata.streaming import Cache

    cache = Cache(str(folder), chunk_bytes=chunk_bytes)
    batches: Any = order.split(CHUNK)
    loader: DataLoader[Any] = DataLoader(images, sampler=batches, batch_size=None, num_workers=num_workers)
    number = 0
    for batch in loader:
        for row, image in enumerate(batch["image"]):
            targets = {name: target[row] for name, target in batch["targets"].items()}
            cache[number] = {"image": image, "targets": targets}
            number += 1
    cache.done()
    cache.merge()
