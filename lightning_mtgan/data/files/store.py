"""Decoded images in one mapped file, which all ranks and workers of a machine share."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from lightning_mtgan.data.atomic import exclusively, new_folder, require_room
from lightning_mtgan.data.files.containers import Container, Problem, printable
from lightning_mtgan.errors import UserError
from lightning_mtgan.image_files import CannotDecode, Format, decode

FORMAT = 2
"""What a store holds; raised whenever that, or how files are decoded, changes."""
PIXELS_AT_ONCE = 64_000_000
"""Pixels that all threads decode at a time, to bound the memory; an image with more is decoded alone."""
MOST_THREADS = 16
CHECKED_BYTES = 2 << 30
"""Stores up to this size are checked against their checksum whenever they are opened."""


@dataclass(frozen=True)
class Source:
    """Files that become one array of a store.

    Args:
        names: A file for each image, or None where an image has none.
        format: What they are brought to.
    """

    names: Sequence[str | None]
    format: Format


@dataclass(frozen=True)
class Store:
    """Mapped arrays and what was learned when they were made.

    Args:
        arrays: By name uint8 (N, channels, size, size); rows of files that cannot be decoded are 0.
        whole: Which rows of each array were decoded, bool (N,).
        digests: A hash of each image's decoded pixels, uint8 (N, 16).
        problems: Files that could not be decoded.
        folder: Where it lies.
    """

    arrays: dict[str, np.ndarray]
    whole: dict[str, np.ndarray]
    digests: np.ndarray
    problems: tuple[Problem, ...]
    folder: Path


def open_store(
    container: Container, survey_key: str, sources: Mapping[str, Source], pixels: Mapping[str, int], cache: Path
) -> Store:
    """The store of these files in this format; made by one process if it is not there yet.

    Args:
        container: Where the files lie.
        survey_key: What changes when any file does.
        sources: What to decode; ``image`` is always there.
        pixels: Pixels of each file, which say how much memory it takes.
        cache: Folder of all stores.

    Raises:
        UserError: If there is no room for it.
    """
    plain = {name: {"names": list(one.names), "format": asdict(one.format)} for name, one in sources.items()}
    key = hashlib.sha256(json.dumps([FORMAT, survey_key, plain]).encode()).hexdigest()[:16]
    folder = cache / f"store-{key}"
    store = _load(folder, sources)
    if store is not None:
        return store
    with exclusively(folder, "data.cache", "decodes the images"):
        store = _load(folder, sources)  # of another process, meanwhile
        if store is None:
            require_room(cache, sum(_num_bytes(source) for source in sources.values()))
            try:
                with new_folder(folder) as partial:
                    _build(partial, container, sources, pixels)
            except OSError as error:
                raise UserError(f"data.cache {cache} cannot be written ({error.strerror}); choose another") from error
            store = _load(folder, sources, even_if_passing=True)
            assert store is not None
    return store


def _num_bytes(source: Source) -> int:
    return len(source.names) * source.format.channels * source.format.size**2


def _build(folder: Path, container: Container, sources: Mapping[str, Source], pixels: Mapping[str, int]) -> None:
    num_images = len(sources["image"].names)
    digests = np.zeros((num_images, 16), dtype=np.uint8)
    whole = {name: np.zeros(num_images, dtype=bool) for name in sources}
    problems: list[Problem] = []
    sums = {}
    budget = _Budget(PIXELS_AT_ONCE)
    for array_name, source in sources.items():
        array = _new_array(folder / f"{array_name}.npy", (num_images, *source.format.shape))

        def one(index: int, source: Source = source) -> np.ndarray | Problem | None:
            name = source.names[index]
            if name is None:
                return None
            try:
                with budget.of(pixels[name]), container.open(name) as file:
                    return decode(file, source.format)
            except CannotDecode as error:
                return Problem(printable(name), str(error))
            except (OSError, MemoryError) as error:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                return Problem(printable(name), f"cannot be read ({reason})", False)

        for index, found in enumerate(_in_order(one, num_images, f"decoding {array_name}")):
            if isinstance(found, Problem):
                problems.append(found)
            elif found is not None:
                array[index] = found
                whole[array_name][index] = True
                if array_name == "image":
                    digest = hashlib.blake2b(found.tobytes(), digest_size=16).digest()
                    digests[index] = np.frombuffer(digest, dtype=np.uint8)
        array.flush()
        sums[array_name] = _sum(array)
        del array
    np.savez(folder / "whole.npz", **whole)  # type: ignore[arg-type]
    np.save(folder / "digests.npy", digests)
    facts = {
        "problems": [[one.name, one.reason] for one in problems],
        "checksums": sums,
        "is_passing": not all(one.is_lasting for one in problems),
    }
    with (folder / "store.json").open("w") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())


def _new_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A mapped file that has all its room: a disk that runs full under a mapped file kills the process."""
    array = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


class _Budget:
    """Lets threads decode as long as their images have so many pixels together; a larger one goes alone."""

    def __init__(self, pixels: int) -> None:
        self._free, self._all, self._changed = pixels, pixels, threading.Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Wait for room for an image."""
        share = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


def _in_order(
    work: Callable[[int], np.ndarray | Problem | None], count: int, title: str
) -> Iterator[np.ndarray | Problem | None]:
    """Results of a function of 0, 1, 2 ..., in this order, by threads; Pillow decodes without holding the others up."""
    num_threads = min(os.cpu_count() or 1, MOST_THREADS)
    ahead: deque[Future[np.ndarray | Problem | None]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(num_threads) as threads:
        warnings.simplefilter("ignore")  # of Pillow about a file; what is wrong is said by name in the report
        for index in tqdm(range(count), title, delay=2.0, leave=False, unit="file"):
            while len(ahead) < 4 * num_threads and index + len(ahead) < count:
                ahead.append(threads.submit(work, index + len(ahead)))
            yield ahead.popleft().result()


def _sum(array: np.ndarray) -> int:
    """CRC-32 of an array, in pieces."""
    total = 0
    for start in range(0, len(array), 1024):
        total = zlib.crc32(array[start : start + 1024].tobytes(), total)
    return total


def _load(folder: Path, sources: Mapping[str, Source], even_if_passing: bool = False) -> Store | None:
    """The store in a folder; None if there is none, it is damaged, or what was wrong with its files may have passed."""
    try:
        facts = json.loads((folder / "store.json").read_text())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in sources}
        with np.load(folder / "whole.npz") as file:
            whole = {name: file[name] for name in sources}
        digests = np.load(folder / "digests.npy")
        problems = tuple(Problem(name, reason) for name, reason in facts["problems"])
        sums, is_passing = {name: facts["checksums"][name] for name in sources}, facts["is_passing"]
    except (OSError, ValueError, EOFError, TypeError, KeyError, zipfile.BadZipFile):
        return None
    is_small = sum(array.nbytes for array in arrays.values()) <= CHECKED_BYTES
    is_damaged = is_small and any(_sum(array) != sums[name] for name, array in arrays.items())
    is_stale = is_passing and not even_if_passing
    return None if is_damaged or is_stale else Store(arrays, whole, digests, problems, folder)
