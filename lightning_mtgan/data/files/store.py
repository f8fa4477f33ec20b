"""Decoded images in one mapped file, which all ranks and workers of a machine share."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from lightning_mtgan.data.atomic import exclusively, new_folder, require_room
from lightning_mtgan.data.files.containers import Container, Problem, printable
from lightning_mtgan.data.files.pictures import CannotDecode, Format, decode

FORMAT = 1
"""What a store holds; raised whenever that, or how files are decoded, changes."""
LARGE = 16_000_000
"""Images with more pixels are decoded one at a time, to bound the memory."""
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
        is_whole: Which images, and all that belongs to them, could be decoded, bool (N,).
        digests: A hash of each image's decoded pixels, uint8 (N, 16).
        problems: Files that could not be decoded.
        folder: Where it lies.
    """

    arrays: dict[str, np.ndarray]
    is_whole: np.ndarray
    digests: np.ndarray
    problems: tuple[Problem, ...]
    folder: Path


def open_store(
    container: Container, survey_key: str, sources: Mapping[str, Source], pixels: np.ndarray, cache: Path
) -> Store:
    """The store of these files in this format; made by one process if it is not there yet.

    Args:
        container: Where the files lie.
        survey_key: What changes when any file does.
        sources: What to decode; ``image`` is always there.
        pixels: Pixels of each image's file, which say how much memory it takes, int64 (N,).
        cache: Folder of all stores.
    """
    plain = {name: {"names": list(one.names), "format": asdict(one.format)} for name, one in sources.items()}
    key = hashlib.sha256(json.dumps([FORMAT, survey_key, plain]).encode()).hexdigest()[:16]
    folder = cache / f"store-{key}"
    with exclusively(folder, "data.cache", "decodes the images"):
        store = _load(folder, sources)
        if store is None:
            require_room(cache, sum(_num_bytes(source) for source in sources.values()))
            with new_folder(folder) as partial:
                _build(partial, container, sources, pixels)
            store = _load(folder, sources)
            assert store is not None
    return store


def _num_bytes(source: Source) -> int:
    return len(source.names) * source.format.channels * source.format.size**2


def _build(folder: Path, container: Container, sources: Mapping[str, Source], pixels: np.ndarray) -> None:
    num_images = len(sources["image"].names)
    is_whole, digests = np.ones(num_images, dtype=bool), np.zeros((num_images, 16), dtype=np.uint8)
    problems: list[Problem] = []
    sums = {}
    large = threading.Lock()
    for array_name, source in sources.items():
        shape = (num_images, source.format.channels, source.format.size, source.format.size)
        array = open_memmap(folder / f"{array_name}.npy", mode="w+", dtype=np.uint8, shape=shape)

        def one(index: int, source: Source = source) -> np.ndarray | Problem | None:
            name = source.names[index]
            if name is None:
                return None
            try:
                with large if pixels[index] > LARGE else nullcontext(), container.open(name) as file:
                    return decode(file, source.format)
            except CannotDecode as error:
                return Problem(printable(name), str(error))
            except (OSError, MemoryError) as error:
                return Problem(printable(name), f"cannot be read ({getattr(error, 'strerror', None) or error})")

        for index, found in enumerate(_in_order(one, num_images, f"decoding {array_name}")):
            if isinstance(found, Problem):
                problems.append(found)
                is_whole[index] = False
            elif found is not None:
                array[index] = found
                if array_name == "image":
                    digest = hashlib.blake2b(found.tobytes(), digest_size=16).digest()
                    digests[index] = np.frombuffer(digest, dtype=np.uint8)
        array.flush()
        sums[array_name] = _sum(array)
        del array
    np.save(folder / "is_whole.npy", is_whole)
    np.save(folder / "digests.npy", digests)
    facts = {"problems": [[one.name, one.reason] for one in problems], "checksums": sums}
    with (folder / "store.json").open("w") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())


def _in_order(
    work: Callable[[int], np.ndarray | Problem | None], count: int, title: str
) -> Iterator[np.ndarray | Problem | None]:
    """Results of a function of 0, 1, 2 ..., in this order, by threads; Pillow decodes without holding the others up."""
    num_threads = min(os.cpu_count() or 1, MOST_THREADS)
    ahead: list[Future[np.ndarray | Problem | None]] = []
    with warnings.catch_warnings(), ThreadPoolExecutor(num_threads) as threads:
        warnings.simplefilter("ignore")  # of Pillow about a file; what is wrong is said by name in the report
        for index in tqdm(range(count), title, delay=2.0, leave=False, unit="file"):
            while len(ahead) < 4 * num_threads and index + len(ahead) < count:
                ahead.append(threads.submit(work, index + len(ahead)))
            yield ahead.pop(0).result()


def _sum(array: np.ndarray) -> int:
    """CRC-32 of an array, in pieces."""
    total = 0
    for start in range(0, len(array), 1024):
        total = zlib.crc32(array[start : start + 1024].tobytes(), total)
    return total


def _load(folder: Path, sources: Mapping[str, Source]) -> Store | None:
    """The store in a folder; None if there is none, or it is damaged."""
    try:
        facts = json.loads((folder / "store.json").read_text())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in sources}
        is_whole, digests = np.load(folder / "is_whole.npy"), np.load(folder / "digests.npy")
    except (OSError, ValueError, EOFError):
        return None
    is_small = sum(array.nbytes for array in arrays.values()) <= CHECKED_BYTES
    if is_small and any(_sum(array) != facts["checksums"][name] for name, array in arrays.items()):
        return None
    problems = tuple(Problem(name, reason) for name, reason in facts["problems"])
    return Store(arrays, is_whole, digests, problems, folder)
