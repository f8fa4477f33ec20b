"""Names of files as people write them in tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath


class FileNames:
    """Finds the file that a text names.

    Args:
        names: All files, with their folders.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        short = [PurePosixPath(name).name for name in self._names]
        counts = Counter(short)
        self._short = {one: name for one, name in zip(short, self._names, strict=True) if counts[one] == 1}

    def find(self, text: str) -> str | None:
        """The file: by its path, or by its name alone where no other file has it; None if there is none."""
        path = text.strip().replace("\\", "/").removeprefix("./")
        if path in self._names:
            return path
        return self._short.get(path)
