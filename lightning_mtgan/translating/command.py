"""``python -m lightning_mtgan translate``: what images of one domain would be in the others."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor

from lightning_mtgan.conditions import parse_conditions
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame, Game, TranslationGame
from lightning_mtgan.translating.folder import Images, read_folder, require_elsewhere, write
from lightning_mtgan.translating.latent_encoder import LatentEncoder
from lightning_mtgan.translating.latent_search import LatentSearch
from lightning_mtgan.translating.mapper import BATCH, Mapper, require_domain, translate

REFINEMENT = 100
"""Steps of search that follow the encoder's guess."""


def _search(seed: int) -> Mapper:
    return LatentSearch(seed=seed, watch=track)


def _encoder(seed: int) -> Mapper:
    return LatentEncoder(refinement=LatentSearch(REFINEMENT, seed=seed, watch=track), seed=seed, watch=track)


METHODS: dict[str, Callable[[int], Mapper]] = {"search": _search, "encoder": _encoder}


class Order(NamedTuple):
    """What is to be done, checked.

    Args:
        game: The Game.
        images: The images.
        domains: The source, then the domains to translate to.
        asked: Targets of tasks, one row each.
    """

    game: DomainGame | TranslationGame
    images: Images
    domains: list[str]
    asked: dict[str, Tensor]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``translate``, but for the checkpoint."""
    parser.add_argument("--images", type=Path, required=True, help="folder of images of one domain, of any size")
    parser.add_argument("--source", required=True, metavar="DOMAIN", help="the domain that they are of")
    parser.add_argument(
        "--target", nargs="+", action="extend", metavar="DOMAIN", help="domains to translate to; default: all others"
    )
    parser.add_argument(
        "--method", choices=list(METHODS), default="search", help="how latents are found: by gradient descent, or by a "
        "network that learns to tell them, and a shorter descent; it pays for many images"
    )  # fmt: skip
    parser.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="TASK=VALUE",
        help="what all of the images show, for example digit=3; may be repeated; else it is found, or left open",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the search")
    parser.add_argument("--output", type=Path, default=Path("translated"), help="folder for the PNG files")


def checked(arguments: argparse.Namespace, game: Game) -> Order:
    """What is to be done, before anything is written.

    Raises:
        UserError: If the Game or an argument does not serve.
    """
    if not isinstance(game, DomainGame | TranslationGame):
        raise UserError(
            f"--checkpoint {arguments.checkpoint} is of a {type(game).__name__}, which knows no domains; "
            "take that of a game of several, such as CoupledGame"
        )
    require_domain(game, "--source", arguments.source)  # type: ignore[arg-type]
    targets = arguments.target or game.domains
    for name in targets:
        require_domain(game, "--target", name)  # type: ignore[arg-type]
    if arguments.condition and not game.obeys:
        raise UserError(f"--condition {arguments.condition[0]}: these generators read no conditions; leave it")
    asked = parse_conditions(game.tasks, arguments.condition, 1)
    domains = list(dict.fromkeys([arguments.source, *targets]))
    images = read_folder(arguments.images, game.spec.domains[arguments.source])
    require_elsewhere(arguments.images, arguments.output, domains)
    return Order(game, images, domains, {name: value.to(game.device) for name, value in asked.items()})


def run(arguments: argparse.Namespace, order: Order, folder: Path) -> None:
    """Translate the images, write them, and say how near their reconstructions are.

    Args:
        arguments: Those of ``add_arguments``.
        order: What is to be done.
        folder: Where to write.
    """
    game, images, (source, *others) = order.game, order.images, order.domains
    if isinstance(game, TranslationGame):  # which needs no latents
        translated = _directly(game, images.image, source, order.domains)
    else:
        mapper = METHODS[arguments.method](arguments.seed)
        translated = translate(game, mapper, images.image, source, order.domains, order.asked)
    write(images, source, translated, folder)
    error = (translated[source].float().cpu() - images.image).square().mean().sqrt().item() * 127.5
    print(f"{len(images.names)} images of {source} ({images.format}) translated to {', '.join(others) or 'none'}")
    print(f"the generator's own images in {source} differ from them by {error:.1f} of 255 (root mean square)")
    print(f"all of them and sheet.png are in {folder}")


def _directly(game: TranslationGame, image: Tensor, source: str, targets: Sequence[str]) -> dict[str, Tensor]:
    """Images (N, C, H, W) by a Game that is made to translate them, without a trace."""
    parts = image.to(game.device, game.dtype).split(BATCH)
    with torch.no_grad():
        return {name: torch.cat([game.translate(part, source, name) for part in parts]) for name in targets}
