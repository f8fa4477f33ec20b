"""Reads the file of an offline W&B run: what it holds is what ``wandb sync`` would upload.

W&B has no public reader. The file is LevelDB's log format: a header of 7 bytes, then blocks of 32 KiB
with records of checksum, length, type and payload; a record that does not fit goes on in the next block.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

FILE_HEADER = struct.Struct("<4sHB")
RECORD_HEADER = struct.Struct("<IHB")
MAGIC = 0xBEE1
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class Artifact:
    """A version of a file or several that the run has logged."""

    name: str
    type: str
    metadata: dict[str, Any]
    files: dict[str, Path]
    """Where the content of each file waits for its upload, by its name in the artifact."""


@dataclass
class WandbRun:
    """Everything that a run has sent to W&B."""

    history: list[dict[str, Any]] = field(default_factory=list)
    """One row for each time something was logged; pictures and tables are nested."""
    summary: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    alerts: list[dict[str, str]] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    step_metrics: dict[str, str] = field(default_factory=dict)
    """The x axis of each metric, or pattern of metrics, that has one of its own."""
    is_finished: bool = False
    """Whether nothing will follow; W&B writes on for a moment after ``finish`` has returned."""

    def metrics(self) -> set[str]:
        """The history's keys, without those that W&B or Lightning adds."""
        return {key for row in self.history for key in row if not key.startswith(("_", "trainer/"))}

    def names(self) -> set[str]:
        """What feeds panels: the metrics, and the names of what is not a metric (``lightning_mtgan.panels``)."""
        others = {
            "config": self.config.keys() - {"_wandb"},
            "code": [artifact for artifact in self.artifacts if artifact.type == "code"],
            "best": [artifact for artifact in self.artifacts if artifact.type == "model"],
            "alerts": self.alerts,
        }
        return self.metrics() | {name for name, found in others.items() if found}

    def column(self, key: str) -> list[Any]:
        """A metric's values in the order of the rows that have it."""
        return [row[key] for row in self.history if key in row]


def read(run: Path) -> WandbRun:
    """The one W&B run in a run's folder."""
    (path,) = run.glob("wandb/*run-*/run-*.wandb")
    return read_file(path)


def read_file(path: Path) -> WandbRun:
    """Gather the records of a file."""
    found = WandbRun()
    for payload in payloads(path.read_bytes()):
        record = Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            found.history.append(_set({}, record.history.item))
        elif kind == "summary":
            _update(found.summary, record.summary)
        elif kind == "config":
            _update(found.config, record.config)
        elif kind == "run":
            _update(found.config, record.run.config)
        elif kind == "alert":
            alert = record.alert
            found.alerts.append({"title": alert.title, "text": alert.text, "level": alert.level})
        elif kind == "artifact":
            it = record.artifact
            files = {entry.path: Path(entry.local_path) for entry in it.manifest.contents}
            found.artifacts.append(Artifact(it.name, it.type, json.loads(it.metadata or "{}"), files))
        elif kind == "files":
            found.files += [item.path for item in record.files.files]
        elif kind == "exit":
            found.is_finished = True
        elif kind == "metric" and record.metric.step_metric:
            found.step_metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
    return found


def payloads(content: bytes) -> Iterator[bytes]:
    """The records' payloads, each checked by its checksum.

    Raises:
        ValueError: If the file is not W&B's, or damaged.
    """
    letters, magic, _version = FILE_HEADER.unpack_from(content)
    if letters != b":W&B" or magic != MAGIC:
        raise ValueError("not a file of W&B")
    position, parts = FILE_HEADER.size, b""
    while len(content) - position >= RECORD_HEADER.size:
        left = BLOCK - position % BLOCK
        if left < RECORD_HEADER.size:  # too little for a header: the block ends with zeros
            position += left
            continue
        checksum, length, kind = RECORD_HEADER.unpack_from(content, position)
        position += RECORD_HEADER.size
        data = content[position : position + length]
        position += length
        if position > len(content):  # killed while it was written
            return
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum:
            raise ValueError(f"damaged before byte {position}")
        parts = data if kind in (FULL, FIRST) else parts + data
        if kind in (FULL, LAST):
            yield parts


def _update(kept: dict[str, Any], change: Any) -> None:
    for item in change.remove:
        kept.pop(_path(item)[0], None)
    _set(kept, change.update)


def _set(kept: dict[str, Any], items: Any) -> dict[str, Any]:
    for item in items:
        *above, last = _path(item)
        place = kept
        for key in above:
            place = place.setdefault(key, {})
        value = json.loads(item.value_json)
        both = isinstance(value, dict) and isinstance(place.get(last), dict)
        place[last] = place[last] | value if both else value
    return kept


def _path(item: Any) -> list[str]:
    return list(item.nested_key) or [item.key]
