"""Images that are fetched by their index, a whole batch at a time."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightning_mtgan.types import is_known

CHUNK = 500
"""Images that are fetched at a time where all are looked at."""


class IndexedImages(Dataset[dict[str, Any]], ABC):
    """Images as uint8, wherever they are: in memory, in a mapped file, or made when they are asked for."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        """A batch: ``image`` uint8 (N, C, H, W) and ``targets`` by task, for indices int64 (N,)."""

    def targets(self) -> dict[str, Tensor]:
        """The targets of all images, in order, by task."""
        parts = [self[indices]["targets"] for indices in torch.arange(len(self)).split(CHUNK)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def has_target(self) -> dict[str, Tensor]:
        """Which images have their target, bool (N,), by task."""
        return {name: is_known(target) for name, target in self.targets().items()}

    def pair_keys(self) -> tuple[str, ...] | None:
        """What an image and its partner in another domain have in common, and no other image; None if nothing."""
        return None

    def resident(self, device: torch.device, most_bytes: int) -> IndexedImages | None:
        """The same images, kept on a device; None if they are more than so many bytes, or cannot be kept."""
        return None

    def checksum(self, num_images: int) -> str:
        """Of the first images and their targets, so that what is computed from them can be kept."""
        digest = hashlib.sha256()
        for indices in torch.arange(num_images).split(CHUNK):
            batch = self[indices]
            for name, tensor in sorted({"": batch["image"], **batch["targets"]}.items()):
                digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]
