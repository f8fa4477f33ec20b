"""Latents of images by optimisation: the generator is run backwards by gradient descent."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame
from lightning_mtgan.translating.mapper import Mapper, Watch, drawn, exact_type, made, source_of_chance, unwatched


class LatentSearch(Mapper):
    """min_z mean((g(z) - x)²) + prior mean(z²), Zhu et al. 2016 (arXiv:1609.03552), projection of an image.

    CoGAN transforms images to another domain so (arXiv:1606.07536, section 5). Both take L-BFGS; here it is Adam with
    a rate that falls to 0, because it lets all images and starts go down in one batch without knowing of each other.
    Each image starts from the nearest of some random images, pixel by pixel, and keeps the best end. Conditions stay
    as the starts have them.

    Args:
        steps: Steps of Adam; 0 to take the nearest random image.
        starts: Starts of each image.
        lr: Learning rate of the first step, in standard deviations of the latents.
        prior: Weight of the Gaussian prior on the latents.
        candidates: Random images among which starts are chosen, the same for all images.
        seed: Seed of the random images.
        rows: Images times starts in one pass.
        watch: Who shows progress.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(
        self,
        steps: int = 200,
        starts: int = 4,
        lr: float = 0.05,
        prior: float = 1e-3,
        candidates: int = 256,
        seed: int = 0,
        rows: int = 512,
        watch: Watch = unwatched,
    ) -> None:
        for name, value, least in (("steps", steps, 0), ("starts", starts, 1), ("rows", rows, 1), ("prior", prior, 0)):
            if value < least:
                raise UserError(f"{name} of a LatentSearch is {value}; it must be at least {least}")
        if candidates < starts:
            raise UserError(f"candidates of a LatentSearch is {candidates}; it must be at least {starts}, its starts")
        if lr <= 0:
            raise UserError(f"lr of a LatentSearch is {lr}; it must be above 0, such as 0.05")
        self.steps, self.starts, self.lr, self.prior = steps, starts, lr, prior
        self.candidates, self.seed, self.rows, self.watch = candidates, seed, rows, watch

    def latents(
        self, game: DomainGame, domain: str, image: Tensor, asked: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See Mapper."""
        pool = drawn(game, self.candidates, source_of_chance(game, self.seed, "starts"), asked)
        shown, wanted = (one.flatten(1).to(game.device, exact_type(game)) for one in (made(game, domain, pool), image))
        # Not by matrix products, whose rounding depends on how many images there are.
        far = torch.cdist(wanted, shown, compute_mode="donot_use_mm_for_euclid_dist")
        return self.descend(game, domain, image, pool[far.topk(self.starts, largest=False).indices])

    def descend(self, game: DomainGame, domain: str, image: Tensor, guesses: Tensor) -> Tensor:
        """Downhill from guesses, and the best end of each image, (N, latent_dim + condition_dim).

        Args:
            game: The Game, in evaluation mode.
            domain: Name of the domain that the images are of.
            image: Images (N, C, H, W) in [-1, 1].
            guesses: Where to start, (N, starts, latent_dim + condition_dim).
        """
        size = max(1, self.rows // guesses.shape[1])
        parts = zip(image.split(size), guesses.split(size), strict=True)
        descents = [_Descent(game, domain, self.prior, *part) for part in parts]
        for step in self.watch(range(self.steps), "Searching latents"):
            for one in descents:
                one.step(self.lr * (1 - step / self.steps))
        return torch.cat([one.best() for one in descents])


class _Descent:
    """Some images on their way, with all of their starts.

    Args:
        game: The Game.
        domain: Name of the domain that the images are of.
        prior: Weight of the prior.
        image: Images (N, C, H, W) in [-1, 1].
        guesses: Where to start, (N, starts, latent_dim + condition_dim).
    """

    def __init__(self, game: DomainGame, domain: str, prior: float, image: Tensor, guesses: Tensor) -> None:
        self.game, self.domain, self.prior = game, domain, prior
        self.image, guesses = (one.to(game.device, exact_type(game)) for one in (image, guesses))
        latent, self.condition = guesses.tensor_split([game.latent_dim], dim=2)
        self.latent = latent.clone().requires_grad_()
        self.adam = torch.optim.Adam([self.latent])

    def step(self, lr: float) -> None:
        """One step of all images."""
        with torch.enable_grad():
            (self.latent.grad,) = torch.autograd.grad(self._losses().sum(), [self.latent])
        self.adam.param_groups[0]["lr"] = lr
        self.adam.step()

    def best(self) -> Tensor:
        """The best of each image, (N, latent_dim + condition_dim)."""
        with torch.no_grad():
            best = self._losses().argmin(dim=1)
            return self._given()[torch.arange(len(best), device=best.device), best].to(self.game.dtype)

    def _given(self) -> Tensor:
        return torch.cat([self.latent, self.condition], dim=2)

    def _losses(self) -> Tensor:
        """The loss of each image and start, (N, starts)."""
        given = self._given()
        image = self.game.render(self.domain, given.flatten(0, 1).to(self.game.dtype)).unflatten(0, given.shape[:2])
        error = (image - self.image[:, None]).square().flatten(2).mean(2)
        return error + self.prior * self.latent.square().mean(2)
