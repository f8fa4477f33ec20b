"""Generators and discriminators of several domains face to face: turns are played, images are shown and judged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.conditions import embedded
from lightning_mtgan.draws import Draws
from lightning_mtgan.games.domain_game import DomainGame
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import AdversarialHead, SideBySide, TaskEmbedding
from lightning_mtgan.regularizers import Pass, Play, Regularizer, Seen
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Constraint, Task
from lightning_mtgan.types import Batch, DataSpec, hidden

Conditions = Mapping[str, Mapping[str, Tensor]]
"""What each domain's generated images are asked to show, by domain and task."""


class DomainDiscriminators(nn.Module):
    """The discriminators of all domains: trunks side by side, and heads, which may be shared as well.

    Args:
        trunks: The trunks, by domain.
        heads: The adversarial head of each domain; a shared one is one instance.
        supervisions: The task heads of each domain that has any; shared ones are one instance.
    """

    def __init__(
        self, trunks: SideBySide, heads: Mapping[str, AdversarialHead], supervisions: Mapping[str, Supervision]
    ) -> None:
        super().__init__()
        self.trunks = trunks
        self._head_of = {name: _owner(heads, head) for name, head in heads.items()}
        self._supervision_of = {name: _owner(supervisions, one) for name, one in supervisions.items()}
        # A domain may be called as a method of ModuleDict is, such as `items`.
        self.heads = nn.ModuleDict({f"of {name}": heads[name] for name in dict.fromkeys(self._head_of.values())})
        self.supervisions = nn.ModuleDict(
            {f"of {name}": supervisions[name] for name in dict.fromkeys(self._supervision_of.values())}
        )

    def head(self, domain: str) -> AdversarialHead:
        """The adversarial head of a domain."""
        return self.heads[f"of {self._head_of[domain]}"]  # type: ignore[return-value]

    def supervision(self, domain: str) -> Supervision | None:
        """The task heads of a domain, or None."""
        owner = self._supervision_of.get(domain)
        return self.supervisions[f"of {owner}"] if owner is not None else None  # type: ignore[return-value]


def _owner(parts: Mapping[str, nn.Module], part: nn.Module) -> str:
    """The first domain that has this part: whose name it is kept under, once."""
    return next(name for name, one in parts.items() if one is part)


class DomainArena:
    """What every turn of a Game of several domains needs, whoever moves. It owns no network; the players do.

    Args:
        specs: What each domain is.
        tasks: The tasks of all domains by name.
        generators: The generators, or whatever makes images of latents and conditions: from inputs by domain,
            (N, latent_dim + condition_dim), to images by domain.
        discriminators: The discriminators.
        adversarial: The adversarial loss, domain by domain.
        embedding: The embedding of the tasks that the generators read; None for unconditional ones.
        regularizers: Penalties and regularisers by domain.
        latent_dim: Length of the latents.
    """

    def __init__(
        self,
        specs: Mapping[str, DataSpec],
        tasks: Mapping[str, Task],
        generators: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
        discriminators: DomainDiscriminators,
        adversarial: AdversarialLoss,
        embedding: TaskEmbedding | None,
        regularizers: Mapping[str, Sequence[Regularizer]],
        latent_dim: int,
    ) -> None:
        self.specs, self.tasks, self.generators, self.discriminators = specs, tasks, generators, discriminators
        self.adversarial, self.embedding, self.regularizers = adversarial, embedding, regularizers
        self.latent_dim = latent_dim
        self.own_tasks = {name: tuple(task.name for task in spec.tasks) for name, spec in specs.items()}

    def conditions(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """What is true of each domain's real images and asked of its generated ones; unknown without such a task."""
        return {
            name: {
                task: one.target(domain) if task in self.own_tasks[name] else self._nothing(one, domain["image"])
                for task, one in self.tasks.items()
            }
            for name, domain in batch["domains"].items()
        }

    def _nothing(self, task: Task, image: Tensor) -> Tensor:
        some = task.draw(len(image), torch.Generator(image.device).manual_seed(0), image.device)
        return hidden(some, torch.zeros(len(image), dtype=torch.bool, device=image.device))

    def inputs(self, batch: Batch, conditions: Conditions) -> dict[str, Tensor]:
        """What the generators read: the same latents in all domains of one batch size."""
        sizes = {name: len(domain["image"]) for name, domain in batch["domains"].items()}
        latents = {size: batch["draws"].normal("latent", size, self.latent_dim) for size in set(sizes.values())}
        if self.embedding is None:
            return {name: latents[size] for name, size in sizes.items()}
        return {name: self.told(latents[size], conditions[name]) for name, size in sizes.items()}

    def told(self, latent: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """Latents beside what images are asked for, (N, latent_dim + condition_dim)."""
        if self.embedding is None:
            return latent
        return torch.cat([latent, embedded(self.embedding, self.tasks, condition, latent)], dim=1)

    def see(self, images: Mapping[str, Sequence[Tensor]], conditions: Conditions) -> dict[str, list[Seen]]:
        """Images of some kinds, by domain, each kind for the same conditions: one pass for all domains and kinds."""
        wholes = {name: some[0] if len(some) == 1 else torch.cat(list(some)) for name, some in images.items()}
        features = self.discriminators.trunks(wholes)
        return {name: self._judged(name, some, features[name], conditions[name]) for name, some in images.items()}

    def _judged(
        self, domain: str, images: Sequence[Tensor], features: Tensor, condition: Mapping[str, Tensor]
    ) -> list[Seen]:
        like = images[0]
        told = embedded(self.embedding, self.tasks, condition, like).detach().to(like.dtype)
        with torch.autocast(like.device.type, enabled=False):  # a loss of differences needs all bits of its logits
            logits = self.discriminators.head(domain)(features.to(like.dtype), told.repeat(len(images), 1))
        sizes = [len(image) for image in images]
        parts = zip(images, features.split(sizes), logits.split(sizes), strict=True)
        return [Seen(Pass(*part), slice(None)) for part in parts]

    def play(
        self,
        domain: str,
        draws: Draws,
        real: Tensor,
        given: Tensor,
        fake: Tensor | None,
        conditions: Conditions,
        moves: bool,
    ) -> Play:
        """One domain's turn as regularisers know it.

        Args:
            domain: Its name.
            draws: Every random number of the phase.
            real: Its real images.
            given: What its generator was given, (N, latent_dim + condition_dim).
            fake: What it made of that; None to make it when it is asked for.
            conditions: What they were asked to show.
            moves: Whether the fakes carry gradients to the generator.
        """

        def generate(latent: Tensor) -> Tensor:
            changed = torch.cat([latent, given[:, self.latent_dim :]], dim=1)
            return (
                fake
                if latent is play.latent and fake is not None
                else self.generators({domain: changed})[domain].to(real.dtype)
            )

        def judge(image: Tensor, kind: str, track: bool) -> Seen:
            shown = image.detach().requires_grad_() if track else image
            return self.see({domain: [shown]}, conditions)[domain][0]

        def no_style(*_: Tensor) -> Tensor:
            raise TypeError("the generators of several domains have no styles")

        latent = given[:, : self.latent_dim]
        play = Play(draws.at(f"{draws.phase}/{domain}"), real, latent, generate, no_style, no_style, judge, moves)
        return play

    def named(self, domain: str, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A domain's losses under names of their own: ``adversarial_<domain>``, ``<task>_<domain>`` ..."""
        return {f"{name}_{domain}": loss for name, loss in losses.items()}

    def task_losses(self, domain: str, real: Tensor, fake: Tensor, conditions: Conditions) -> dict[str, Tensor]:
        """The discriminator's losses of a domain's own tasks, from features (N, F) of real and generated images."""
        supervision = self.discriminators.supervision(domain)
        if supervision is None:
            return {}
        losses = supervision.discriminator_losses(real, fake, conditions[domain], conditions[domain])
        return {name: loss for name, loss in losses.items() if name in self.own_tasks[domain]}

    def wishes(self, domain: str, image: Tensor, features: Tensor, conditions: Conditions) -> dict[str, Tensor]:
        """The generator's losses of a domain's own tasks, measured or by the heads."""
        asked, own = conditions[domain], self.own_tasks[domain]
        if self.embedding is None:  # then no image is asked for anything
            return {}
        measured = {name: task for name, task in self.tasks.items() if isinstance(task, Constraint) and name in own}
        losses = {name: task.image_loss(image, asked[name]) for name, task in measured.items()}
        supervision = self.discriminators.supervision(domain)
        if supervision is not None:
            told = supervision.generator_losses(features, asked)
            losses |= {name: loss for name, loss in told.items() if name in own}
        return losses

    def drawn(
        self,
        game: DomainGame,
        num_images: int,
        condition: Mapping[str, Tensor] | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """What a generator is given to sample: first conditions are drawn, then latents, the same in each domain.

        Args:
            game: The Game, which knows the tasks.
            num_images: How many images.
            condition: Targets by task; those that are missing are drawn.
            generator: Source of randomness; None for other images at every call.
        """
        if generator is None:
            generator = torch.Generator(game.device)
            generator.seed()
        targets = game.draw_conditions(num_images, generator, condition)
        latent = torch.randn(num_images, self.latent_dim, generator=generator, device=game.device)
        return self.told(latent.to(game.dtype), targets)

    def judgement(self, domain: str, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The logits of a domain's images (N,), and what the heads of its own tasks say of them."""
        image, own = batch["image"], self.own_tasks[domain]
        unknown = {name: self._nothing(task, image) for name, task in self.tasks.items()}
        known = {name: task.target(batch) for name, task in self.tasks.items() if self._is_told(task, batch, domain)}
        asked = unknown | known
        (seen,) = self.see({domain: [image]}, {domain: asked})[domain]
        supervision = self.discriminators.supervision(domain)
        told = supervision.predictions(seen.features) if supervision is not None else {}
        return seen.logits, {name: value for name, value in told.items() if name in own}

    def _is_told(self, task: Task, batch: Batch, domain: str) -> bool:
        """Whether a batch says what its images show of a task, or they show it themselves."""
        is_own = task.name in self.own_tasks[domain]
        return task.name in batch["targets"] or (is_own and isinstance(task, Constraint))

    def savings(self, generators: SideBySide) -> list[str]:
        """How many parameters are left of as many networks without shared layers, in sentences."""
        lines = []
        for what, networks in (("generators", generators), ("discriminators' trunks", self.discriminators.trunks)):
            shared, alone = networks.counts()
            if shared < alone:
                lines.append(
                    f"shared layers: the {len(networks.routes)} {what} have {shared:,} parameters instead of {alone:,} "
                    f"({1 - shared / alone:.0%} fewer)"
                )
        return lines


def regularizers_of(regularizers: Sequence[Regularizer], domains: Sequence[str]) -> nn.ModuleList:
    """Each domain's own copy of the regularisers: some of them remember what they saw."""
    return nn.ModuleList(nn.ModuleList(copy.deepcopy(list(regularizers))) for _ in domains)
