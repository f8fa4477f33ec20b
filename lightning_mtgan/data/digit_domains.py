"""DigitDomain: the handwritten digits as they are, as negatives, as outlines, or blended into photographs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from lightning_mtgan.data.changes import SPOIL_SIGNS
from lightning_mtgan.data.handwriting import SOURCE, digits
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.photos import PhotoPatches
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec, TaskKind, TaskSpec

SIZES = (8, 16, 32)


class Domain(ABC):
    """One way in which digits look. Subclasses are frozen dataclasses."""

    num_channels: ClassVar[int] = 1
    """1 for grey, 3 for colour."""
    words: ClassVar[str]
    """What is done to the digits, for people."""

    @abstractmethod
    def show(self, digit: Tensor, scenery: Callable[[], Tensor]) -> Tensor:
        """Digits as they look in this domain, uint8 (N, num_channels, H, W).

        Args:
            digit: White on black, uint8 (N, 1, H, W).
            scenery: Gives a photograph's patch for each of the images, uint8 (N, 3, H, W).
        """


@dataclass(frozen=True)
class Plain(Domain):
    """White on black, as they are."""

    words = "white on black"

    def show(self, digit: Tensor, scenery: Callable[[], Tensor]) -> Tensor:
        """The digits themselves."""
        return digit


@dataclass(frozen=True)
class Negative(Domain):
    """Black on white."""

    words = "black on white"

    def show(self, digit: Tensor, scenery: Callable[[], Tensor]) -> Tensor:
        """255 minus each pixel."""
        return 255 - digit


@dataclass(frozen=True)
class Edges(Domain):
    """Outlines: how steep the brightness is."""

    words = "as outlines"

    def show(self, digit: Tensor, scenery: Callable[[], Tensor]) -> Tensor:
        """The length of each pixel's gradient by central differences; the greatest of each image becomes 255."""
        framed = pad(digit.float(), (1, 1, 1, 1))
        across = framed[:, :, 1:-1, 2:] - framed[:, :, 1:-1, :-2]
        down = framed[:, :, 2:, 1:-1] - framed[:, :, :-2, 1:-1]
        steepness = (across.square() + down.square()).sqrt()
        return (255 * steepness / steepness.amax((2, 3), keepdim=True).clamp(min=1)).round().to(torch.uint8)


@dataclass(frozen=True)
class Blended(Domain):
    """In colour, before a patch of a photograph: the idea of MNIST-M (Ganin et al. 2016, arXiv:1505.07818)."""

    num_channels = 3
    words = "blended into patches of photographs"

    def show(self, digit: Tensor, scenery: Callable[[], Tensor]) -> Tensor:
        """The absolute difference of patch and digit, in each channel."""
        return (scenery().short() - digit.short()).abs().to(torch.uint8)


class DomainImages(IndexedImages):
    """The digits of one split in a domain; the digit at an index is the same in every domain.

    Args:
        held_out: The held-out digits before held-out photographs, not the training digits before the others.
        domain: How they look.
        image_size: Height and width in pixels.
        seed: Seed of the photographs' patches.
        num_images: How many of the digits; None for all.
    """

    def __init__(
        self, held_out: bool, domain: Domain, image_size: int, seed: int, num_images: int | None = None
    ) -> None:
        images, self.labels = (every[:num_images] for every in digits(held_out))
        self.held_out, self.domain, self.image_size, self.seed = held_out, domain, image_size, seed
        large = interpolate(images[:, None].float(), (image_size, image_size), mode="bilinear")
        self.images = large.round().to(torch.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        image = self.domain.show(self.images[indices], lambda: self._scenery[indices]["image"])
        return {"image": image, "targets": {"digit": self.labels[indices]}}

    def targets(self) -> dict[str, Tensor]:
        """The digits, which need no image."""
        return {"digit": self.labels}

    @cached_property
    def _scenery(self) -> PhotoPatches:
        """A patch for each digit, only where the domain asks for it."""
        return PhotoPatches(self.held_out, self.image_size, len(self), self.seed, ())


class DigitDomain(ImageDataModule):
    """Handwritten digits in one of several domains, one task ``digit`` with ten classes.

    Image i shows the same digit in every domain, so that two domains may be used as pairs, or not.

    Args:
        domain: How the digits look: ``Plain``, ``Negative``, ``Edges``, or ``Blended``, in colour.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order, and of the photographs behind blended digits.
        image_size: Height and width in pixels: 8, as they are, 16 or 32, by bilinear interpolation.
        num_images: Training digits, the first of the file; null for all 1,437.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; None: each one once in an epoch.
    """

    def __init__(
        self,
        domain: Domain = Plain(),
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 16,
        num_images: int | None = None,
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if image_size not in SIZES:
            raise UserError(f"data.image_size is {image_size}; use {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}")
        if num_images is not None and num_images < 1:
            raise UserError(f"data.num_images is {num_images}; it must be at least 1, or null for all digits")
        self.domain, self.image_size, self.num_images = domain, image_size, num_images
        self.splits = {
            "train": f"the first {len(self.dataset('train')):,} of {SOURCE}, {domain.words}",
            "reference": f"the first 1,437 of {SOURCE}, {domain.words}",
            "held_out": f"the last 360 of {SOURCE}, other writers, {domain.words}",
        }

    def dataset(self, split: str) -> DomainImages:
        """The digits of a split; the patches behind them follow the seed in ``train`` alone."""
        seed = seed_of("digit domains", split, self.seed if split == "train" else "")
        num_images = self.num_images if split == "train" else None
        return DomainImages(split == "held_out", self.domain, self.image_size, seed, num_images)

    @property
    def spec(self) -> DataSpec:
        """One channel or three, ten classes."""
        tasks = (TaskSpec("digit", TaskKind.CLASSIFICATION, 10, spoiled_by=SPOIL_SIGNS),)
        return DataSpec(self.image_size, self.domain.num_channels, tasks)
