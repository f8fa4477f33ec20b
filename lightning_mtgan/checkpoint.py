"""Reads checkpoints: what they are of, and the Game in them, without any data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser

from lightning_mtgan.errors import UserError
from lightning_mtgan.games import Game
from lightning_mtgan.types import DataSpec

KEY = "lightning_mtgan"
"""Where a checkpoint says what it is a checkpoint of."""

FREE_KEYS = ("data.init_args.num_workers",)
"""Keys of model and data that only say how fast or where, and may change on resume, as all of fidelity may."""


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        UserError: If the file is missing, broken, or no checkpoint of this package.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; give the path of a .ckpt file")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise UserError(
            f"checkpoint {path} cannot be read: it is truncated or no checkpoint; use another one"
        ) from error
    if not isinstance(content, dict) or KEY not in content:
        raise UserError(
            f"checkpoint {path} was not written by lightning_mtgan; use one from runs/*/version_*/checkpoints"
        )
    return content


def newest(runs: Path, name: str) -> Path:
    """The last checkpoint of the newest run of a configuration.

    Raises:
        UserError: If there is none.
    """
    found = {
        int(match.group(1)): path
        for path in (runs / name).glob("version_*/checkpoints/last.ckpt")
        if (match := re.fullmatch(r"version_(\d+)", path.parents[1].name))
    }
    if not found:
        raise UserError(
            f"ckpt_path is last, but {runs / name} holds no run with a checkpoint; train first, or give a path"
        )
    return found[max(found)]


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
        old, new = before.get(key, "not set"), now.get(key, "not set")
        if old == new or key in FREE_KEYS or key.startswith("fidelity."):
            continue
        group, _, rest = key.partition(".")
        scheduled = group == "optimizers" and rest.split(".")[0] in (stored.get("schedulers") or {})
        if group in ("game", "data", "seed", "schedulers") or scheduled:
            name = key if group in ("data", "seed") else f"model.{key}"
            raise UserError(
                f"checkpoint {path} was trained with {name} = {old}, but this run has {new}; "
                "resume with the same networks, data and schedules, or start a new run"
            )
        lines.append(f"resuming with {key if group == 'ema' else f'model.{key}'} = {new} (was {old})")
    return lines


def build_game(content: Mapping[str, Any], path: Path, averaged: bool = True) -> Game:
    """The Game in a checkpoint, with its parameters, ready to sample on the CPU.

    Args:
        content: What ``read`` returned.
        path: Where it came from, for the message.
        averaged: Take the moving average of what sampling reads, where there is one.

    Raises:
        UserError: If the checkpoint cannot be rebuilt by this version of the package.
    """
    stored = content[KEY]
    if stored["config"] is None:
        raise UserError(f"checkpoint {path} was not written by train.py, so it does not say how to build its Game")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--game", type=Callable[[DataSpec], Game])
    try:
        config = parser.parse_object({"game": stored["config"]["game"]})
        game: Game = parser.instantiate_classes(config).game(DataSpec.from_dict(stored["spec"]))
        prefix = "game."
        state = {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)}
        if averaged and stored["average"] is not None:
            state |= stored["average"]
        dtype = next(iter(state.values())).dtype
        game.to(dtype).load_state_dict(state)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"checkpoint {path} does not fit this version of lightning_mtgan: {reason}") from error
    return game.eval().requires_grad_(False)
