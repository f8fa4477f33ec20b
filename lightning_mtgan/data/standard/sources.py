"""The files of a data set: found, checked, downloaded and unpacked, by one process of a machine at a time."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets.utils import (
    check_integrity,
    download_file_from_google_drive,
    download_url,
    extract_archive,
)

from lightning_mtgan.data.atomic import exclusively
from lightning_mtgan.errors import UserError

SILENCE_SECONDS = 60.0
"""A server that says nothing for so long is given up."""


@dataclass(frozen=True)
class File:
    """A file, or a folder, that a data set needs.

    Args:
        name: Its path below the data folder.
        md5: Its checksum; empty where none is known.
    """

    name: str
    md5: str = ""

    def is_whole(self, root: Path) -> bool:
        """Whether it is there, with the right checksum."""
        path = root / self.name
        return bool(check_integrity(path, self.md5)) if self.md5 else path.exists()


@dataclass(frozen=True)
class Parcel:
    """What is downloaded in one piece.

    Args:
        file: The piece.
        links: Where it lies; the first that answers is used.
        drive_id: Its name on Google Drive, instead of links.
        holds: What it unpacks to, where it lies; empty if it is used as it is.
    """

    file: File
    links: tuple[str, ...] = ()
    drive_id: str = ""
    holds: tuple[File, ...] = ()

    @property
    def needed(self) -> tuple[File, ...]:
        """The files that are read."""
        return self.holds or (self.file,)

    def is_whole(self, root: Path) -> bool:
        """Whether everything that is read is there."""
        return all(file.is_whole(root) for file in self.needed)

    def provide(self, root: Path, download: bool) -> None:
        """Bring what is read to its place, as far as that is possible."""
        if self.is_whole(root):
            return
        if not self.file.is_whole(root):
            if not download:
                return
            self._download(root)
        if self.holds:
            self._unpack(root / self.file.name)

    def _download(self, root: Path) -> None:
        path = root / self.file.name
        if self.drive_id:
            download_file_from_google_drive(self.drive_id, path.parent, path.name, self.file.md5)
            return
        for link in self.links:
            try:
                download_url(link, path.parent, path.name, self.file.md5)
                return
            except (RuntimeError, OSError):
                if link == self.links[-1]:
                    raise

    @staticmethod
    def _unpack(archive: Path) -> None:
        # Nobody ever sees half a file: what was unpacked is moved when it is complete.
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=archive.parent) as folder:
            extract_archive(archive, folder)
            _move(Path(folder), archive.parent)


@dataclass(frozen=True)
class Source:
    """Everything that a data set is read from.

    Args:
        title: The data set's name, for people.
        parcels: What is downloaded.
    """

    title: str
    parcels: tuple[Parcel, ...]

    def provide(self, root: Path, download: bool) -> None:
        """See that every file is in its place; archives that are there are unpacked, with or without a download.

        Processes that do this at the same time wait for one another, so only the first has work to do.

        Args:
            root: The data folder.
            download: Whether the network may be used.

        Raises:
            UserError: If something is missing or damaged in the end: names it and says where to put what.
        """
        if all(parcel.is_whole(root) for parcel in self.parcels):
            return
        reason = "the download did not bring it" if download else "data.download is false"
        if download or any((root / parcel.file.name).exists() for parcel in self.parcels):
            try:
                with exclusively(root / ".download", "data.root", "downloads or unpacks the data"), _impatient():
                    for parcel in self.parcels:
                        parcel.provide(root, download)
            except Exception as error:  # each way to download has exceptions of its own
                detail = " ".join(f"{error}".split()) or type(error).__name__
                reason = f"{'the download' if download else 'unpacking'} failed ({detail})"
        lacking = [parcel for parcel in self.parcels if not parcel.is_whole(root)]
        if lacking:
            raise UserError(self._sentence(root.absolute(), lacking, reason))

    def _sentence(self, root: Path, lacking: Sequence[Parcel], reason: str) -> str:
        needed = [file for parcel in lacking for file in parcel.needed if not file.is_whole(root)]
        missing = [file for file in needed if not (root / file.name).exists()]
        damaged = [file for file in needed if file not in missing]
        archives = [parcel.file for parcel in lacking if parcel.holds]
        damaged += [file for file in archives if (root / file.name).exists() and not file.is_whole(root)]
        parts = []
        if missing:
            parts.append(f"{(root / missing[0].name).parent} lacks {_names(missing)}")
        if damaged:
            is_ = "is" if len(damaged) == 1 else "are"
            parts.append(f"{_names(damaged)} in {(root / damaged[0].name).parent} {is_} damaged (wrong MD5 sum)")
        wanted = [parcel.file for parcel in lacking]
        return (
            f"{self.title}: {' and '.join(parts)}, and {reason}; put {_names(wanted)} into "
            f"{(root / wanted[0].name).parent} (data.root is {root})"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say which file it was when it cannot be read.

    Raises:
        UserError: Instead of whatever a reader raises on a damaged file.
    """
    try:
        yield
    except Exception as error:  # a damaged file can break a reader in any way
        raise UserError(
            f"{path.absolute()} is damaged ({' '.join(str(error).split()) or type(error).__name__}); delete it and let "
            "it be downloaded again (data.download), or put a good one there (data.root)"
        ) from error


def _names(files: Sequence[File]) -> str:
    return ", ".join(Path(file.name).name for file in files)


def _move(source: Path, target: Path) -> None:
    """Move a file or a folder; into a folder that is there already, file by file."""
    if not target.is_dir():
        os.replace(source, target)
        return
    for child in source.iterdir():
        _move(child, target / child.name)


@contextmanager
def _impatient() -> Iterator[None]:
    """Inside, a server that does not answer is an error, not an endless wait."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
