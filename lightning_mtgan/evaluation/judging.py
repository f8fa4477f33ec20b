"""One pass of generation and feature extraction over all ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.draws import seed_of
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.extractor import Extractor
from lightning_mtgan.games import Game
from lightning_mtgan.types import TaskSpec

BATCH = 500
"""Images generated at a time; part of the protocol, because it decides which draws belong together."""


@dataclass(frozen=True)
class Jury:
    """Who looks at the images.

    Args:
        extractor: Its features are behind every figure but the tasks'.
        evaluator: Judges the tasks; None if nobody can.
    """

    extractor: Extractor
    evaluator: Evaluator | None

    @classmethod
    def of(cls, evaluator: Evaluator | None, extractor: Extractor | None) -> Jury | None:
        """An evaluator brings its own features, unless another extractor is asked for; None without either."""
        chosen = extractor or evaluator
        return cls(chosen, evaluator) if chosen is not None else None

    def to(self, device: torch.device) -> Jury:
        """Move the networks, in place."""
        for network in (self.extractor, self.evaluator):
            if network is not None:
                network.to(device)
        return self

    def __call__(self, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Features (N, D) of images uint8 (N, C, H, W), and what they show, by task."""
        features = self.extractor.features(image)
        if self.evaluator is None:
            return features, {}
        own = features if self.evaluator is self.extractor else self.evaluator.features(image)
        return features, self.evaluator.predictions(image, own)


@dataclass
class Judged:
    """What the jury made of a set of images; rows of all ranks, on the CPU of the first.

    Args:
        features: (N, D), float32.
        predictions: What each image shows, by task.
        wanted: What each image was asked to show, or what it is, by task.
    """

    features: Tensor
    predictions: dict[str, Tensor]
    wanted: dict[str, Tensor]


Source = Callable[[int, int], tuple[Tensor, dict[str, Tensor]]]
"""From the number of a batch and its size to images uint8 (N, C, H, W) and their targets."""

Work = Callable[[Tensor, dict[str, Tensor]], dict[str, dict[str, Tensor]]]
"""From images and targets to rows of tensors, by group and name."""


class Abandoned(Exception):
    """A measurement that some rank was asked to leave; all ranks leave it together."""


def never() -> bool:
    """Nothing better to do."""
    return False


def in_batches(
    source: Source, num_images: int, work: Work, device: torch.device, leave: Callable[[], bool] = never
) -> dict[str, dict[str, Tensor]] | None:
    """Work through images in batches: each rank takes every R-th batch, the first gets the rows of all, in order.

    Args:
        source: Images and their targets, by batch.
        num_images: How many.
        work: What to do with a batch.
        device: Where.
        leave: Whether this rank has something better to do; asked before each batch.

    Returns:
        The rows on the first rank, None on the others.

    Raises:
        Abandoned: On all ranks, if one was to leave.
    """
    mine: list[tuple[int, dict[str, dict[str, Tensor]]]] = []
    starts, has_left = range(0, num_images, BATCH), False
    numbers = range(distributed.rank(), len(starts), distributed.world_size())
    with torch.no_grad(), _full_float32(), distributed.alone():  # a layer that gathers would wait for the others
        for number in numbers:
            if leave():
                has_left = True
                break
            image, targets = source(number, min(BATCH, num_images - starts[number]))
            rows = work(image.to(device), targets)
            mine.append((number, {g: {n: t.cpu() for n, t in group.items()} for g, group in rows.items()}))
    if any(distributed.gather_objects(has_left)):
        raise Abandoned
    ranks = distributed.gather_to_first(mine)
    if ranks is None:
        return None
    every = [rows for _, rows in sorted((batch for rank in ranks for batch in rank), key=lambda batch: batch[0])]
    return {g: {n: torch.cat([rows[g][n] for rows in every]) for n in every[0][g]} for g in every[0]}


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32 inside: features must not depend on the generation of the GPU."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


def judge(
    source: Source,
    num_images: int,
    jury: Jury,
    tasks: Sequence[TaskSpec],
    device: torch.device,
    leave: Callable[[], bool] = never,
) -> Judged | None:
    """Let the jury judge images; see ``in_batches``.

    Returns:
        The judgement on the first rank, None on the others.

    Raises:
        Abandoned: On all ranks, if one was to leave.
    """
    measures = {task.name: task.measure for task in tasks if task.measure is not None}
    jury.to(device)

    def work(image: Tensor, targets: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        features, predictions = jury(image)
        predictions |= {name: measured(image.float() / 127.5 - 1) for name, measured in measures.items()}
        return {"features": {"": features.float()}, "predictions": predictions, "wanted": targets}

    rows = in_batches(source, num_images, work, device, leave)
    return Judged(rows["features"][""], rows["predictions"], rows["wanted"]) if rows is not None else None


def generated(game: Game, jury: Jury, seed: int, given: Mapping[str, Tensor] | None = None) -> Source:
    """Images of a Game; each batch is a function of (seed, number of the batch).

    Args:
        game: The Game that samples.
        jury: Whose extractor turns the images into bytes.
        seed: Seed of latents and conditions.
        given: Targets of one image, by task, that every image is asked to show.
    """

    def batch(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        generator = torch.Generator(game.device).manual_seed(seed_of(seed, "evaluation", number))
        fixed = {name: target.expand(size, *target.shape) for name, target in (given or {}).items()}
        wanted = game.draw_conditions(size, generator, fixed)
        return jury.extractor.to_bytes(game.sample(size, wanted, generator)), wanted

    return batch


def stored(images: Any) -> Source:
    """Images of a data set, in its own order, from the first on."""

    def batch(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        first = number * BATCH
        rows = images[torch.arange(first, first + size)]
        return rows["image"], rows["targets"]

    return batch
