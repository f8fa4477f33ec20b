"""Where files lie: a folder, or a zip archive that is never unpacked."""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from lightning_mtgan.errors import UserError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LARGEST_FILE = 1 << 30
"""Bytes that an image of an archive may unpack to."""
LARGEST_TABLE = 256 << 20
"""Bytes of a table of labels."""


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used.

    Args:
        name: Its name, fit to be printed.
        reason: Why, and what would be right.
        is_lasting: Whether it stays so until the file changes; a disk that does not answer may answer later.
    """

    name: str
    reason: str
    is_lasting: bool = True

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
        self.path = self.given = path

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

    def read(self, name: str) -> bytes:
        """The whole of a file that is no image.

        Raises:
            OSError: If it cannot be read, or is too large.
        """
        try:
            with self.open(name) as file:
                content = file.read(LARGEST_TABLE + 1)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
            raise OSError(str(error)) from error
        if len(content) > LARGEST_TABLE:
            raise OSError(f"more than {LARGEST_TABLE >> 20} MiB")
        return content


class Folder(Container):
    """A folder and everything below it; nothing outside is touched.

    Args:
        path: Where it is.
        follow_links: Whether symbolic links within it are followed.
        descend: Whether a folder that holds nothing but one folder stands for that one.
    """

    def __init__(self, path: Path, follow_links: bool, descend: bool = True) -> None:
        super().__init__(path)
        self.follow_links = follow_links
        while descend and len(inside := _visible(self.path)) == 1 and inside[0].is_dir(follow_symlinks=False):
            self.path = self.path / inside[0].name

    def listing(self) -> Listing:
        """Every file, sorted by name; links are followed on request, no folder is read twice."""
        found = Listing()
        ahead = [(self.path, "", frozenset({_identity(self.path.stat())}))]
        while ahead:
            folder, prefix, above = ahead.pop()
            try:
                members = _visible(folder)
            except OSError as error:
                found.problems.append(Problem(printable(prefix), f"the folder cannot be read ({error.strerror})"))
                continue
            for member in members:
                name = prefix + member.name
                if member.is_symlink() and not self._may_follow(member, name, above, found):
                    continue
                if member.is_dir():
                    ahead.append((Path(member.path), name + "/", above | {_identity(member.stat())}))
                else:
                    self._note(member, name, found)
        found.entries.sort(key=lambda entry: entry.name)
        found.problems.sort(key=lambda problem: problem.name)
        return found

    def _may_follow(
        self, member: os.DirEntry[str], name: str, above: frozenset[tuple[int, int]], found: Listing
    ) -> bool:
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
        return [member.name for member in _visible(self.path) if member.is_file(follow_symlinks=self.follow_links)]


class Archive(Container):
    """A zip archive, read where it lies; a single folder at its top is passed over.

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
        names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        tops = {name.partition("/")[0] if "/" in name else "" for name in names if not _is_hidden(name)}
        top = next(iter(tops)) if len(tops) == 1 else ""
        self._top = f"{top}/" if top not in ("", "..") else ""

    def listing(self) -> Listing:
        """Every file, sorted by name."""
        found, seen = Listing(), set()
        for info in sorted(self._zip.infolist(), key=lambda info: info.filename):
            name = info.filename.removeprefix(self._top)
            parts = PurePosixPath(info.filename).parts
            if ".." in parts or name.startswith("/") or "\\" in name or ":" in (parts[0] if parts else ""):
                found.problems.append(Problem(printable(name), "leads outside the archive"))
            elif info.is_dir() or _is_hidden(info.filename):
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
            return self._zip.open(self._top + name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError) as error:
            raise OSError(str(error)) from error

    def top_files(self) -> list[str]:
        """The names of the files that lie in no folder."""
        names = [name.removeprefix(self._top) for name in self._zip.namelist() if name.startswith(self._top)]
        return sorted(name for name in names if name and "/" not in name)


def open_container(root: str, follow_links: bool) -> Container:
    """The folder or archive at a path.

    Raises:
        UserError: If there is neither.
    """
    path = Path(root).expanduser().absolute()
    if path.is_dir():
        try:
            return Folder(path, follow_links)
        except OSError as error:
            raise UserError(f"data.root {path} cannot be read ({error.strerror}); change its permissions") from error
    if path.is_file():
        return Archive(path)
    raise UserError(f"data.root is {root} ({path}), where there is nothing; give a folder of images or a zip archive")


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def _is_hidden(name: str) -> bool:
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in PurePosixPath(name).parts)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, without what systems hide there."""
    members = [member for member in os.scandir(folder) if not _is_hidden(member.name)]
    return sorted(members, key=lambda member: member.name)


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino
