"""Reads checkpoints: what they are of, and the Game in them, without any data."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.games import Game
from lightning_mtgan.types import DataSpec

KEY = "lightning_mtgan"
"""Where a checkpoint says what it is a checkpoint of."""

FORMAT = 4
"""What a checkpoint of this version holds; raised whenever that changes."""

FOLDER, LAST, PREVIOUS, BEST = "checkpoints", "last.ckpt", "previous.ckpt", "best.ckpt"
"""Where a run's checkpoints are."""


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        UserError: If the file is missing, broken, or no checkpoint of this package.
    """
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist; give the path of a .ckpt file")
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load takes a flipped bit for a weight
            if (broken := archive.testzip()) is not None:
                raise zipfile.BadZipFile(broken)
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise UserError(
            f"checkpoint {path} cannot be read: it is truncated, damaged or no checkpoint; use another one"
        ) from error
    if not isinstance(content, dict) or KEY not in content:
        raise UserError(
            f"checkpoint {path} was not written by lightning_mtgan; use one from runs/*/version_*/checkpoints"
        )
    if content[KEY].get("format") != FORMAT:
        raise UserError(
            f"checkpoint {path} has format {content[KEY].get('format', 1)}, this version of lightning_mtgan reads "
            f"format {FORMAT}; use the version that wrote it"
        )
    return content


def configured_game(config: Any, spec: DataSpec) -> Game:
    """A new Game from its configuration as plain values, and the description of its data."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--game", type=Callable[[DataSpec], Game])
    game: Game = parser.instantiate_classes(parser.parse_object({"game": config})).game(spec)
    return game


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
    try:
        game = configured_game(stored["config"]["game"], DataSpec.from_dict(stored["spec"]))
        prefix = "game."
        state = {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)}
        if averaged and stored["average"] is not None:
            state |= _under_all_names(game, stored["average"])
        dtype = next(iter(state.values())).dtype
        game.to(dtype).load_state_dict(state)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"checkpoint {path} does not fit this version of lightning_mtgan: {reason}") from error
    return game.eval().requires_grad_(False)


def _under_all_names(game: Game, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Averaged tensors by all names of what a Game has registered twice, or the others would be loaded over them."""
    state = game.state_dict(keep_vars=True)
    averaged = {id(state[name]): tensor for name, tensor in average.items()}
    return {name: averaged[id(tensor)] for name, tensor in state.items() if id(tensor) in averaged}
