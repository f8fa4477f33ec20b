"""Images of a store, with their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.types import is_known


class StoredImages(IndexedImages):
    """Some rows of a store, in an order of their own.

    Args:
        image: uint8 (M, C, H, W): a mapped file, or a tensor in memory.
        rows: Which rows, int64 (N,).
        labels: Targets of these images, by task, (N, ...).
        maps: Dense targets by task, uint8 (M, c, R, R), as ``image``.
        has_map: Which images have them, bool (N,).
        files: The name of each image's file; empty where nobody asks.
    """

    def __init__(
        self,
        image: np.ndarray | Tensor,
        rows: Tensor,
        labels: dict[str, Tensor],
        maps: Mapping[str, np.ndarray | Tensor],
        has_map: dict[str, Tensor],
        files: tuple[str, ...] = (),
    ) -> None:
        self.files = files
        self.image, self.rows, self.labels, self.maps, self.has_map = image, rows, labels, maps, has_map

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"image": _take(self.image, self.rows[indices]), "targets": self.targets_of(indices)}

    def targets(self) -> dict[str, Tensor]:
        """The targets of all images, in order, by task; reads maps alone, no images."""
        return self.targets_of(torch.arange(len(self)))

    def targets_of(self, indices: Tensor) -> dict[str, Tensor]:
        """The targets of some images, by task, for indices int64 (N,)."""
        found = {name: target[indices] for name, target in self.labels.items()}
        for name, maps in self.maps.items():
            has_map = self.has_map[name][indices].view(-1, 1, 1, 1)
            found[name] = _take(maps, self.rows[indices]).to(torch.int16).where(has_map, -1)
        return found

    def has_target(self) -> dict[str, Tensor]:
        """Which images have their target; reads no maps."""
        return {name: is_known(target) for name, target in self.labels.items()} | self.has_map

    def pair_keys(self) -> tuple[str, ...] | None:
        """The files without their endings."""
        return tuple(name.rpartition(".")[0] for name in self.files) or None

    def resident(self, device: torch.device, most_bytes: int) -> StoredImages | None:
        """The same images, kept on a device; None if they are more than so many bytes."""
        if sum(len(self.rows) * one[0].nbytes for one in (self.image, *self.maps.values())) > most_bytes:
            return None
        pixels = _take(self.image, self.rows).to(device)
        maps: dict[str, Any] = {name: _take(one, self.rows).to(device) for name, one in self.maps.items()}
        rows = torch.arange(len(self.rows), device=device)
        labels = {name: target.to(device) for name, target in self.labels.items()}
        return StoredImages(pixels, rows, labels, maps, {name: one.to(device) for name, one in self.has_map.items()})


def _take(array: np.ndarray | Tensor, rows: Tensor) -> Tensor:
    return array[rows] if isinstance(array, Tensor) else torch.from_numpy(array[rows.numpy()])
