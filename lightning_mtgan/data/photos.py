"""Photos: square patches of real photographs, in colour, at several scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.photographs import SOURCE, TRAINING, photographs
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import MeanColour, TextureEnergy, quantiles
from lightning_mtgan.types import DataSpec, TaskKind, TaskSpec

SCALES = (1.0, 2**0.5, 2.0, 2**1.5, 4.0)
"""Pixels of a photograph along one pixel of a patch: half octaves."""
SIZES = (16, 32, 64, 128)
NUM_PRIOR = 8_192
"""Patches behind priors and joint conditions."""
UNKNOWN = -1
"""The class of a patch whose photograph is none of the training photographs."""
PhotosTask = Literal["photograph", "colour", "texture"]


def overlaps(length: int, scale: float) -> Tensor:
    """How much of each pixel falls to each longer pixel, (length // scale, length); rows sum to 1."""
    edges = torch.arange(int(length / scale) + 1, dtype=torch.float64) * scale
    pixels = torch.arange(length, dtype=torch.float64)
    shared = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return shared.clamp(min=0) / scale


def shrunk(pixels: Tensor, scale: float) -> Tensor:
    """An image uint8 (C, H, W) brought to 1 / scale of its size by exact area averaging."""
    image = pixels.float()
    if scale == int(scale):
        image = avg_pool2d(image, int(scale))
    else:
        down, across = (overlaps(length, scale).float() for length in image.shape[1:])
        image = down @ image @ across.T
    return image.round().to(torch.uint8)


class Pyramids(NamedTuple):
    """Some photographs at all scales, their rows one after the other.

    Args:
        pixels: uint8 (P, 3).
        first: Where each photograph at each scale begins, int64 (photographs, scales).
        size: Its height and width in pixels, int64 (photographs, scales, 2).
    """

    pixels: Tensor
    first: Tensor
    size: Tensor


@cache
def pyramids(held_out: bool) -> Pyramids:
    """The held-out photographs, or the others."""
    levels = [[shrunk(one.pixels, scale) for scale in SCALES] for one in photographs(held_out)]
    size = torch.tensor([[level.shape[1:] for level in photograph] for photograph in levels])
    end = size.prod(2).flatten().cumsum(0)
    first = torch.cat([end.new_zeros(1), end[:-1]]).view(size.shape[:2])
    pixels = torch.cat([level.flatten(1).T for photograph in levels for level in photograph])
    return Pyramids(pixels.contiguous(), first, size)


class PhotoPatches(IndexedImages):
    """Square patches of photographs, cut out when they are fetched.

    Each photograph is as frequent as any other, and so is each scale at which it is large enough;
    then each place, and each mirrored or not.

    Args:
        held_out: Patches of the held-out photographs, not of the training photographs.
        image_size: Height and width in pixels.
        num_images: How many patches.
        seed: Seed of the choice.
        tasks: The targets to give, of those that are not measured on the image.
        columns: The part of each photograph that patches are taken from, as shares of its width from the left.

    Raises:
        UserError: If a photograph has no patch there.
    """

    def __init__(
        self,
        held_out: bool,
        image_size: int,
        num_images: int,
        seed: int,
        tasks: Sequence[str] = ("photograph",),
        columns: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.held_out, self.image_size, self.tasks = held_out, image_size, tuple(tasks)
        self.pyramids = pyramids(held_out)
        generator = torch.Generator().manual_seed(seed)
        share = torch.rand(num_images, 5, generator=generator, dtype=torch.float64)  # a row is a function of its index
        first, last = ((self.pyramids.size[..., 1] * column).round().long() for column in columns)
        size = torch.stack([self.pyramids.size[..., 0], last - first], dim=2)
        fitting = (size.amin(2) >= image_size).sum(1)  # scales of each photograph, the finest first
        if not bool(fitting.all()):
            raise UserError(
                f"data.held_out_regions leaves no patch of {image_size} pixels in a photograph; use 0, a share "
                "nearer to 0.5, or a smaller data.image_size"
            )
        self.photograph = (share[:, 0] * len(size)).long()
        self.scale = (share[:, 1] * fitting[self.photograph]).long()
        room = size[self.photograph, self.scale] - image_size + 1
        self.place = (share[:, 2:4] * room).long()
        """Row and column of the upper left pixel, in pixels of the photograph at that scale, (N, 2)."""
        self.place[:, 1] += first[self.photograph, self.scale]
        self.mirrored = share[:, 4] < 0.5
        self.start = self.pyramids.first[self.photograph, self.scale]
        self.stride = self.pyramids.size[self.photograph, self.scale, 1]

    def __len__(self) -> int:
        return len(self.photograph)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        side = self.image_size
        top, left = self.place[indices].unbind(1)
        rows = top[:, None] + torch.arange(side)
        start = self.start[indices, None] + rows * self.stride[indices, None] + left[:, None]
        lines = self.pyramids.pixels.view(-1).unfold(0, 3 * side, 3)  # all lines of that length: a view, not a copy
        image = lines[start.flatten()].view(len(indices), side, side, 3).permute(0, 3, 1, 2).contiguous()
        image = torch.where(self.mirrored[indices, None, None, None], image.flip(3), image)
        return {"image": image, "targets": {name: label[indices] for name, label in self.targets().items()}}

    def targets(self) -> dict[str, Tensor]:
        """The photograph of each patch, which takes no cutting out; the constraints are measured on the images."""
        if "photograph" not in self.tasks:
            return {}
        return {"photograph": torch.full_like(self.photograph, UNKNOWN) if self.held_out else self.photograph}


class Photos(ImageDataModule):
    """Patches of photographs, three channels: the smallest natural images that need no download.

    A patch shows 1 to 4 pixels of a photograph along each of its own, averaged over their area.

    Args:
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the patches and of their order.
        image_size: Height and width in pixels: 16, 32, 64 or 128.
        num_images: Training patches, drawn once.
        tasks: What to learn. Classes: ``photograph``, which of the seven; patches of the held-out
            photographs have none. Constraints: ``colour``, mean of each channel; ``texture``, energy
            of each channel's gradients.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; None: each one once in an epoch.
        held_out_regions: Share of each training photograph, its right end, that is never trained on, nor compared
            with: its patches are the split ``regions``.

    Raises:
        UserError: If a number is out of range.
    """

    splits: Mapping[str, str] = {
        "train": f"patches of seven {SOURCE}",
        "reference": f"other patches of the same seven {SOURCE}",
        "held_out": f"patches of two other {SOURCE}",
    }

    def __init__(
        self,
        batch_size: int = 64,
        seed: int = 0,
        image_size: int = 32,
        num_images: int = 128_000,
        tasks: Sequence[PhotosTask] = ("colour", "texture"),
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
        held_out_regions: float = 0.0,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if not 0 <= held_out_regions < 1:
            raise UserError(f"data.held_out_regions is {held_out_regions}; use 0 for none, or a share below 1")
        if image_size not in SIZES:
            raise UserError(f"data.image_size is {image_size}; use {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]}")
        if num_images < 1:
            raise UserError(f"data.num_images is {num_images}; it must be at least 1")
        self.image_size, self.num_images = image_size, num_images
        self.tasks, self.held_out_regions = tuple(tasks), held_out_regions
        if held_out_regions:
            part = f"patches of the right {held_out_regions:.0%} of seven {SOURCE}, the rest of which was trained on"
            left = f"the left {1 - held_out_regions:.0%} of"
            words = {name: text.replace("patches of", f"patches of {left}") for name, text in type(self).splits.items()}
            self.splits = {**type(self).splits, **{n: words[n] for n in ("train", "reference")}, "regions": part}

    def dataset(self, split: str) -> PhotoPatches:
        """``train`` follows the seed; the other splits are the same for every run."""
        seed = seed_of("photos", split, self.seed if split == "train" else "")
        num_images = self.num_images if split == "train" else 50_000
        edge = 1 - self.held_out_regions
        columns = {"held_out": (0.0, 1.0), "regions": (edge, 1.0)}.get(split, (0.0, edge))
        return PhotoPatches(split == "held_out", self.image_size, num_images, seed, self.tasks, columns)

    @property
    def spec(self) -> DataSpec:
        """Three channels, and the tasks that were asked for, which all follow from the same image."""
        tasks = tuple(self._task(name) for name in self.tasks)
        return DataSpec(self.image_size, 3, tasks, None if set(self.tasks) <= {"photograph"} else self._joint())

    def _joint(self) -> dict[str, Tensor]:
        """The targets of the same patches."""
        found = typical(self.image_size)
        return {name: found[name] for name in self.tasks}

    def _task(self, name: str) -> TaskSpec:
        if name == "photograph":
            return TaskSpec(name, TaskKind.CLASSIFICATION, len(TRAINING), TRAINING)
        prior = quantiles(typical(self.image_size)[name])
        return TaskSpec(name, TaskKind.CONSTRAINT, 3, ("red", "green", "blue"), prior, MEASURES[name])


MEASURES = {"colour": MeanColour(), "texture": TextureEnergy()}


@cache
def typical(image_size: int) -> dict[str, Tensor]:
    """The targets of patches to read priors from: the same for every seed, so that specs never differ by seed."""
    patches = PhotoPatches(False, image_size, NUM_PRIOR, seed_of("photos", "prior"))
    found: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
    for indices in torch.arange(NUM_PRIOR).split(64):  # more than fit a cache take twice as long
        image = patches[indices]["image"].float() / 127.5 - 1
        for name, measure in MEASURES.items():
            found[name].append(measure(image))
    return patches.targets() | {name: torch.cat(parts) for name, parts in found.items()}
