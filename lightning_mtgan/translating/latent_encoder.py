"""Latents of images by a network that learns them from the generator's own images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame
from lightning_mtgan.networks import LayeredTrunk
from lightning_mtgan.translating.latent_search import LatentSearch
from lightning_mtgan.translating.mapper import (
    BATCH,
    Mapper,
    Watch,
    drawn,
    exact_type,
    made,
    source_of_chance,
    unwatched,
)

CONDITIONS = 256
"""Conditions among which that of an image is looked for."""


class LatentEncoder(Mapper):
    """min_E mean((E(g(z)) - z)²) over random z: a network learns to invert a domain's generator.

    Zhu et al. 2016 (arXiv:1609.03552) project images by such a network, too, and go on from there by optimisation. It
    learns anew at each call, from as many pairs as are wanted: no image of the data is needed. Where conditions are
    drawn, an image gets the one nearest to what the network tells.

    Args:
        steps: Steps of Adam.
        batch_size: Images in each.
        lr: Learning rate of the first step; it falls to 0.
        width: Channels of the network at 4 x 4 pixels.
        num_features: Length of the vector before the last layer.
        refinement: Goes on from the network's guess; None to take it as it is.
        seed: Seed of the network's initial parameters and of the pairs.
        watch: Who shows progress.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(
        self,
        steps: int = 500,
        batch_size: int = 64,
        lr: float = 2e-3,
        width: int = 64,
        num_features: int = 128,
        refinement: LatentSearch | None = None,
        seed: int = 0,
        watch: Watch = unwatched,
    ) -> None:
        for name, value in (("steps", steps), ("batch_size", batch_size), ("num_features", num_features)):
            if value < 1:
                raise UserError(f"{name} of a LatentEncoder is {value}; it must be at least 1")
        if lr <= 0:
            raise UserError(f"lr of a LatentEncoder is {lr}; it must be above 0, such as 0.002")
        self.steps, self.batch_size, self.lr = steps, batch_size, lr
        self.width, self.num_features = width, num_features
        self.refinement, self.seed, self.watch = refinement, seed, watch

    def latents(
        self, game: DomainGame, domain: str, image: Tensor, asked: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See Mapper."""
        encoder, exact = self.trained(game, domain, asked), exact_type(game)
        with torch.no_grad():
            told = torch.cat([encoder(part.to(game.device, exact)) for part in image.split(BATCH)])
        latent, condition = told.tensor_split([game.latent_dim], dim=1)
        known = drawn(game, CONDITIONS, source_of_chance(game, self.seed, "conditions"), asked)[:, game.latent_dim :]
        nearest = torch.cdist(condition, known.to(exact)).argmin(dim=1)
        given = torch.cat([latent.to(game.dtype), known[nearest]], dim=1)
        return given if self.refinement is None else self.refinement.descend(game, domain, image, given[:, None])

    def trained(self, game: DomainGame, domain: str, asked: Mapping[str, Tensor] | None = None) -> nn.Module:
        """The network, from a domain's images (N, C, H, W) to (N, latent_dim + condition_dim); arguments as above."""
        chance, exact = source_of_chance(game, self.seed, "pairs"), exact_type(game)
        length = drawn(game, 1, source_of_chance(game, self.seed, "length"), asked).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.seed, "translating", "encoder"))
            trunk = LayeredTrunk(game.spec.domains[domain], self.width, num_features=self.num_features)
            encoder = nn.Sequential(trunk, nn.Linear(self.num_features, length)).to(game.device, exact)
        adam = torch.optim.Adam(encoder.parameters())
        for step in self.watch(range(self.steps), "Training the encoder"):
            given = drawn(game, self.batch_size, chance, asked)
            with torch.enable_grad():
                loss = mse_loss(encoder(made(game, domain, given).to(exact)), given.to(exact))
            adam.zero_grad()
            loss.backward()
            adam.param_groups[0]["lr"] = self.lr * (1 - step / self.steps)
            adam.step()
        return encoder.eval().requires_grad_(False)
