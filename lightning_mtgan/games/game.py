"""The mathematics of one paper: players, phases, and a way to sample. Torch only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_mtgan.conditions import draw_conditions
from lightning_mtgan.tasks import Task, make_tasks
from lightning_mtgan.types import Batch, DataSpec, Terms


@dataclass(frozen=True)
class Phase:
    """Who moves, and which losses it minimises.

    Args:
        name: Name of the phase; its Balancer is found by it.
        player: The player whose parameters move; all others are constants, though gradients flow
            through their activations.
        losses: From a batch to the phase's named losses.
        every: The phase is played at every so many-th batch. A lazy phase scales its own losses.
        is_lazy: Whether it plays seldom what belongs to every step of its player: the player's learning
            rate is then corrected for the steps it adds.
        unbounded: Names of its losses that have no lower bound 0, so that their values say nothing alone.
        has_pivot: Whether its Terms have tensors at which gradients can be compared.
    """

    name: str
    player: str
    losses: Callable[[Batch], Terms]
    every: int = 1
    is_lazy: bool = False
    unbounded: frozenset[str] = frozenset()
    has_pivot: bool = False


class Game(nn.Module, ABC):
    """Networks that play against and with each other.

    A subclass fills ``players`` (each parameter in exactly one of them) and lists its phases. It
    knows losses and no optimizer.

    Args:
        spec: What the data is.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.tasks: dict[str, Task] = make_tasks(spec.tasks)
        self.players = nn.ModuleDict()

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The phases of one step, in the order in which they are played."""

    @abstractmethod
    def sampling_modules(self) -> Sequence[nn.Module]:
        """Every module that ``sample`` reads, whoever owns it: what an average must hold."""

    @abstractmethod
    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Generate images.

        Args:
            num_images: How many.
            condition: Targets by task, each with ``num_images`` rows; tasks that are missing are
                drawn from the data's distribution.
            generator: Source of randomness, on this Game's device; None: other images at every call.

        Returns:
            Images (num_images, C, H, W) in [-1, 1].
        """

    def once_differentiated(self) -> Sequence[nn.Module]:
        """Networks of which no phase needs a second derivative, so that they may be compiled."""
        return []

    @property
    def images_together(self) -> int:
        """Images that cannot be parted between ranks or micro-batches."""
        return 1

    @property
    def known_share(self) -> float:
        """Share of the images that are asked to show anything, where nobody says what."""
        return self.spec.known_share

    @property
    def obeys(self) -> bool:
        """Whether ``sample`` shows what it is asked for."""
        return True

    def remarks(self) -> Sequence[str]:
        """What a person should know of these networks when a training begins, in sentences."""
        return []

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What the discriminator makes of images and their targets, for monitoring.

        Returns:
            Logits of realism (N,), larger for real ones, or None without a discriminator; and the
            output (N, head_size) of each task's head.
        """
        return None, {}

    def recognised(self, image: Tensor) -> dict[str, Tensor]:
        """Whether the heads of self-supervised tasks are right about real images, for monitoring.

        Args:
            image: Images (N, C, H, W) in [-1, 1].

        Returns:
            Float (N,) of 0 and 1 by the task's name; nothing without such tasks.
        """
        return {}

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        return next(self.parameters()).dtype

    def draw_conditions(
        self, num_images: int, generator: torch.Generator, given: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """A target of each task for each image: as given, and at random for the others."""
        spec = self.spec
        return draw_conditions(self.tasks, num_images, generator, self.device, given, spec.joint, self.known_share)

    def check(self) -> None:
        """Make sure that each parameter has exactly one owner and each phase a player.

        Raises:
            ValueError: If a parameter has two owners or none, or a phase names no player.
        """
        owners: dict[int, str] = {}
        for name, player in self.players.items():
            for key, parameter in player.named_parameters():
                other = owners.setdefault(id(parameter), name)
                if other != name:
                    raise ValueError(f"parameter {key} belongs to the players {other} and {name}; give it one owner")
        for key, parameter in self.named_parameters():
            if id(parameter) not in owners:
                raise ValueError(f"parameter {key} belongs to no player; put its module into one")
        for phase in self.phases():
            if phase.player not in self.players:
                raise ValueError(f"phase {phase.name} moves {phase.player}, which is no player")
            if phase.every < 1:
                raise ValueError(f"phase {phase.name} is played every {phase.every} batches; 1 is the least")
