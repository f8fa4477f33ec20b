"""Shapes: pictures of single shapes of which everything is known, rendered when they are fetched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_mtgan.data.changes import SPOIL_MAPS, SPOIL_PLACES
from lightning_mtgan.data.images import CHUNK, IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.rendering import (
    BACKGROUNDS,
    COLOURS,
    SHAPES,
    TEXTURES,
    Factors,
    coverage,
    mask,
    outline_angle,
    render,
)
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import MeanColour, TextureEnergy, quantiles
from lightning_mtgan.types import Change, DataSpec, Measure, TaskKind, TaskSpec

DrawnTask = Literal["shape", "colour", "texture", "background", "position", "size", "angle", "mask"]
ShapesTask = Literal[DrawnTask, "mean_colour", "energy"]
IMAGE_SIZES = (16, 32, 64, 128)
MASK_RESOLUTION = 32
"""Height and width of a mask at most, in pixels."""
SMALLEST, LARGEST = 0.45, 0.75
"""Radii of the circle around a shape, in image units, of which an image has 2."""
NUM_PRIOR = 4096
"""Images behind priors and joint conditions."""
NUM_PRIOR_MASKS = 512
"""Images behind joint conditions that must be rendered: masks and measures."""
PIXELS_AT_ONCE = 2**18
"""What is rendered at a time: more would not stay in a processor's cache, and large images would fill the memory."""
_LABELS = {"shape": SHAPES, "colour": COLOURS, "texture": TEXTURES, "background": BACKGROUNDS}
_NUMBERS = {"position": ("x", "y"), "size": ("radius",), "angle": ("cos", "sin")}
MEASURES: dict[str, Measure] = {"mean_colour": MeanColour(), "energy": TextureEnergy()}
"""Constraints, which are measured on the images."""
_SPOILED_BY: dict[str, frozenset[Change]] = {
    "colour": frozenset({Change.COLOUR}),
    "position": SPOIL_PLACES,
    "size": frozenset({Change.SCALE}),
    "angle": frozenset({Change.FLIP, Change.ROTATION, Change.SCALE}),  # one axis alone turns slanted edges
    "mask": SPOIL_MAPS,
}
"""Shapes, textures and backgrounds come turned, and stay what they are at any size."""


def draw_factors(num_images: int, seed: int) -> Factors:
    """Factors at random, a function of the seed: uniform and independent, but for shapes that would leave the image.

    Args:
        num_images: Rows of the table.
        seed: Seed of all of them.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(num_images, *shape, generator=generator)

    def heading() -> Tensor:
        angle = 2 * math.pi * torch.rand(num_images, generator=generator, dtype=torch.float64)
        return torch.stack([angle.cos(), angle.sin()], dim=1).float()

    classes = {name: torch.randint(len(labels), (num_images,), generator=generator) for name, labels in _LABELS.items()}
    size = uniform(SMALLEST, LARGEST, 1)
    return Factors(
        **classes,
        position=uniform(-1, 1, 2) * (1 - size),
        size=size,
        heading=heading(),
        value=uniform(0.8, 1, 1),
        dark=uniform(0.2, 0.4, 1) + uniform(0, 0.06, 3),
        contrast=uniform(0.2, 0.3, 1),
        drift=heading(),
        phase=uniform(0, 1, 2),
    )


class ShapeImages(IndexedImages):
    """Shapes from a table of factors, rendered when they are fetched: each image a function of its row alone.

    Args:
        factors: What is in each image.
        image_size: Height and width of the images, in pixels.
        names: The targets to give.
    """

    def __init__(self, factors: Factors, image_size: int, names: Sequence[str]) -> None:
        self.factors, self.image_size, self.names = factors, image_size, tuple(names)
        self.resolution = min(image_size, MASK_RESOLUTION)
        known = {name: getattr(factors, name) for name in (*_LABELS, "position", "size")}
        known["angle"] = outline_angle(factors.shape, factors.heading)
        self.known = {name: known[name] for name in self.names if name != "mask"}

    def __len__(self) -> int:
        return len(self.factors)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        known = {name: target[indices] for name, target in self.known.items()}
        images, masks = [], []
        for part in indices.split(max(1, PIXELS_AT_ONCE // self.image_size**2)):
            image, cover = render(self.factors.rows(part), self.image_size)
            images.append(image)
            if "mask" in self.names:
                masks.append(mask(cover, self.resolution))
        if masks:
            known["mask"] = torch.cat(masks)
        return {"image": torch.cat(images), "targets": {name: known[name] for name in self.names}}

    def targets(self) -> dict[str, Tensor]:
        """The targets of all images, of which no more is rendered than the masks."""
        known = dict(self.known)
        if "mask" in self.names:
            parts = torch.arange(len(self)).split(CHUNK)
            known["mask"] = torch.cat([self._masks(indices) for indices in parts])
        return {name: known[name] for name in self.names}

    def _masks(self, indices: Tensor) -> Tensor:
        return mask(coverage(self.factors.rows(indices), self.image_size), self.resolution)


class Shapes(ImageDataModule):
    """A coloured, textured shape before a dull background, of which every factor is known exactly.

    Image units: x runs from -1 at the left to 1 at the right edge, y from -1 at the top to 1 at the
    bottom. The circle around a shape always lies within the image.

    Args:
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the training images and of their order.
        image_size: Height and width of the images, in pixels: 16, 32, 64 or 128.
        num_images: Training images; their factors are drawn once.
        tasks: What to learn. Classes: ``shape`` (6), ``colour`` (6), ``texture`` (4, turned with the
            shape) and ``background`` (4). Regression: ``position``, x and y of the centre; ``size``,
            radius of the circle around the shape; ``angle``, (cos kθ, sin kθ) of the clockwise turn
            θ, where k turns bring the outline onto itself (square and cross 4, triangle 3, star 5,
            heart 1), and (1, 0) for discs, which show no turn. Dense: ``mask``, the share of each
            pixel that the shape covers, 0 to 255, at 32 x 32 pixels or those of a smaller image. Constraints,
            measured on the images: ``mean_colour``, and ``energy``, the mean squared difference of
            neighbouring pixels, of each channel.
        num_workers: Processes that render batches.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.

    Raises:
        UserError: If a number is out of range.
    """

    splits = {
        "train": "shapes rendered from factors drawn by the seed",
        "reference": "50,000 shapes rendered from other factors",
        "held_out": "50,000 shapes rendered from further factors",
    }

    def __init__(
        self,
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        num_images: int = 128_000,
        tasks: Sequence[ShapesTask] = ("shape", "colour", "texture"),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if image_size not in IMAGE_SIZES:
            raise UserError(f"data.image_size is {image_size}; shapes are rendered at 16, 32, 64 or 128 pixels")
        if num_images < 1:
            raise UserError(f"data.num_images is {num_images}; it must be at least 1")
        self.image_size, self.num_images = image_size, num_images
        self.tasks = tuple(tasks)
        self._drawn = tuple(name for name in self.tasks if name not in MEASURES)

    def dataset(self, split: str) -> ShapeImages:
        """``train`` follows the seed; ``reference`` and ``held_out`` are the same for every run."""
        seed = seed_of("shapes", split, self.seed if split == "train" else "")
        num_images = self.num_images if split == "train" else 50_000
        return ShapeImages(draw_factors(num_images, seed), self.image_size, self._drawn)

    @property
    def spec(self) -> DataSpec:
        """Three channels, and the tasks that were asked for.

        Classes are uniform and independent. Large shapes are nearer to the middle, the angle is told
        of the outline, and the mask and what is measured show all of that: where one of them is asked for, the spec
        has joint targets.
        """
        prior = self._prior()
        targets = prior.targets() | self._measured(prior)
        joint = None if set(self.tasks) <= set(_LABELS) else targets
        return DataSpec(self.image_size, 3, tuple(self._task(name, targets) for name in self.tasks), joint)

    def _task(self, name: str, targets: dict[str, Tensor]) -> TaskSpec:
        spoiled_by = _SPOILED_BY.get(name, frozenset())
        if name in _LABELS:
            labels = _LABELS[name]
            return TaskSpec(name, TaskKind.CLASSIFICATION, len(labels), labels, spoiled_by=spoiled_by)
        if name == "mask":
            resolution = min(self.image_size, MASK_RESOLUTION)
            return TaskSpec(name, TaskKind.DENSE, 1, ("shape",), resolution=resolution, spoiled_by=spoiled_by)
        prior = quantiles(targets[name])
        if name in MEASURES:
            return TaskSpec(name, TaskKind.CONSTRAINT, 3, ("red", "green", "blue"), prior, MEASURES[name])
        labels = _NUMBERS[name]
        return TaskSpec(name, TaskKind.REGRESSION, len(labels), labels, prior, spoiled_by=spoiled_by)

    def _prior(self) -> ShapeImages:
        """Images to read priors from: the same for every seed, so that specs never differ by seed."""
        num_images = NUM_PRIOR_MASKS if {"mask", *MEASURES} & set(self.tasks) else NUM_PRIOR
        return ShapeImages(draw_factors(num_images, seed_of("shapes", "prior")), self.image_size, self._drawn)

    def _measured(self, prior: ShapeImages) -> dict[str, Tensor]:
        measures = {name: MEASURES[name] for name in self.tasks if name in MEASURES}
        if not measures:
            return {}
        parts = torch.arange(len(prior)).split(CHUNK)
        image = torch.cat([prior[indices]["image"] for indices in parts]).float() / 127.5 - 1
        return {name: measure(image) for name, measure in measures.items()}
