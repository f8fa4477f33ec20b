"""What finds the latents of images, and what they give in other domains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame
from lightning_mtgan.types import hidden

BATCH = 500
"""Images that are made at a time."""
Watch = Callable[[Sequence[int], str], Iterable[int]]
"""Passes steps on, one by one, and shows how far they are under that title: ``rich.progress.track`` is one."""


def unwatched(steps: Sequence[int], title: str) -> Iterable[int]:
    """Passes steps on and shows nothing."""
    return steps


class Mapper(ABC):
    """From images of one domain to what gives them; the same gives the corresponding images in the other domains."""

    @abstractmethod
    def latents(
        self, game: DomainGame, domain: str, image: Tensor, asked: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """What a domain's generator is to be given for these images, (N, latent_dim + condition_dim).

        Args:
            game: The Game, in evaluation mode. Its parameters and their gradients stay as they are.
            domain: Name of the domain that the images are of.
            image: Images (N, C, H, W) in [-1, 1], of that domain's size and channels.
            asked: Targets of tasks, one row each, the same for all images; the others are as in ``drawn``.
        """


def translate(
    game: DomainGame,
    mapper: Mapper,
    image: Tensor,
    source: str,
    targets: Sequence[str],
    asked: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Images of one domain as they would be in others, (N, C, H, W) in [-1, 1] by domain.

    Args:
        game: The Game, in evaluation mode.
        mapper: How latents are found.
        image: Images (N, C, H, W) in [-1, 1] of the source.
        source: Name of the domain that they are of.
        targets: Names of the domains to translate to; with the source, its reconstructions are among them.
        asked: See ``Mapper.latents``.

    Raises:
        UserError: If the Game lacks one of the domains.
    """
    for name in (source, *targets):
        require_domain(game, "domain", name)
    given = mapper.latents(game, source, image, asked)
    return {name: made(game, name, given) for name in targets}


def require_domain(game: DomainGame, what: str, name: str) -> None:
    """Refuse a domain that the Game does not have.

    Raises:
        UserError: With what was to be such a domain, and those that there are.
    """
    if name not in game.domains:
        raise UserError(f"{what} {name}: this game has no such domain; it has {', '.join(game.domains)}")


def made(game: DomainGame, domain: str, given: Tensor) -> Tensor:
    """A domain's images of any number of latents, (N, latent_dim + condition_dim), without a trace."""
    with torch.no_grad():
        return torch.cat([game.render(domain, part.to(game.dtype)) for part in given.split(BATCH)])


def drawn(game: DomainGame, num_images: int, generator: torch.Generator, asked: Mapping[str, Tensor] | None) -> Tensor:
    """What a generator may be given, at random: (num_images, latent_dim + condition_dim).

    Tasks that are not asked for are unknown where the generators have learned what that means, and drawn elsewhere.

    Args:
        game: The Game.
        num_images: Rows of the result.
        generator: Source of randomness, on the Game's device.
        asked: Targets of tasks, one row each.
    """
    given = {name: value.expand(num_images, *value.shape[1:]) for name, value in (asked or {}).items()}
    nowhere = torch.zeros(num_images, dtype=torch.bool, device=game.device)
    condition = {
        name: value if name in given or game.tasks[name].spec.is_complete else hidden(value, nowhere)
        for name, value in game.draw_conditions(num_images, generator, given).items()
    }
    latent = torch.randn(num_images, game.latent_dim, generator=generator, device=game.device)
    with torch.no_grad():
        return game.arena.told(latent.to(game.dtype), condition)


def source_of_chance(game: DomainGame, seed: int, purpose: str) -> torch.Generator:
    """A generator of random numbers on the Game's device, by seed and purpose."""
    return torch.Generator(game.device).manual_seed(seed_of(seed, "translating", purpose))


def exact_type(game: DomainGame) -> torch.dtype:
    """The type to learn in: the Game's own, but no shorter than float32, in which small steps would be lost."""
    return torch.promote_types(game.dtype, torch.float32)
