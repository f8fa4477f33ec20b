"""One pass of generation and feature extraction over all ranks, and every figure from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from lightning_mtgan import distributed
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.modes import count_modes, modes_kl_floor
from lightning_mtgan.evaluation.neighbours import density_coverage
from lightning_mtgan.games import Game
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import TaskKind, TaskSpec

BATCH = 500
"""Images generated at a time; part of the protocol, because it decides which draws belong together."""


@dataclass(frozen=True)
class Protocol:
    """How a figure was measured; it is written beside every figure.

    Args:
        num_images: Generated images behind FID, KID, modes and task accuracy, and real images as far
            as the split has so many.
        num_neighbour_images: Images on each side behind precision, recall, density and coverage, as
            far as there are so many.
        num_neighbours: k of these four.
        kid_subsets: Subsets of KID.
        kid_subset_size: Images in each.
        split: The data that the generated images are compared with.
        seed: Seed of the generated images.
    """

    num_images: int = 5_000
    num_neighbour_images: int = 4_000
    num_neighbours: int = 5
    kid_subsets: int = 100
    kid_subset_size: int = 1_000
    split: str = "reference"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_images < 2 or self.num_neighbour_images <= self.num_neighbours or self.num_neighbours < 1:
            raise UserError(
                f"a protocol needs at least 2 images and more neighbour images than neighbours, not "
                f"num_images={self.num_images}, num_neighbour_images={self.num_neighbour_images}, "
                f"num_neighbours={self.num_neighbours}"
            )


@dataclass
class Judged:
    """What the evaluator made of a set of images; rows of all ranks, on the CPU.

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


class Abandoned(Exception):
    """A measurement that some rank was asked to leave; all ranks leave it together."""


def _never() -> bool:
    return False


@torch.no_grad()
def judge(
    source: Source,
    num_images: int,
    evaluator: Evaluator,
    tasks: Sequence[TaskSpec],
    device: torch.device,
    leave: Callable[[], bool] = _never,
) -> Judged:
    """Judge images in batches; each rank takes every R-th batch, all get the rows of all, in order.

    Args:
        source: Images and their targets, by batch.
        num_images: How many.
        evaluator: The judge.
        tasks: What is judged.
        device: Where.
        leave: Whether this rank has something better to do; asked before each batch.

    Raises:
        Abandoned: On all ranks, if one was to leave.
    """
    with _full_float32():
        mine = _judge_share(source, num_images, evaluator.to(device), tasks, device, leave)
    ranks = distributed.gather_objects(mine)
    if any(rank is None for rank in ranks):
        raise Abandoned
    every = sorted((row for rank in ranks for row in rank), key=lambda row: row[0])
    return Judged(
        torch.cat([row[1] for row in every]),
        {name: torch.cat([row[2][name] for row in every]) for name in every[0][2]},
        {name: torch.cat([row[3][name] for row in every]) for name in every[0][3]},
    )


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32 convolutions inside: features must not depend on the generation of the GPU."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _judge_share(
    source: Source,
    num_images: int,
    evaluator: Evaluator,
    tasks: Sequence[TaskSpec],
    device: torch.device,
    leave: Callable[[], bool],
) -> list[tuple[int, Tensor, dict[str, Tensor], dict[str, Tensor]]] | None:
    """This rank's batches: number, features, predictions and what was wanted, on the CPU; None if it left."""
    mine: list[tuple[int, Tensor, dict[str, Tensor], dict[str, Tensor]]] = []
    measures = {task.name: task.measure for task in tasks if task.measure is not None}
    starts = range(0, num_images, BATCH)
    for number in range(distributed.rank(), len(starts), distributed.world_size()):
        if leave():
            return None
        image, wanted = source(number, min(BATCH, num_images - starts[number]))
        image = image.to(device)
        features = evaluator.features(image)
        predictions = evaluator.predictions(image, features)
        predictions |= {name: measured(image.float() / 127.5 - 1) for name, measured in measures.items()}
        rows = (features.float().cpu(), _to_cpu(predictions), _to_cpu(wanted))
        mine.append((number, *rows))
    return mine


def _to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def generated(game: Game, evaluator: Evaluator, seed: int, given: Mapping[str, Tensor] | None = None) -> Source:
    """Images of a Game; each batch is a function of (seed, number of the batch).

    Args:
        game: The Game that samples.
        evaluator: Turns the images into bytes.
        seed: Seed of latents and conditions.
        given: Targets of one image, by task, that every image is asked to show.
    """

    def batch(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        generator = torch.Generator(game.device).manual_seed(seed_of(seed, "evaluation", number))
        fixed = {name: target.expand(size, *target.shape) for name, target in (given or {}).items()}
        wanted = game.draw_conditions(size, generator, fixed)
        return evaluator.to_bytes(game.sample(size, wanted, generator)), wanted

    return batch


def stored(images: Any) -> Source:
    """Images of a data set, in its own order, from the first on."""

    def batch(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        first = number * BATCH
        rows = images[torch.arange(first, first + size)]
        return rows["image"], rows["targets"]

    return batch


def require_enough(num_images: int, protocol: Protocol) -> None:
    """Refuse a split that is too small for a protocol.

    Raises:
        UserError: With the split and both numbers.
    """
    if num_images <= protocol.num_neighbours:
        raise UserError(
            f"split `{protocol.split}` has {num_images} images, too few for "
            f"{protocol.num_neighbours} neighbours; lower num_neighbours"
        )


def measure(fake: Judged, real: Judged, tasks: Sequence[TaskSpec], protocol: Protocol) -> dict[str, float]:
    """Every figure, by its fixed name.

    Args:
        fake: Generated images, judged.
        real: Images of the protocol's split, judged.
        tasks: The tasks of the data.
        protocol: How to measure.
    """
    require_enough(len(real.features), protocol)
    statistics = [fid_features_to_statistics(judged.features.double()) for judged in (fake, real)]
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    subset = min(protocol.kid_subset_size, len(fake.features), len(real.features))
    kid = kid_features_to_metric(
        fake.features.double(),
        real.features.double(),
        kid_subsets=protocol.kid_subsets,
        kid_subset_size=subset,
        verbose=False,
    )["kernel_inception_distance_mean"]
    near_fake, near_real = (judged.features[: protocol.num_neighbour_images] for judged in (fake, real))
    prc = prc_features_to_metric(near_fake, near_real, prc_neighborhood=protocol.num_neighbours, verbose=False)
    density, coverage = density_coverage(near_real, near_fake, protocol.num_neighbours)
    figures = {
        "fid": fid,
        "kid": kid,
        "precision": prc["precision"],
        "recall": prc["recall"],
        "density": density,
        "coverage": coverage,
    }
    return figures | mode_figures(fake, tasks) | task_figures(fake, tasks)


def mode_figures(fake: Judged, tasks: Sequence[TaskSpec]) -> dict[str, float]:
    """Modes over all classification tasks that the evaluator can see: their number, KL and its floor."""
    seen = [t for t in tasks if t.kind is TaskKind.CLASSIFICATION and t.name in fake.predictions]
    if not seen:
        return {}
    sizes = [task.size for task in seen]
    modes, kl = count_modes([fake.predictions[task.name] for task in seen], sizes)
    floor = modes_kl_floor(len(fake.features), int(torch.tensor(sizes).prod()))
    return {"modes": float(modes), "modes_kl": kl, "modes_kl_floor": floor}


def task_figures(fake: Judged, tasks: Sequence[TaskSpec]) -> dict[str, float]:
    """How well the generated images show what they were asked for, by the evaluator's judgement."""
    made = make_tasks(tasks)
    pairs = (
        made[name].figure(fake.predictions[name], wanted)
        for name, wanted in fake.wanted.items()
        if name in fake.predictions
    )
    return dict(pairs)


def describe(
    protocol: Protocol, real: Judged, evaluator: Evaluator, splits: Mapping[str, str], device: torch.device
) -> dict[str, Any]:
    """The protocol in full, for ``summary.json``: numbers as they were used, extractor, splits, device."""
    num_real = len(real.features)
    return {
        **asdict(protocol),
        "num_real_images": num_real,
        "num_real_neighbour_images": min(protocol.num_neighbour_images, num_real),
        "kid_subset_size": min(protocol.kid_subset_size, protocol.num_images, num_real),
        "images_per_batch": BATCH,
        "device": device.type,
        "extractor": evaluator.get_name(),
        "extractor_checksum": evaluator.checksum,
        "resize": "none",
        "image_type": "uint8",
        "trained_on": splits["train"],
        "compared_with": splits[protocol.split],
        "splits": dict(splits),
    }
