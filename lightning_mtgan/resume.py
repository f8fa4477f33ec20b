"""Where a run goes on: which checkpoint, in which folder, and what may have changed meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_mtgan.checkpoint import FOLDER, KEY, LAST, PREVIOUS, read
from lightning_mtgan.errors import UserError

FREE_KEYS = tuple(f"data.init_args.{key}" for key in ("num_workers", "cache", "device_mib", "download"))
"""Keys of model and data that only say how fast or where, and may change on resume, as all of fidelity may."""

TOLD_KEYS = tuple(f"data.init_args.{key}" for key in ("micro_batches", "root", "table"))
"""Keys of the data that may change with a printed line; data that were moved are known by their content."""

_WITHIN = re.compile(r"^data\.init_args\.(?:(?:data|domains\.[^.]+)\.init_args\.)+")
"""How the keys of data begin that stand inside other data: FewLabels and Domains."""


@dataclass(frozen=True)
class Resume:
    """A checkpoint to go on from.

    Args:
        path: The file.
        folder: The run's folder, if the run itself goes on; None if a new run begins from it.
        notice: What the user should know of the choice.
        step: Batches trained on so far.
        config: What built the run, as plain values.
        wandb_id: The W&B run that goes on, or None.
        num_rows: Rows of ``metrics.csv`` that belong to the checkpoint.
        ended: Why the run ended there before its last step; None if it did not.
        states: What the data modules have kept, by the name of their class.
    """

    path: Path
    folder: Path | None
    notice: str
    step: int
    config: dict[str, Any]
    wandb_id: str | None
    num_rows: int
    ended: str | None
    states: dict[str, dict[str, Any]]

    @property
    def is_complete(self) -> bool:
        """Whether the run that goes on has written the final figures of this step."""
        summary = self.folder / "summary.json" if self.folder is not None else None
        if summary is None or not summary.exists():
            return self.folder is None
        return json.loads(summary.read_text())["run"]["steps"] == self.step


def find(asked: str, runs: Path, name: str) -> Resume | None:
    """What ``--ckpt_path`` asks for.

    Args:
        asked: A path; ``last`` for the newest run of this configuration; ``auto`` for the same where
            there is one, and otherwise a new run.
        runs: Folder of all runs.
        name: Name of the configuration.

    Returns:
        The checkpoint, or None for a new run. A ``last.ckpt`` that cannot be read gives way to the
        one before, with a notice.

    Raises:
        UserError: If there is no checkpoint, or none that can be read.
    """
    folder = None
    path = Path(asked)
    if asked in ("last", "auto"):
        folder = _newest(runs / name)
        if folder is None and asked == "auto":
            return None
        if folder is None:
            raise UserError(
                f"ckpt_path is last, but {runs / name} holds no run with a checkpoint; train first, give a path, or "
                "use auto, which then begins a new run"
            )
        path = folder / FOLDER / LAST
    path, content, problem = _read_or_previous(path)
    folder = folder or _home(path, runs / name)
    kept = content["callbacks"]["Checkpoints"]
    return Resume(
        path,
        folder,
        f"{problem}going on from {path}, step {content['global_step']}",
        content["global_step"],
        content[KEY]["config"] or {},
        kept["wandb_id"] if folder is not None else None,
        kept["num_rows"] if folder is not None else 0,
        content[KEY]["ended"] if folder is not None else None,
        {name: state for name, state in content.items() if name[:1].isupper() and isinstance(state, dict)},
    )


def _home(path: Path, runs: Path) -> Path | None:
    """The run's folder of a checkpoint from which the run itself goes on."""
    real = path.resolve()
    run = real.parent.parent
    is_state = real.name in (LAST, PREVIOUS) and real.parent.name == FOLDER
    return run if is_state and re.fullmatch(r"version_\d+", run.name) and run.parent == runs.resolve() else None


def _newest(runs: Path) -> Path | None:
    """The folder of the newest run that has a checkpoint."""
    found = {
        int(match.group(1)): path
        for path in runs.glob("version_*")
        if (match := re.fullmatch(r"version_(\d+)", path.name))
        and any((path / FOLDER / file).exists() for file in (LAST, PREVIOUS))
    }
    return found[max(found)] if found else None


def _read_or_previous(path: Path) -> tuple[Path, dict[str, Any], str]:
    """The file that can be read, its content, and what is wrong with the other."""
    previous = path.with_name(PREVIOUS)
    if path.name != LAST or not previous.exists():
        return path, read(path), ""
    try:
        return path, read(path), ""
    except UserError as error:
        return previous, read(previous), f"{str(error).rpartition(';')[0] or error}; "


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration as dotted keys."""
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def compare(stored: Mapping[str, Any], present: Mapping[str, Any], path: Path) -> list[str]:
    """What a resumed run changes: refused where networks or data differ, else told line by line.

    Args:
        stored: The configuration in the checkpoint.
        present: The configuration of the run that resumes.
        path: The checkpoint, for the message.

    Raises:
        UserError: With the key and both values, if the Game or the data differ.
    """
    before, now = flatten(stored), flatten(present)
    lines = []
    for key in sorted(before.keys() | now.keys()):
        old, new = ("not set" if one.get(key) is None else one[key] for one in (before, now))
        plain = _WITHIN.sub("data.init_args.", key)
        if old == new or plain in FREE_KEYS or key.startswith("fidelity."):
            continue
        group, _, rest = key.partition(".")
        scheduled = group == "optimizers" and rest.split(".")[0] in (stored.get("schedulers") or {})
        name = key if group in ("data", "seed", "ema", "trainer") else f"model.{key}"
        if plain not in TOLD_KEYS and (group in ("game", "data", "seed", "schedulers") or scheduled):
            raise UserError(
                f"checkpoint {path} was trained with {name} = {old}, but this run has {new}; "
                "resume with the same networks, data and schedules, or start a new run"
            )
        lines.append(f"resuming with {name} = {new} (was {old})")
    return lines
