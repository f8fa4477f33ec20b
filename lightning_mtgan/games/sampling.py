"""Images from a generator and the embedding it reads, under conditions that are given or drawn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lightning_mtgan.conditions import embedded
from lightning_mtgan.games.game import Game
from lightning_mtgan.networks import Generator, TaskEmbedding


def sample(
    game: Game,
    network: Generator,
    embedding: TaskEmbedding | None,
    num_images: int,
    condition: Mapping[str, Tensor] | None,
    generator: torch.Generator | None,
) -> Tensor:
    """What ``Game.sample`` returns, for a Game in which one network makes all images: first conditions, then latents.

    Args:
        game: The Game, which knows the tasks.
        network: The network that makes images.
        embedding: The embedding of the tasks, or None.
        num_images: How many images.
        condition: Targets by task; those that are missing are drawn.
        generator: Source of randomness; None for other images at every call.
    """
    if generator is None:
        generator = torch.Generator(game.device)
        generator.seed()
    targets = game.draw_conditions(num_images, generator, condition)
    latent = torch.randn(num_images, network.latent_dim, generator=generator, device=game.device)
    latent = latent.to(next(network.parameters()).dtype)
    return network(latent, embedded(embedding, game.tasks, targets, latent))
