"""What every task can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.losses import masked_mean
from lightning_mtgan.types import Batch, TaskSpec, is_known


class Task(ABC):
    """One task of a Game.

    Args:
        spec: The description that the data gave.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self._tables: dict[torch.device, Tensor] = {}

    def _prior_on(self, device: torch.device, default: Sequence[Sequence[float]]) -> Tensor:
        """The prior, or what stands for it where there is none, on a device: copied there once."""
        if device not in self._tables:
            self._tables[device] = torch.tensor(self.spec.prior or default, device=device, dtype=torch.float32)
        return self._tables[device]

    def target(self, batch: Batch) -> Tensor:
        """The truth about the real images of a batch."""
        return batch["targets"][self.name]

    def code(self, target: Tensor) -> Tensor:
        """What an embedding is given of a target: classes as they are, numbers centred and scaled; unknown stays so."""
        return target

    @property
    def head_size(self) -> int:
        """Numbers per image that a head for this task yields."""
        return self.spec.size

    @property
    def code_size(self) -> int:
        """Numbers per image that ``code`` yields, of a task that has no classes."""
        return self.spec.size

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar loss of a head's output (N, head_size); images without a target do not count."""
        if self.spec.is_complete:
            return self.losses(prediction, target).mean()
        losses, known = self.losses(prediction, target), self.is_known(target)
        return masked_mean(losses.flatten(), known.expand_as(losses).flatten())

    def is_known(self, target: Tensor) -> Tensor:
        """Which values of a target count, bool, in a shape that expands to that of ``losses``."""
        known = is_known(target)
        return known.view(-1, *(1,) * (target.ndim - 1))

    def _counts(self, target: Tensor) -> Tensor:
        """Which values of a target a figure is about, bool in its shape."""
        return self.is_known(target).view_as(target)

    @abstractmethod
    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of each value that a head yields, (N, ...), finite also where the target is unknown."""

    @abstractmethod
    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Targets at random, from the distribution that the data declared."""

    @abstractmethod
    def parse(self, text: str) -> Tensor:
        """A target (for one image) that a person wrote on the command line.

        Raises:
            UserError: If the text is no target of this task.
        """

    @abstractmethod
    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """The figure's name and value for predictions in the form of targets, of which some are known."""

    def describe(self, target: Tensor) -> str:
        """One target, in words."""
        if not bool(is_known(target[None])):
            return f"{self.name} ?"
        return f"{self.name} {self.in_words(target)}"

    def in_cell(self, target: Tensor) -> str:
        """One target as it stands in a table: its numbers, with spaces between."""
        return " ".join(f"{number:g}" for number in target.flatten().tolist())

    def in_words(self, target: Tensor) -> str:
        """The value of one known target."""
        return " ".join(f"{number:.2f}" for number in target.flatten().tolist())


class Numbers(Task):
    """What tasks with several numbers share: they are written with commas."""

    def parse(self, text: str) -> Tensor:
        """``size`` numbers separated by commas."""
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != self.spec.size or not all(map(math.isfinite, numbers)):
            raise UserError(
                f"condition {self.name}={text}: task `{self.name}` takes {self.spec.size} numbers separated by commas"
            )
        return torch.tensor(numbers)
