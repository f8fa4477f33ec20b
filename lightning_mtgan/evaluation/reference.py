"""Real images, judged once and kept: in the process, and on the disk for all processes."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.conditions import condition_numbers
from lightning_mtgan.evaluation.frechet import Gaussian
from lightning_mtgan.evaluation.judging import BATCH, Judged, Jury, judge, never, stored
from lightning_mtgan.evaluation.neighbours import nearest, radius
from lightning_mtgan.evaluation.spread import spread_within
from lightning_mtgan.types import TaskSpec

FORMAT = 1
"""What a cached file holds; raised whenever that changes."""


class Reference:
    """Judged real images, with everything that follows from them alone.

    Args:
        judged: The images.
    """

    def __init__(self, judged: Judged) -> None:
        self.judged = judged
        self._kept: dict[Any, Any] = {}

    @property
    def features(self) -> Tensor:
        """(N, D), float32."""
        return self.judged.features

    @cached_property
    def gaussian(self) -> Gaussian:
        """Mean and covariance of all features."""
        return Gaussian.of(self.features)

    def radius(self, num_images: int, k: int) -> Tensor:
        """Distance of each of the first images to its k-th other: (num_images,)."""
        return self._keep(("radius", num_images, k), lambda: radius(self.features[:num_images], k))

    def distance_to(self, key: str, other: Tensor) -> Tensor:
        """Distance of each image to the nearest of others that always are the same for a key: (N,)."""
        return self._keep(("distance", key, len(other)), lambda: nearest(self.features, other))

    def spread(self, tasks: Sequence[TaskSpec]) -> float | None:
        """Root mean square distance of two images that show the same classes; None if there are no such pairs."""
        return self._keep(
            ("spread", len(tasks)), lambda: spread_within(self.features, condition_numbers(self.judged.wanted, tasks))
        )

    def members(self, task: str, label: int) -> Tensor:
        """Indices of the images of one class, int64."""
        return self._keep(("members", task, label), lambda: (self.judged.wanted[task] == label).nonzero()[:, 0])

    def gaussian_of(self, task: str, label: int) -> Gaussian:
        """Mean and covariance of the features of one class."""
        return self._keep(("gaussian", task, label), lambda: Gaussian.of(self.features[self.members(task, label)]))

    def _keep(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


class References:
    """The splits of a data set, each judged at most once in a process and, with a folder, on a machine.

    Args:
        jury: Who judges.
        folder: Where judged images are kept between processes; None for nowhere.
    """

    def __init__(self, jury: Jury, folder: Path | None) -> None:
        self.jury, self.folder = jury, folder
        self._kept: dict[tuple[str, int], Reference | None] = {}

    def get(
        self,
        split: str,
        images: Any,
        num_images: int,
        tasks: Sequence[TaskSpec],
        device: torch.device,
        leave: Callable[[], bool] = never,
    ) -> Reference | None:
        """The first images of a split, judged; all ranks must ask.

        Args:
            split: Its name.
            images: A data set with ``checksum``.
            num_images: How many, as far as there are so many.
            tasks: The tasks of the data.
            device: Where to judge.
            leave: See ``judge``.

        Returns:
            On the first rank; None on the others.

        Raises:
            Abandoned: On all ranks, if one was to leave.
        """
        num_images = min(num_images, len(images))
        if (split, num_images) not in self._kept:
            judged, path, key = None, None, {}
            if distributed.rank() == 0 and self.folder is not None:
                key = self._key(split, images.checksum(num_images), num_images, tasks, device)
                name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
                path = self.folder / f"{split}-{self.jury.extractor.get_name()}-{name}.pt"
                judged = _read(path, key)
            if not distributed.broadcast_object(judged is not None):
                judged = judge(stored(images), num_images, self.jury, tasks, device, leave)
                if judged is not None and path is not None:
                    _write(path, key, judged)
            self._kept[split, num_images] = Reference(judged) if judged is not None else None
        return self._kept[split, num_images]

    def _key(
        self, split: str, checksum: str, num_images: int, tasks: Sequence[TaskSpec], device: torch.device
    ) -> dict[str, Any]:
        """Everything that the judgement depends on."""
        extractor, evaluator = self.jury.extractor, self.jury.evaluator
        return {
            "format": FORMAT,
            "data": checksum,
            "split": split,
            "num_images": num_images,
            "batch": BATCH,
            "tasks": [{k: v for k, v in task.to_dict().items() if k != "prior"} for task in tasks],
            "extractor": [type(extractor).__qualname__, extractor.get_name(), extractor.checksum],
            "resize": extractor.resize,
            "evaluator": [evaluator.get_name(), evaluator.checksum] if evaluator is not None else None,
            "image_type": "uint8",
            "feature_type": "float32",
            "device": device.type,
        }


def _read(path: Path, key: dict[str, Any]) -> Judged | None:
    """What a file holds; None if it is missing, damaged or of something else."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load takes a flipped bit for a number
            if archive.testzip() is not None:
                return None
        content = torch.load(path, weights_only=True)
    except Exception:  # whatever is wrong with it, judging anew puts it right
        return None
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    return Judged(content["features"], content["predictions"], content["wanted"])


def _write(path: Path, key: dict[str, Any], judged: Judged) -> None:
    """Write a file whole or not at all, under a name of this process alone until it is whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
        try:
            torch.save({"key": key, **vars(judged)}, partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        print(f"features cannot be kept in {path.parent} ({error}); this run goes on, the next one judges anew")
