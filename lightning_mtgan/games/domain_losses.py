"""What the two players of a Game of several domains minimise, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from lightning_mtgan import vital_signs
from lightning_mtgan.games.domain_arena import Conditions, DomainArena
from lightning_mtgan.games.game import Phase
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.types import Batch, Terms

Fakes = tuple[dict[str, Tensor], dict[str, Tensor]]
"""What the generators were given, and the images they made of it, by domain."""


class DomainLosses:
    """The losses of both players, each named by its domain, and the phases in which they are played.

    Args:
        arena: What turns are played with.
        fakes: From a batch and its conditions to the generated images.
    """

    def __init__(self, arena: DomainArena, fakes: Callable[[Batch, Conditions], Fakes]) -> None:
        self.arena, self.fakes = arena, fakes

    def phases(self, player: str, losses: Callable[[Batch], Terms]) -> list[Phase]:
        """A player's phase, followed by its lazy regularisers, each for all domains."""
        has_bound = player not in self.arena.adversarial.unbounded
        unbounded = frozenset() if has_bound else frozenset(f"adversarial_{name}" for name in self.arena.specs)
        for name in self.arena.specs:
            heads = self.arena.discriminators.supervision(name)
            if heads is not None and player == "generator" and self.arena.embedding is not None:
                unbounded |= {f"{task}_{name}" for task in heads.unbounded & set(self.arena.own_tasks[name])}
        first = next(iter(self.arena.regularizers.values()), [])
        lazy = [
            Phase(one.name, player, partial(self.lazy, index), one.every, is_lazy=True)
            for index, one in enumerate(first)
            if one.every > 1 and one.player == player
        ]
        return [Phase(player, player, losses, unbounded=unbounded, has_pivot=player == "generator"), *lazy]

    def discriminator(self, batch: Batch) -> Terms:
        """Of each domain: the adversarial loss, the tasks' losses, and the regularisers that are played every time."""
        arena, conditions = self.arena, self.arena.conditions(batch)
        with torch.no_grad():
            given, fakes = self.fakes(batch, conditions)
        images = {name: self._tracked(name, [batch["domains"][name]["image"], fake]) for name, fake in fakes.items()}
        seen, losses, observed = arena.see(images, conditions), dict[str, Tensor](), dict[str, Tensor]()
        penalties = frozenset[str]()
        for name, (real, fake) in seen.items():
            own = {"adversarial": arena.adversarial.discriminator(real.logits, fake.logits)}
            own |= arena.task_losses(name, real.features, fake.features, conditions)
            now = self._now(name, "discriminator")
            if now:
                play = arena.play(
                    name, batch["draws"], images[name][0], given[name], images[name][1], conditions, moves=False
                )
                play.real, play.fake = real, fake
                own |= {one.name: one.loss(play) for one in now}
            losses |= arena.named(name, own)
            penalties |= {f"{one.name}_{name}" for one in now}
            observed = self._observed(batch, name, real.logits, fake.logits, observed)
        return Terms(losses, (), penalties, observed)

    def generator(self, batch: Batch, conditions: Conditions, made: Fakes) -> Terms:
        """Of each domain: the adversarial loss, its tasks, and the regularisers of generators.

        Args:
            batch: The batch.
            conditions: What the images were asked to show.
            made: What was given and what was made of it.
        """
        arena, (given, fakes) = self.arena, made
        losses, penalties = dict[str, Tensor](), frozenset[str]()
        reals = self._constants(batch, conditions)
        for name, (fake,) in arena.see({name: [image] for name, image in fakes.items()}, conditions).items():
            own = {"adversarial": arena.adversarial.generator(reals.get(name), fake.logits)}
            own |= arena.wishes(name, fakes[name], fake.features, conditions)
            now = self._now(name, "generator")
            if now:
                play = arena.play(
                    name, batch["draws"], batch["domains"][name]["image"], given[name], fakes[name], conditions, True
                )
                play.fake = fake
                own |= {one.name: one.loss(play) for one in now}
            losses |= arena.named(name, own)
            penalties |= {f"{one.name}_{name}" for one in now}
        return Terms(losses, tuple({id(one): one for one in fakes.values()}.values()), penalties)

    def lazy(self, index: int, batch: Batch) -> Terms:
        """One regulariser of every domain alone, times the interval at which it is played."""
        arena, conditions, losses = self.arena, self.arena.conditions(batch), dict[str, Tensor]()
        given = arena.inputs(batch, conditions)
        for name, domain in batch["domains"].items():
            one = arena.regularizers[name][index]
            moves = one.player == "generator"
            play = arena.play(name, batch["draws"], domain["image"], given[name], None, conditions, moves)
            losses[f"{one.name}_{name}"] = one.loss(play) * one.every
        return Terms(losses, penalties=frozenset(losses))

    def _now(self, domain: str, player: str) -> list[Regularizer]:
        return [one for one in self.arena.regularizers[domain] if one.every == 1 and one.player == player]

    def _tracked(self, domain: str, images: Sequence[Tensor]) -> list[Tensor]:
        """Real and generated images, those with a trace by which a regulariser will differentiate the judgement."""
        kinds = {kind for one in self._now(domain, "discriminator") for kind in one.differentiates}
        if torch.is_autocast_enabled(images[0].device.type):
            kinds = set()  # penalties have passes of their own then, in full precision
        return [
            image.detach().requires_grad_() if kind in kinds else image
            for kind, image in zip(("real", "fake"), images, strict=True)
        ]

    def _constants(self, batch: Batch, conditions: Conditions) -> dict[str, Tensor]:
        """The logits of real images in a generator's turn, where the loss compares with them."""
        if not self.arena.adversarial.compares_with_real:
            return {}
        with torch.no_grad():
            seen = self.arena.see({name: [one["image"]] for name, one in batch["domains"].items()}, conditions)
        return {name: real.logits for name, (real,) in seen.items()}

    def _observed(
        self, batch: Batch, domain: str, real: Tensor, fake: Tensor, before: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The signals of one domain, and those of all so far."""
        if batch["draws"].step % vital_signs.EVERY:
            return {}
        belief = self.arena.adversarial.belief(real, fake)
        signals = {"margin": vital_signs.margin(real, fake), "r_t": vital_signs.sign_of_real(belief)}
        own = {f"signal/{signal}/{domain}": value for signal, value in signals.items()}
        every = {f"signal/{one}": value + before.get(f"signal/{one}", 0.0) for one, value in signals.items()}
        return {**before, **own, **every}
