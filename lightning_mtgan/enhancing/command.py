"""``python -m lightning_mtgan enhance``: photographs made better, by a network or by a fixed rule."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import Progress

from lightning_mtgan.enhancing.by_network import ByNetwork
from lightning_mtgan.enhancing.by_rule import ByRule, has_rule
from lightning_mtgan.enhancing.by_transform import ByTransform
from lightning_mtgan.enhancing.enhancer import Enhancer
from lightning_mtgan.enhancing.folder import Work, listed, read
from lightning_mtgan.enhancing.photograph import write
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import Game, ImageGame
from lightning_mtgan.transforms.files import named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``enhance``."""
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--checkpoint", type=Path, help="a .ckpt file of train.py, of a generator that restores images")
    way.add_argument("--method", help="a transform without a network, such as clahe, or a YAML file of one")
    parser.add_argument("--input", type=Path, required=True, help="photographs of any size: a folder, or one file")
    parser.add_argument("--output", type=Path, required=True, help="folder for the results, which keep their names")
    parser.add_argument("--task", help="what the generator is to do; default: enhancement, or all that it has learned")
    parser.add_argument("--raw", action="store_true", help="take the last parameters, not their moving average")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")


def by(arguments: argparse.Namespace, game: Game | None) -> Enhancer:
    """What makes photographs better.

    Args:
        arguments: Those of ``add_arguments``.
        game: What is in the checkpoint, if there is one.

    Raises:
        UserError: If the checkpoint or the method does not serve.
    """
    if game is None:
        if arguments.task is not None or arguments.raw:
            flag = f"--task {arguments.task}" if arguments.task is not None else "--raw"
            raise UserError(f"{flag} is for generators, but --method {arguments.method} is none; leave it")
        return ByTransform(named(arguments.method))
    if not isinstance(game, ImageGame):
        raise UserError(
            f"--checkpoint {arguments.checkpoint} is of a {type(game).__name__}, which takes no images; "
            "take that of a game that restores them, such as MTS4GAN"
        )
    network = ByNetwork(game, arguments.task)
    return ByRule(game, arguments.task) if has_rule(network) else network


def checked(arguments: argparse.Namespace, enhancer: Enhancer) -> list[Work]:
    """What is to be done, before anything is written.

    Raises:
        UserError: See ``listed``.
    """
    return listed(arguments.input, arguments.output, arguments.overwrite, enhancer)


def run(works: list[Work], enhancer: Enhancer, folder: Path) -> None:
    """Enhance the photographs, one after the other.

    Args:
        works: What is to be done.
        enhancer: What does it.
        folder: Where it goes, which exists.
    """
    with Progress() as progress:
        bar = progress.add_task(f"Enhancing ({enhancer.name})", total=sum(work.num_tiles for work in works))
        for work in works:
            found = read(work.source, enhancer.channels)
            enhanced = enhancer(found.pixels, lambda: progress.advance(bar))
            write(found.showing(enhanced), work.target)
    print(f"{len(works)} enhanced photograph{'s are' if len(works) > 1 else ' is'} in {folder}")
