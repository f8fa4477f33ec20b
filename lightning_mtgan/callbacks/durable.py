"""Files that are whole at every moment, also when the process or the machine dies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to the disk itself, and keeps an error for all ranks to hear of.

    An exception on the one rank that writes would leave the others waiting for it.
    """

    failure: str | None = None
    """Why the last checkpoint could not be written, or None."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write and flush; on failure say so in ``failure`` and leave no partial file."""
        path = Path(path)
        self.failure = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # what a kill left may be the best checkpoint's other name
            with path.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # torch wraps the file's own errors
            self.failure = _reason(error)
            path.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    """What the operating system said, wherever torch put it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return " ".join(str(error).split())[:120]


def keep_also_as(source: Path, target: Path) -> None:
    """Give a file a second name, whole or not at all; a copy where the file system has no links."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    os.replace(partial, target)


def settle(folder: Path) -> None:
    """Make renames in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
