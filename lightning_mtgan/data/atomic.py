"""Files that several processes want and one of them makes: whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lightning_mtgan.errors import UserError


@contextmanager
def exclusively(path: Path, key: str, what: str) -> Iterator[None]:
    """Let one process of this machine through at a time; the others wait, and say so.

    The ranks of a training build their data before they know of each other, so a lock on a file
    has to do; the kernel takes it away when its holder dies.

    Args:
        path: What is made; the lock lies beside it.
        key: The key of the folder that it lies in, for the message.
        what: What the other process does, in words.

    Raises:
        UserError: If nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise UserError(f"{key} {path.parent} cannot be written ({error.strerror}); choose another") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another process {what} ({path.name})", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as one file, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name of ``path`` when it is done; the caller holds the lock.

    What a killed process has left of it is cleared away.
    """
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(path, ignore_errors=True)  # a damaged one
    os.replace(partial, path)


def require_room(folder: Path, num_bytes: int) -> None:
    """Refuse before a disk runs full.

    Raises:
        UserError: If the disk has not so many bytes left.
    """
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise UserError(
            f"data.cache {folder} needs {num_bytes >> 20:,} MiB for the decoded images, and {free >> 20:,} are free; "
            "choose another disk or a smaller data.image_size"
        )
