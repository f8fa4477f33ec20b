"""StackedDigits: three random digits as the channels of one image, 1,000 modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_mtgan.data.changes import SPOIL_SIGNS
from lightning_mtgan.data.handwriting import SOURCE, digits
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import MeanColour, TextureEnergy, quantiles
from lightning_mtgan.types import Change, DataSpec, TaskKind, TaskSpec

NUM_PRIOR = 16_384
"""Stacks behind priors and joint conditions."""
CHANNELS = ("red", "green", "blue")
SPOIL_CHANNELS = SPOIL_SIGNS | {Change.COLOUR}
"""Each channel is a digit of its own, and another hue swaps or mixes them."""
SPOIL_INK = frozenset({Change.COLOUR, Change.CUTOUT, Change.SCALE, Change.SHIFT, Change.ROTATION})
"""A turn by less than a quarter leaves corners out and brings others in."""
StackedTask = Literal["red", "green", "blue", "even", "ink", "colour", "texture"]


class StackedImages(IndexedImages):
    """Stacks of digits, put together when they are fetched.

    Args:
        held_out: Stack the held-out digits, not the training digits.
        num_images: How many stacks.
        seed: Seed of the choice of digits.
        names: The targets to give.
    """

    def __init__(self, held_out: bool, num_images: int, seed: int, names: Sequence[str]) -> None:
        self.images, self.labels = digits(held_out)
        self.names = names
        generator = torch.Generator().manual_seed(seed)
        self.choice = torch.randint(len(self.images), (num_images, len(CHANNELS)), generator=generator)

    def __len__(self) -> int:
        return len(self.choice)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        choice = self.choice[indices]
        image, label = self.images[choice], self.labels[choice]
        known = {name: label[:, channel] for channel, name in enumerate(CHANNELS)}
        if "even" in self.names:
            known["even"] = (label % 2 == 0).float()
        if "ink" in self.names:
            known["ink"] = image.float().mean(dim=(2, 3)) / 255
        return {"image": image, "targets": {name: known[name] for name in self.names if name in known}}


class StackedDigits(ImageDataModule):
    """Three random handwritten digits as red, green and blue: 8 x 8 pixels, 1,000 modes.

    The stacked-MNIST protocol (Metz et al. 2017, arXiv:1611.02163) on digits that need no download.

    Args:
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the stacks and of their order.
        num_images: Training stacks, drawn once.
        tasks: What to learn. Classes: ``red``, ``green``, ``blue``, the digit of that channel.
            Attributes: ``even``, whether each channel's digit is even. Regression: ``ink``, mean
            brightness of each channel in [0, 1]. Constraints: ``colour``, mean of each channel;
            ``texture``, energy of each channel's gradients.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.
    """

    splits = {
        "train": f"stacks of the first 1,437 of {SOURCE}",
        "reference": f"other stacks of the first 1,437 of {SOURCE}",
        "held_out": f"stacks of the last 360 of {SOURCE}, other writers",
    }

    def __init__(
        self,
        batch_size: int = 64,
        seed: int = 0,
        num_images: int = 128_000,
        tasks: Sequence[StackedTask] = ("red", "green", "blue"),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if num_images < 1:
            raise UserError(f"data.num_images is {num_images}; it must be at least 1")
        self.num_images = num_images
        self.tasks = tuple(tasks)

    def dataset(self, split: str) -> StackedImages:
        """``train`` follows the seed; ``reference`` and ``held_out`` are the same for every run."""
        seed = seed_of("stacked digits", split, self.seed if split == "train" else "")
        num_images = self.num_images if split == "train" else 50_000
        return StackedImages(split == "held_out", num_images, seed, self.tasks)

    @property
    def spec(self) -> DataSpec:
        """8 x 8 pixels, three channels, and the tasks that were asked for.

        Digits of different channels are independent; every other task follows from the same image.
        """
        tasks = tuple(self._task(name) for name in self.tasks)
        return DataSpec(8, len(CHANNELS), tasks, None if set(self.tasks) <= set(CHANNELS) else self._joint(tasks))

    def _joint(self, tasks: Sequence[TaskSpec]) -> dict[str, Tensor]:
        """The targets of the same stacks."""
        sample = self._sample()
        image = sample["image"].float() / 127.5 - 1
        found = {**sample["targets"], **{task.name: task.measure(image) for task in tasks if task.measure}}
        return {task.name: found[task.name] for task in tasks}

    def _task(self, name: str) -> TaskSpec:
        if name in CHANNELS:
            return TaskSpec(name, TaskKind.CLASSIFICATION, 10, spoiled_by=SPOIL_CHANNELS)
        if name == "even":
            odds = (self._sample()["targets"]["even"].mean().item(),)
            priors = (odds,) * len(CHANNELS)
            return TaskSpec(name, TaskKind.ATTRIBUTES, len(CHANNELS), CHANNELS, priors, spoiled_by=SPOIL_CHANNELS)
        sample = self._sample()
        if name == "ink":
            prior = quantiles(sample["targets"]["ink"])
            return TaskSpec(name, TaskKind.REGRESSION, len(CHANNELS), CHANNELS, prior, spoiled_by=SPOIL_INK)
        measure = MeanColour() if name == "colour" else TextureEnergy()
        prior = quantiles(measure(sample["image"].double() / 127.5 - 1))
        return TaskSpec(name, TaskKind.CONSTRAINT, len(CHANNELS), CHANNELS, prior, measure)

    def _sample(self) -> dict[str, Any]:
        """Stacks to read priors from: the same for every seed, so that specs never differ by seed."""
        names = (*CHANNELS, "even", "ink")
        return StackedImages(False, NUM_PRIOR, seed_of("stacked digits", "prior"), names)[torch.arange(NUM_PRIOR)]
