"""FewLabels: other data, of which only a share of the training images keep their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lightning_mtgan.data.images import CHUNK, IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.streams import Streamed
from lightning_mtgan.data.summary import Summary, summarise
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec, hidden


class FewLabels(ImageDataModule):
    """Other data, of which only a share of the training images keep their labels, all tasks of an image together.

    Which ones follows from the seed; those of a smaller share are among those of a larger one. Constraints are
    measured on the images and are no labels. Other splits keep theirs.

    Args:
        data: The data; its own batch size, seed, workers and micro-batches do not count.
        share: Share of the training images that keep what labels they have, in (0, 1]; one image at least.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the data, of their order, and of which images keep their labels.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: as the data itself has it.

    Raises:
        UserError: If a number is out of range, or the data is Streamed.
    """

    def __init__(
        self,
        data: ImageDataModule,
        share: float = 0.1,
        batch_size: int = 64,
        seed: int = 0,
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        if isinstance(data, Streamed):
            raise UserError("data.data is Streamed, whose order is its own; use data with an index")
        if not 0 < share <= 1:
            raise UserError(f"data.share is {share}; give a share above 0, or 1 for all labels")
        self.data, self.share = data, share
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling or data.sampling)
        self.resident_bytes = data.resident_bytes

    @property
    def seed(self) -> int:  # type: ignore[override]
        """That of the data, too, whoever sets it."""
        return self.data.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self.data.seed = seed

    @property
    def splits(self) -> Mapping[str, str]:  # type: ignore[override]
        """Those of the data; ``train`` says how many images keep their labels."""
        words = self.data.splits
        if self.share == 1:
            return words
        return {**words, "train": f"{words['train']}, and {100 * self.share:.3g} % of all keep their labels"}

    def dataset(self, split: str) -> IndexedImages:
        """The images of a split; some of ``train`` have labels."""
        images = self.data.dataset(split)
        if split != "train" or self.share == 1:
            return images
        return FewLabelled(images, _keeps(len(images), self.share, self.seed))

    @cached_property
    def spec(self) -> DataSpec:  # type: ignore[override]
        """That of the data, the same for every seed; conditions lack their labels as often as images do."""
        spec = self.data.spec
        if self.share == 1 or all(task.measure for task in spec.tasks):
            return spec
        tasks = tuple(task if task.measure else replace(task, is_complete=False) for task in spec.tasks)
        return replace(spec, tasks=tasks, known_share=min(self.share, spec.known_share))

    def prepare_data(self) -> None:
        """The data shows what it is."""
        self.data.prepare_data()

    def state_dict(self) -> dict[str, Any]:
        """What the data keeps, for checkpoints."""
        return {"data": self.data.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the data refuse what it cannot go on with."""
        self.data.load_state_dict(state_dict.get("data", {}))

    def summary(self) -> Summary:
        """That of the data, its tasks told by the labels that are kept."""
        whole = self.data.summary()
        if whole.problems or not isinstance(images := self.dataset("train"), FewLabelled):
            return whole
        labelled = images.keeps.nonzero()[:, 0]
        parts = [images.images[some]["targets"] for some in labelled.split(CHUNK)]
        targets = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        tasks, warnings = summarise(self.spec.tasks, targets, images.has_target())
        facts = {**whole.facts, "labels": f"{len(labelled):,} of {len(images):,} training images keep theirs"}
        return Summary(facts, tasks, notes=list(dict.fromkeys([*warnings, *whole.notes])))


class FewLabelled(IndexedImages):
    """Images of which only some keep their labels.

    Args:
        images: The images.
        keeps: Which of them keep their labels, bool (N,).
    """

    def __init__(self, images: IndexedImages, keeps: Tensor) -> None:
        self.images, self.keeps = images, keeps

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        batch = self.images[indices]
        return {**batch, "targets": _masked(batch["targets"], self.keeps[indices])}

    def targets(self) -> dict[str, Tensor]:
        """The targets of all images, in order, by task; unknown but for some."""
        return _masked(self.images.targets(), self.keeps)

    def has_target(self) -> dict[str, Tensor]:
        """Which images have their target, by task: those that had it and keep their labels."""
        return {name: known & self.keeps for name, known in self.images.has_target().items()}

    def pair_keys(self) -> tuple[str, ...] | None:
        """Those of the images."""
        return self.images.pair_keys()

    def resident(self, device: torch.device, most_bytes: int) -> FewLabelled | None:
        """The same images, kept on a device, if the images can be."""
        images = self.images.resident(device, most_bytes)
        return FewLabelled(images, self.keeps.to(device)) if images is not None else None


def _masked(targets: Mapping[str, Tensor], keeps: Tensor) -> dict[str, Tensor]:
    """Targets (N, ...) by task, unknown where not kept, bool (N,)."""
    return {name: hidden(target, keeps) for name, target in targets.items()}


def _keeps(num_images: int, share: float, seed: int) -> Tensor:
    """Which images keep their labels, bool (num_images,): those with the smallest numbers, one drawn for each."""
    generator = torch.Generator().manual_seed(seed_of(seed, "labels"))
    numbers = torch.rand(num_images, generator=generator, dtype=torch.float64)
    keeps = torch.zeros(num_images, dtype=torch.bool)
    keeps[numbers.argsort(stable=True)[: max(1, round(share * num_images))]] = True
    return keeps
