"""What is to be enhanced, and where the results go: all of it checked before the first is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lightning_mtgan.enhancing import photograph
from lightning_mtgan.enhancing.enhancer import Enhancer
from lightning_mtgan.enhancing.photograph import Photograph
from lightning_mtgan.errors import UserError
from lightning_mtgan.image_files import CannotDecode, header
from lightning_mtgan.restoring import files_of


class Work(NamedTuple):
    """One photograph.

    Args:
        source: Its file.
        target: The file of the result.
        num_tiles: In how many tiles it is worked on.
    """

    source: Path
    target: Path
    num_tiles: int


def listed(given: Path, output: Path, overwrite: bool, enhancer: Enhancer) -> list[Work]:
    """Every photograph of a folder, or the only one, by name.

    Args:
        given: A folder or a file.
        output: The folder of the results.
        overwrite: Whether results that are there already may be written anew.
        enhancer: What is to be done.

    Raises:
        UserError: If there are none, one cannot be read or worked on, or a result would take the place of something.
    """
    if given.is_file():
        files, folder = [given], given.parent
    elif given.exists():
        files, folder = files_of(given, "--input"), given
    else:
        raise UserError(f"--input {given} does not exist; name an image or a folder of images")
    if output.resolve() == folder.resolve():
        raise UserError(f"--output {output} is the folder of the photographs themselves; choose another")
    works = [_work(path, output, enhancer) for path in files]
    _require_room(works, output, overwrite)
    return works


def read(path: Path, channels: int | None) -> Photograph:
    """A photograph, see ``photograph.read``.

    Raises:
        UserError: If it cannot be read, or would fill the memory.
    """
    try:
        with path.open("rb") as file:
            header(file)
        return photograph.read(path, channels)
    except (OSError, CannotDecode) as error:
        raise UserError(f"--input: {path} {error}; repair it or take it away") from error


def _work(path: Path, output: Path, enhancer: Enhancer) -> Work:
    found = read(path, enhancer.channels)
    size = found.pixels.shape[1:]
    enhancer.require_possible(f"--input: {path}", *size)
    return Work(path, output / found.name, len(enhancer.tiles(*size)))


def _require_room(works: Sequence[Work], output: Path, overwrite: bool) -> None:
    taken: dict[Path, Path] = {}
    for work in works:
        if (other := taken.setdefault(work.target, work.source)) is not work.source:
            raise UserError(
                f"--input: {other.name} and {work.source.name} would both become {work.target.name}; rename one"
            )
    if folders := [work.target for work in works if work.target.is_dir()]:
        raise UserError(
            f"--output: {folders[0]} is a folder, where a photograph is to be written; choose another folder"
        )
    there = [work.target for work in works if work.target.exists()]
    if there and not overwrite:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UserError(f"--output: {there[0]}{more} is there already; add --overwrite, or choose another folder")
