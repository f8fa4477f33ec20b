"""A Game that gives damaged images back as they are, and images in memory, for tests of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_mtgan.corruptions import Corruption, Damaged
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.games import ImageGame, Phase
from lightning_mtgan.types import DataSpec, TaskSpec


class Images(IndexedImages):
    """Images (N, C, H, W), of any tasks."""

    def __init__(self, image: Tensor, **targets: Tensor) -> None:
        self.image, self.truths = image, targets

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"image": self.image[indices], "targets": {name: one[indices] for name, one in self.truths.items()}}


class Restorer(ImageGame):
    """Restores nothing."""

    def __init__(self, corruptions: Sequence[Corruption], tasks: tuple[TaskSpec, ...] = ()) -> None:
        super().__init__(DataSpec(12, 3, tasks))
        self.players["generator"] = nn.Linear(1, 1)
        self.corruptions = {one.name: one for one in corruptions}

    def phases(self) -> Sequence[Phase]:
        return []

    def sampling_modules(self) -> Sequence[nn.Module]:
        return []

    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        return torch.as_tensor(damaged.image)
