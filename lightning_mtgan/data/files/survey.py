"""What the headers of all files say, before any of them is decoded."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightning_mtgan.data.atomic import exclusively, write_arrays
from lightning_mtgan.data.files.containers import Container, Listing, Problem, printable
from lightning_mtgan.image_files import GREY_MODES, CannotDecode, header

FORMAT = 2
"""What a stored survey holds; raised whenever that changes."""
SIZES = (8, 16, 32, 64)
"""Sizes that images are brought to if nobody says otherwise."""


@dataclass(frozen=True)
class Survey:
    """The files whose headers can be read.

    Args:
        names: Their names.
        width: Their widths as they are looked at, in pixels, int64 (N,).
        height: Their heights.
        is_grey: Which of them have no colour, bool (N,).
        problems: Files that cannot be used, with the reason.
        others: How many files have other endings.
        key: What changes when any file does.
    """

    names: tuple[str, ...]
    width: np.ndarray
    height: np.ndarray
    is_grey: np.ndarray
    problems: tuple[Problem, ...]
    others: dict[str, int]
    key: str

    def usual_size(self) -> int:
        """The largest of ``SIZES`` that does not enlarge the typical image."""
        if not self.names:
            return SIZES[0]
        typical = float(np.median(np.minimum(self.width, self.height)))
        return max((size for size in SIZES if size <= typical), default=SIZES[0])

    def usual_channels(self) -> int:
        """1 where no image has colour, else 3."""
        return 1 if len(self.names) and bool(self.is_grey.all()) else 3

    def without(self, problems: list[Problem], keep: np.ndarray) -> Survey:
        """The survey of those files alone that are to be kept, bool (N,); the reasons of the others are given."""
        names = tuple(name for name, stays in zip(self.names, keep, strict=True) if stays)
        found = (*self.problems, *problems)
        return Survey(names, self.width[keep], self.height[keep], self.is_grey[keep], found, self.others, self.key)


def survey(container: Container, cache: Path) -> Survey:
    """Look at every file's header; what was found is kept until a file changes.

    Args:
        container: Where the files lie.
        cache: Folder where the survey is kept.
    """
    listing = container.listing()
    key = _key(container, listing)
    path = cache / f"survey-{key}.npz"
    found = _load(path, listing, key)
    if found is None:
        with exclusively(path, "data.cache", "looks at the files"):
            found = _load(path, listing, key)  # by another process, meanwhile
            if found is None:
                found = _look(container, listing, key)
                if all(problem.is_lasting for problem in found.problems):
                    write_arrays(path, _arrays(found))
    # What is wrong with the folder itself is looked at anew at every start.
    return replace(found, problems=(*listing.problems, *found.problems))


def _key(container: Container, listing: Listing) -> str:
    digest = hashlib.sha256(f"{FORMAT} {container.path.resolve()}".encode(errors="surrogateescape"))
    for entry in listing.entries:
        digest.update(f"\n{entry.name}\t{entry.stamp}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _look(container: Container, listing: Listing, key: str) -> Survey:
    names, facts, problems = [], [], []
    for entry in listing.entries:
        try:
            with container.open(entry.name) as file:
                found = header(file)
        except CannotDecode as error:
            problems.append(Problem(printable(entry.name), str(error)))
        except OSError as error:
            problems.append(Problem(printable(entry.name), f"cannot be read ({error.strerror or error})", False))
        else:
            names.append(entry.name)
            facts.append((found.width, found.height, found.mode in GREY_MODES))
    table = np.array(facts, dtype=np.int64).reshape(-1, 3)
    return Survey(
        tuple(names), table[:, 0], table[:, 1], table[:, 2].astype(bool), tuple(problems), dict(listing.others), key
    )


def _arrays(found: Survey) -> dict[str, np.ndarray]:
    known = {"names": found.names, "problems": [[one.name, one.reason] for one in found.problems]}
    text = json.dumps(known).encode()  # surrogates of names that are no UTF-8 are escaped
    return {
        "facts": np.stack([found.width, found.height, found.is_grey.astype(np.int64)], axis=1),
        "text": np.frombuffer(text, dtype=np.uint8),
    }


def _load(path: Path, listing: Listing, key: str) -> Survey | None:
    """The kept survey; None if there is none, or it cannot be read."""
    try:
        with np.load(path) as arrays:
            facts, known = arrays["facts"], json.loads(arrays["text"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None
    problems = tuple(Problem(name, reason) for name, reason in known["problems"])
    names = tuple(known["names"])
    return Survey(names, facts[:, 0], facts[:, 1], facts[:, 2].astype(bool), problems, dict(listing.others), key)
