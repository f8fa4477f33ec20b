"""What all Games share that learn several domains at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lightning_mtgan.conditions import draw_conditions
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import Batch, DataSpec, TaskSpec

if TYPE_CHECKING:
    from lightning_mtgan.games.domain_arena import DomainArena


class DomainGame(Game, ABC):
    """A Game with a generator and a discriminator for each domain, whose images correspond where latents are the same.

    ``tasks`` are those of all domains; in a domain that lacks one, its targets are unknown.

    Args:
        spec: What the data is.

    Raises:
        UserError: If the data has no domains, or two of them have different tasks of one name.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if not spec.domains:
            raise UserError(f"{type(self).__name__} learns several domains; take lightning_mtgan.data.Domains as data")
        for name in spec.domains:
            if not name or set(name) & set("./@"):
                raise UserError(f"data.domains.{name}: a domain's name must not be empty or hold . / or @; rename it")
        self.all_tasks = union_of_tasks(spec.domains)
        self.tasks = make_tasks(self.all_tasks)

    @property
    def domains(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.spec.domains)

    def draw_conditions(
        self, num_images: int, generator: torch.Generator, given: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """A target of each task of any domain for each image; the first domain's may depend on each other."""
        given, first = given or {}, {task.name for task in self.spec.tasks}
        own = {name: value for name, value in given.items() if name in first}
        drawn = draw_conditions(
            {name: task for name, task in self.tasks.items() if name in first},
            num_images,
            generator,
            self.device,
            own,
            self.spec.joint,
            self.known_share,
        )
        others = {name: task for name, task in self.tasks.items() if name not in first}
        more = {name: value for name, value in given.items() if name in others}
        return drawn | draw_conditions(others, num_images, generator, self.device, more)

    def view(self, domain: str) -> DomainView:
        """One domain of this Game, as a Game that can be sampled and asked."""
        return DomainView(self, domain)

    @property
    @abstractmethod
    def arena(self) -> DomainArena:
        """What turns are played with."""

    @abstractmethod
    def render(self, domain: str, given: Tensor) -> Tensor:
        """A domain's images, (N, C, H, W) in [-1, 1], of latents beside conditions, (N, latent_dim + condition_dim)."""

    @property
    def latent_dim(self) -> int:
        """Length of the latents."""
        return self.arena.latent_dim

    def sample_domain(
        self,
        domain: str,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images of one domain, (num_images, C, H, W) in [-1, 1]: a generator in the same state gives the same latents.

        Args:
            domain: Its name.
            num_images: How many.
            condition: Targets by task; those that are missing are drawn.
            generator: Source of randomness; None for other images at every call.
        """
        return self.render(domain, self.arena.drawn(self, num_images, condition, generator))

    def judge_domain(self, domain: str, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What a domain's discriminator makes of its images, as ``judge`` does."""
        return self.arena.judgement(domain, batch)

    @property
    def obeys(self) -> bool:
        """Whether the generators read the conditions."""
        return self.arena.embedding is not None

    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images of the first domain."""
        return self.sample_domain(self.domains[0], num_images, condition, generator)

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What the first domain's discriminator makes of its images."""
        return self.judge_domain(self.domains[0], batch)


class DomainView(Game):
    """One domain of a Game, for whoever measures or shows it; it has no players.

    Args:
        game: The Game: a DomainGame, or another that has ``judge_domain``.
        domain: Which of its domains.
    """

    def __init__(self, game: Any, domain: str) -> None:
        super().__init__(game.spec.domains[domain])
        self._game, self.domain = [game], domain  # in a list: its parameters are not this one's

    @property
    def whole(self) -> Any:
        """The Game."""
        return self._game[0]

    @property
    def device(self) -> torch.device:
        """Where the Game is."""
        return self.whole.device

    @property
    def dtype(self) -> torch.dtype:
        """That of the Game."""
        return self.whole.dtype

    @property
    def obeys(self) -> bool:
        """See Game."""
        return self.whole.obeys

    def phases(self) -> Sequence[Phase]:
        """None: the Game plays."""
        return []

    def sampling_modules(self) -> Sequence[nn.Module]:
        """Those of the Game."""
        return self.whole.sampling_modules()

    def draw_conditions(
        self, num_images: int, generator: torch.Generator, given: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """A target of each of the Game's tasks, so that all domains are asked for the same."""
        return self.whole.draw_conditions(num_images, generator, given)

    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images of this domain."""
        return self.whole.sample_domain(self.domain, num_images, condition, generator)

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What this domain's discriminator makes of images."""
        return self.whole.judge_domain(self.domain, batch)


def union_of_tasks(domains: Mapping[str, DataSpec]) -> tuple[TaskSpec, ...]:
    """The tasks of all domains, each once; those that a domain lacks may be unknown.

    Raises:
        UserError: If two domains have different tasks of one name.
    """
    found: dict[str, TaskSpec] = {}
    for domain, spec in domains.items():
        for task in spec.tasks:
            first = found.setdefault(task.name, task)
            if _meaning(first) != _meaning(task) or (first.labels and task.labels and first.labels != task.labels):
                raise UserError(
                    f"data.domains: the task `{task.name}` of {domain} is another one than before it "
                    f"({_words(task)} instead of {_words(first)}); rename one"
                )
    complete = [{task.name for task in spec.tasks if task.is_complete} for spec in domains.values()]
    lacking = {name for name in found if any(name not in known for known in complete)}
    return tuple(replace(task, is_complete=False) if name in lacking else task for name, task in found.items())


def _meaning(task: TaskSpec) -> tuple[object, ...]:
    return task.kind, task.size, task.resolution, task.measure


def _words(task: TaskSpec) -> str:
    return f"{task.kind.value} of {task.size}" + (f" ({', '.join(task.labels)})" if task.labels else "")
