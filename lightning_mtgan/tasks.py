"""What a TaskSpec becomes: the size of its head, its loss, its targets, its metric, its conditions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Batch, Measure, TaskKind, TaskSpec

NUM_QUANTILES = 17
"""Equally spaced quantiles that describe the distribution of a number in a TaskSpec."""


@dataclass(frozen=True)
class MeanColour(Measure):
    """The mean of each channel: a colour constraint, values in [-1, 1]."""

    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to means (N, C)."""
        return image.mean(dim=(2, 3))

    def size(self, num_channels: int) -> int:
        """One number for each channel."""
        return num_channels


@dataclass(frozen=True)
class TextureEnergy(Measure):
    """The mean squared difference of neighbouring pixels in each channel: a texture constraint."""

    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to energies (N, C), at least 0."""
        across = image.diff(dim=3).square().mean(dim=(2, 3))
        down = image.diff(dim=2).square().mean(dim=(2, 3))
        return across + down

    def size(self, num_channels: int) -> int:
        """One number for each channel."""
        return num_channels


def quantiles(values: Tensor) -> tuple[tuple[float, ...], ...]:
    """The prior of a number: ``NUM_QUANTILES`` equally spaced quantiles of each column of (N, size)."""
    levels = torch.linspace(0, 1, NUM_QUANTILES, dtype=torch.float64)
    table = torch.quantile(values.double(), levels, dim=0)
    return tuple(tuple(column) for column in table.T.tolist())


class Task(ABC):
    """One task of a Game.

    Args:
        spec: The description that the data gave.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.name = spec.name

    def target(self, batch: Batch) -> Tensor:
        """The truth about the real images of a batch."""
        return batch["targets"][self.name]

    def code(self, target: Tensor) -> Tensor:
        """What an embedding is given of a target: classes as they are, numbers centred and scaled."""
        return target

    @property
    def head_size(self) -> int:
        """Numbers per image that a head for this task yields."""
        return self.spec.size

    @abstractmethod
    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar loss of a head's output (N, head_size)."""

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
        """The figure's name and value for predictions in the form of targets."""

    def describe(self, target: Tensor) -> str:
        """One target, in words."""
        return f"{self.name} " + " ".join(f"{number:.2f}" for number in target.flatten().tolist())


class Classification(Task):
    """One class of several, by cross-entropy."""

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of logits (N, K) against classes (N,)."""
        return cross_entropy(prediction, target)

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Classes (N,) by the prior, uniform when there is none."""
        if self.spec.prior:
            weights = torch.tensor(self.spec.prior[0], device=device)
            return torch.multinomial(weights, num_images, replacement=True, generator=generator)
        return torch.randint(self.spec.size, (num_images,), generator=generator, device=device)

    def parse(self, text: str) -> Tensor:
        """A class by its index or its label."""
        if text in self.spec.labels:
            return torch.tensor(self.spec.labels.index(text))
        if text.isdigit() and int(text) < self.spec.size:
            return torch.tensor(int(text))
        names = f", or one of {', '.join(self.spec.labels)}" if self.spec.labels else ""
        raise UserError(
            f"condition {self.name}={text}: task `{self.name}` has the classes 0 to {self.spec.size - 1}{names}"
        )

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Share of equal classes."""
        return f"task_accuracy/{self.name}", (prediction == target).double().mean().item()

    def describe(self, target: Tensor) -> str:
        """The class by its label where it has one."""
        index = int(target)
        return f"{self.name} {self.spec.labels[index] if self.spec.labels else index}"


class Numbers(Task):
    """What tasks with several numbers share: they are written with commas."""

    def parse(self, text: str) -> Tensor:
        """``size`` numbers separated by commas."""
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != self.spec.size:
            raise UserError(
                f"condition {self.name}={text}: task `{self.name}` takes {self.spec.size} numbers separated by commas"
            )
        return torch.tensor(numbers)


class Attributes(Numbers):
    """Several yes/no answers, by binary cross-entropy."""

    def code(self, target: Tensor) -> Tensor:
        """Answers as -1 and 1."""
        return 2 * target - 1

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of logits (N, size) against answers (N, size)."""
        return binary_cross_entropy_with_logits(prediction, target.to(prediction.dtype))

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Answers (N, size), independent, by the prior; even odds when there is none."""
        odds = torch.tensor(self.spec.prior or ((0.5,),) * self.spec.size, device=device)[:, 0]
        numbers = torch.rand(num_images, self.spec.size, generator=generator, device=device)
        return (numbers < odds).float()

    def parse(self, text: str) -> Tensor:
        """``size`` answers, 0 or 1, separated by commas."""
        answers = super().parse(text)
        if not bool(((answers == 0) | (answers == 1)).all()):
            raise UserError(f"condition {self.name}={text}: the answers of task `{self.name}` are 0 or 1")
        return answers

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Share of equal answers."""
        return f"task_accuracy/{self.name}", (prediction == target).double().mean().item()

    def describe(self, target: Tensor) -> str:
        """The labels whose answer is yes."""
        labels = self.spec.labels or tuple(str(index) for index in range(self.spec.size))
        return f"{self.name} " + (" ".join(n for n, yes in zip(labels, target.tolist(), strict=True) if yes) or "none")


class Regression(Numbers):
    """Real numbers, by the smooth L1 loss of standardised numbers."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__(spec)
        table = torch.tensor(spec.prior or ((-1.0, 1.0),) * spec.size, dtype=torch.float64)
        self._quantiles = table.float()
        self._mean, self._std = table.mean(1), table.std(1).clamp(min=1e-6)
        self._moments: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def code(self, target: Tensor) -> Tensor:
        """Numbers (N, size) with mean 0 and deviation 1 over the data."""
        key = (target.device, target.dtype)
        if key not in self._moments:  # a copy to the device in every step would wait for it
            self._moments[key] = (self._mean.to(target), self._std.to(target))
        mean, std = self._moments[key]
        return (target - mean) / std

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Smooth L1 of a head's standardised numbers (N, size) against numbers in their own unit."""
        code = self.code(target)
        return smooth_l1_loss(prediction.to(code.dtype), code)

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Numbers (N, size), independent, by the inverse of each one's distribution function."""
        table = self._quantiles.to(device)
        steps = table.shape[1] - 1
        where = torch.rand(num_images, self.spec.size, generator=generator, device=device) * steps
        below = where.long().clamp(max=steps - 1)
        rows = torch.arange(self.spec.size, device=device)
        low, high = table[rows, below], table[rows, below + 1]
        return low + (high - low) * (where - below)

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Mean absolute error, in the task's own unit."""
        return f"task_error/{self.name}", (prediction - target).abs().double().mean().item()


class Constraint(Regression):
    """Numbers that a fixed function measures on the image: no head, the loss is on the measure."""

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__(spec)
        assert spec.measure is not None
        self.measure = spec.measure

    def target(self, batch: Batch) -> Tensor:
        """The measure of the real images."""
        return self.measure(batch["image"])

    def image_loss(self, image: Tensor, target: Tensor) -> Tensor:
        """Smooth L1 between the standardised measure of generated images and what was asked for."""
        return self.loss(self.code(self.measure(image)), target)


_TASKS: dict[TaskKind, type[Task]] = {
    TaskKind.CLASSIFICATION: Classification,
    TaskKind.ATTRIBUTES: Attributes,
    TaskKind.REGRESSION: Regression,
    TaskKind.CONSTRAINT: Constraint,
}


def make_tasks(specs: Sequence[TaskSpec]) -> dict[str, Task]:
    """A Task for each TaskSpec, by name."""
    return {spec.name: _TASKS[spec.kind](spec) for spec in specs}
