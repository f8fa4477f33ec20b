"""Whoever else looks at images before and after they are restored, and at what they were."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

CHUNK = 50
"""Images looked at at a time: some look at them in 64 bits."""


class Onlooker(ABC):
    """Looks at clean, damaged and restored images, each for itself, and compares what it saw of all of them."""

    @abstractmethod
    def look(self, image: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What it sees of each image, by name, each float64 (N,); whatever the images, the same names.

        Args:
            image: uint8 (N, C, H, W), clean, damaged or restored.
            targets: What is true of the clean ones, by task, on any device.
        """

    @abstractmethod
    def figures(
        self, clean: Mapping[str, Tensor], damaged: Mapping[str, Tensor], restored: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Figures by name, from what it saw.

        Args:
            clean: Of each clean image, by name, each (N,).
            damaged: Of each damaged one; of several corruptions, one after the other.
            restored: Of each restored one, in the same order.
        """


def looked_at(
    onlookers: Sequence[Onlooker], what: str, image: Tensor, targets: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """What each onlooker sees of images, as groups of rows for ``in_batches``; no corruption has such a name.

    Args:
        onlookers: Who looks.
        what: What the images are.
        image: uint8 (N, C, H, W).
        targets: See ``Onlooker.look``.
    """
    rows = {}
    for index, onlooker in enumerate(onlookers):
        parts = [slice(first, first + CHUNK) for first in range(0, len(image), CHUNK)]
        seen = [onlooker.look(image[part], {name: one[part] for name, one in targets.items()}) for part in parts]
        rows[f"{index}/{what}"] = {name: torch.cat([part[name] for part in seen]) for name in seen[0]}
    return rows


def told_by(
    onlookers: Sequence[Onlooker], rows: Mapping[str, Mapping[str, Tensor]], corruptions: Iterable[str]
) -> dict[str, float]:
    """All onlookers' figures, over the images of all corruptions together.

    Args:
        onlookers: Who looked.
        rows: What ``looked_at`` found of the images that are ``clean``, ``damaged/<corruption>`` and
            ``restored/<corruption>``.
        corruptions: Their names.
    """
    names, figures = list(corruptions), dict[str, float]()
    for index, onlooker in enumerate(onlookers):
        clean = rows[f"{index}/clean"]
        damaged, restored = (
            {one: torch.cat([rows[f"{index}/{what}/{name}"][one] for name in names]) for one in clean}
            for what in ("damaged", "restored")
        )
        figures |= onlooker.figures(clean, damaged, restored)
    return figures
