"""Chunks of litdata's: found, checked, opened."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.errors import UserError

ABOUT, INDEX = "about.pt", "index.json"
"""What the data is, at the root; and litdata's list of the chunks, in the folder of each split."""
NUM_REFERENCE = 10_000
"""Training images that stand in for a reference that the folder lacks."""


class StreamedImages(IndexedImages):
    """Images of a stream by their index; those that are asked for in their order are read chunk by chunk.

    Args:
        folder: Folder or URL of the chunks.
        indices: Which images, int64 (N,).
    """

    def __init__(self, folder: str, indices: Tensor) -> None:
        self.folder, self.indices = folder, indices
        self._stream: Any = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        if self._stream is None:
            self._stream = open_stream(self.folder)
        return collate([self._stream[index] for index in self.indices[indices].tolist()])


def require_litdata() -> None:
    """Make sure that litdata is installed.

    Raises:
        UserError: If it is not.
    """
    try:
        import litdata  # noqa: F401
    except ImportError as error:
        raise UserError("data that is streamed needs the package litdata; run: pip install litdata") from error


def open_stream(folder: str) -> Any:
    """A reader of a folder or URL that fetches whole chunks."""
    from litdata import StreamingDataset

    stream = StreamingDataset(folder, batch_decode=0)  # images are decoded one by one, not by the window
    stream[:0]  # from its first slice on it fetches chunks; before, it would request each image by itself
    return stream


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Samples as one batch: ``image`` uint8 (N, C, H, W) and ``targets`` by task."""
    targets = [sample["targets"] for sample in samples]
    return {
        "image": torch.stack([torch.as_tensor(sample["image"]) for sample in samples]),
        "targets": {name: torch.stack([torch.as_tensor(one[name]) for one in targets]) for name in targets[0]},
    }


def evenly_spaced(num_images: int, count: int) -> Tensor:
    """``count`` indices below ``num_images``, in order, or all where there are fewer: int64."""
    count = min(count, num_images)
    return torch.arange(count) * num_images // max(1, count)


def chunk_sizes(folder: str) -> list[int]:
    """Images in each chunk of a stream, by its index.

    Raises:
        UserError: If the index or a local chunk is missing or damaged.
    """
    where, text = f"{folder}/{INDEX}", _fetch(folder, INDEX)
    try:
        chunks = json.loads(text)["chunks"]
        sizes, names = [int(chunk["chunk_size"]) for chunk in chunks], [str(chunk["filename"]) for chunk in chunks]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where} is damaged or no index of litdata; write the stream again") from error
    if sum(sizes) < 1 or min(sizes) < 1:
        raise UserError(f"{where} lists no images; write the stream again")
    if not is_remote(folder):
        for name in names:
            if not (Path(folder) / name).is_file():
                raise UserError(f"{folder}/{name} does not exist, but {INDEX} lists it; write the stream again")
    return sizes


def is_remote(folder: str) -> bool:
    """Whether litdata has to fetch it."""
    return folder.startswith("local:") or "://" in folder


def read_about(root: str) -> dict[str, Any]:
    """The description of a stream: ``spec`` and ``splits``.

    Raises:
        UserError: If it is missing or damaged.
    """
    content = io.BytesIO(_fetch(root, ABOUT))
    try:
        about = torch.load(content, weights_only=True)
        return {"spec": about["spec"], "splits": dict(about["splits"])}
    except Exception as error:  # torch.load fails in many ways
        raise UserError(f"{root}/{ABOUT} is damaged or describes no stream; write the stream again") from error


def _fetch(folder: str, name: str) -> bytes:
    """The content of a small file.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        if not is_remote(folder):
            return (Path(folder) / name).read_bytes()
        from litdata.streaming.downloader import get_downloader

        with tempfile.TemporaryDirectory() as scratch:
            get_downloader(folder, scratch, []).download_file(f"{folder}/{name}", f"{scratch}/{name}")
            return (Path(scratch) / name).read_bytes()
    except Exception as error:  # every store has errors of its own
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{folder}/{name} cannot be read ({reason}); give the root of a stream as data.root") from error
