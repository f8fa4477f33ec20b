"""Where files lie: a folder, or a zip archive that is never unpacked."""

from __future__ import annotations

import os
import stat
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from lightning_mtgan.errors import UserError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LARGEST_FILE = 1 << 30
"""Bytes that a file of an archive may unpack to."""


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used.

    Args:
        name: Its name, fit to be printed.
        reason: Why, and what would be right.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Entry:
    """A file that looks like an image by its name.

    Args:
        name: Its path below the container, with slashes.
        stamp: What changes when the file does.
    """

    name: str
    stamp: str


@dataclass
class Listing:
    """What a container holds.

    Args:
        entries: Files that look like images, by name.
        problems: Files that cannot be used.
        others: How many other files there are, by ending.
    """

    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def printable(name: str) -> str:
    """A file's name, with bytes that are no UTF-8, and signs that steer a terminal, written out."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)


class Container(ABC):
    """Files by their names.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def listing(self) -> Listing:
        """Every file, sorted by name."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """A file, to read; may be called by several threads.

        Raises:
            OSError: If it cannot be read.
        """

    @abstractmethod
    def top_files(self) -> list[str]:
        """The names of the files that lie in no folder."""


class Folder(Container):
    """A folder and everything below it; nothing outside is touched.

    Args:
        path: Where it is.
        follow_links: Whether symbolic links within it are followed.
    """

    def __init__(self, path: Path, follow_links: bool) -> None:
        super().__init__(path)
        self.follow_links = follow_links

    def listing(self) -> Listing:
        """Every file, sorted by name; links are followed on request, no folder is read twice."""
        found = Listing()
        self._walk(self.path, "", {_identity(self.path.stat())}, found)
        found.entries.sort(key=lambda entry: entry.name)
        return found

    def _walk(self, folder: Path, prefix: str, above: set[tuple[int, int]], found: Listing) -> None:
        try:
            members = sorted(os.scandir(folder), key=lambda member: member.name)
        except OSError as error:
            found.problems.append(Problem(printable(prefix), f"the folder cannot be read ({error.strerror})"))
            return
        for member in members:
            if member.name.startswith(".") or member.name == "__MACOSX":
                continue
            name = prefix + member.name
            if member.is_symlink() and not self._may_follow(member, name, above, found):
                continue
            if member.is_dir():
                self._walk(Path(member.path), name + "/", above | {_identity(member.stat())}, found)
            else:
                self._note(member, name, found)

    def _may_follow(self, member: os.DirEntry[str], name: str, above: set[tuple[int, int]], found: Listing) -> bool:
        try:
            target = member.stat()
        except OSError:
            reason = "a symbolic link that leads nowhere"
        else:
            if stat.S_ISDIR(target.st_mode) and _identity(target) in above:
                reason = "a symbolic link that leads back to a folder above it"
            elif self.follow_links:
                return True
            elif stat.S_ISDIR(target.st_mode) or _is_image(name):
                reason = "a symbolic link; set data.follow_links to true to follow it"
            else:
                return False
        found.problems.append(Problem(printable(name), reason))
        return False

    def _note(self, member: os.DirEntry[str], name: str, found: Listing) -> None:
        if not _is_image(name):
            found.others[PurePosixPath(name).suffix.lower() or "no ending"] += 1
            return
        facts = member.stat()
        if not stat.S_ISREG(facts.st_mode):
            found.problems.append(Problem(printable(name), "not a regular file"))
        elif facts.st_size == 0:
            found.problems.append(Problem(printable(name), "0 bytes"))
        else:
            found.entries.append(Entry(name, f"{facts.st_size} {facts.st_mtime_ns}"))

    def open(self, name: str) -> IO[bytes]:
        """A file, to read."""
        return (self.path / name).open("rb")

    def top_files(self) -> list[str]:
        """The names of the files that lie in no folder."""
        return sorted(member.name for member in os.scandir(self.path) if member.is_file())


class Archive(Container):
    """A zip archive, read where it lies.

    Args:
        path: Where it is.

    Raises:
        UserError: If it is no zip archive that can be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"data.root {path} is no zip archive that can be read ({error}); make it again") from error

    def listing(self) -> Listing:
        """Every file, sorted by name."""
        found, seen = Listing(), set()
        for info in sorted(self._zip.infolist(), key=lambda info: info.filename):
            name = info.filename
            parts = PurePosixPath(name).parts
            if ".." in parts or name.startswith("/") or "\\" in name or ":" in (parts[0] if parts else ""):
                found.problems.append(Problem(printable(name), "leads outside the archive"))
            elif info.is_dir() or any(part.startswith(".") or part == "__MACOSX" for part in parts):
                continue
            elif not _is_image(name):
                found.others[PurePosixPath(name).suffix.lower() or "no ending"] += 1
            elif reason := self._wrong(info, name in seen):
                found.problems.append(Problem(printable(name), reason))
            else:
                seen.add(name)
                found.entries.append(Entry(name, f"{info.file_size} {info.CRC:08x}"))
        return found

    @staticmethod
    def _wrong(info: zipfile.ZipInfo, is_again: bool) -> str | None:
        if is_again:
            return "is in the archive more than once"
        if info.flag_bits & 1:
            return "is encrypted; pack it without a password"
        if stat.S_ISLNK(info.external_attr >> 16):
            return "a symbolic link"
        if info.file_size == 0:
            return "0 bytes"
        if info.file_size > LARGEST_FILE:
            return f"unpacks to {info.file_size >> 20:,} MiB; {LARGEST_FILE >> 20:,} are the most"
        return None

    def open(self, name: str) -> IO[bytes]:
        """A file, to read."""
        try:
            return self._zip.open(name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError) as error:
            raise OSError(str(error)) from error

    def top_files(self) -> list[str]:
        """The names of the files that lie in no folder."""
        return sorted(name for name in self._zip.namelist() if "/" not in name)


def open_container(root: str, follow_links: bool) -> Container:
    """The folder or archive at a path.

    Raises:
        UserError: If there is neither.
    """
    path = Path(root).expanduser()
    if path.is_dir():
        return Folder(path, follow_links)
    if path.is_file():
        return Archive(path)
    raise UserError(f"data.root is {root}, where there is nothing; give a folder of images or a zip archive")


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def classes_of(names: list[str]) -> Iterator[str | None]:
    """The first folder of each file's path, or None of a file that lies in no folder."""
    for name in names:
        first, separator, _ = name.partition("/")
        yield first if separator else None
