"""Every figure of a set of generated images, beside what is kept of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from lightning_mtgan.evaluation.classes import class_figures, kid
from lightning_mtgan.evaluation.copies import diversity, duplicates, memorisation
from lightning_mtgan.evaluation.frechet import Gaussian, frechet_distance
from lightning_mtgan.evaluation.judging import Judged, Jury
from lightning_mtgan.evaluation.mind import monge_inception_distance
from lightning_mtgan.evaluation.modes import count_modes, modes_kl_floor
from lightning_mtgan.evaluation.neighbours import neighbourhood, radius
from lightning_mtgan.evaluation.protocol import Protocol, require_enough
from lightning_mtgan.evaluation.reference import Reference
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import TaskKind, TaskSpec, is_known

NUM_SPLITS = 10
"""Of the Inception Score."""


@dataclass
class Known:
    """Real images that are searched for copies.

    Args:
        train: Training images.
        held_out: Images that the training never saw.
    """

    train: Reference
    held_out: Reference


def measure(
    fake: Judged,
    real: Reference,
    tasks: Sequence[TaskSpec],
    protocol: Protocol,
    jury: Jury,
    known: Known | None = None,
    obeys: bool = True,
) -> dict[str, float]:
    """Every figure of generated images, by its fixed name.

    Args:
        fake: Generated images, judged.
        real: Images of the protocol's split.
        tasks: The tasks of the data.
        protocol: How to measure.
        jury: Who judged.
        known: Where to look for memorised images; None to leave that out.
        obeys: Whether the generator is told what to show.
    """
    require_enough(len(real.features), protocol)
    subset = min(protocol.kid_subset_size, len(fake.features), len(real.features))
    figures = {
        "fid": frechet_distance(Gaussian.of(fake.features), real.gaussian),
        "kid": kid(fake.features, real.features, protocol.kid_subsets, subset),
        "mind": monge_inception_distance(fake.features, real.features),
    }
    figures |= inception_score(fake, jury) | neighbour_figures(fake, real, protocol)
    figures |= diversity(fake, real, tasks, obeys)
    if known is not None and protocol.num_copy_images > 0:
        some = slice(protocol.num_copy_images)
        distance = known.held_out.distance_to("train", known.train.features)
        figures |= memorisation(fake.features[some], known.train.features, distance[some])
    return (
        figures
        | mode_figures(fake, tasks)
        | (task_figures(fake, tasks) if obeys else {})
        | class_figures(fake, real, tasks, protocol, obeys)
    )


def inception_score(fake: Judged, jury: Jury) -> dict[str, float]:
    """The Inception Score, Salimans et al. 2016 (arXiv:1606.03498), of an extractor that has classes."""
    device = next((parameter.device for parameter in jury.extractor.parameters()), torch.device("cpu"))
    with torch.no_grad():
        logits = jury.extractor.logits(fake.features.to(device))
    if logits is None or len(logits) < NUM_SPLITS:
        return {}
    return {"inception_score": isc_features_to_metric(logits.cpu(), NUM_SPLITS)["inception_score_mean"]}


def neighbour_figures(fake: Judged, real: Reference, protocol: Protocol) -> dict[str, float]:
    """Precision, recall, density, coverage and duplicates."""
    count, k = protocol.num_neighbour_images, protocol.num_neighbours
    ours, theirs = fake.features[:count], real.features[:count]
    if len(ours) <= k:
        return {}
    hood = neighbourhood(ours, theirs, radius(ours, k), real.radius(len(theirs), k), k)
    same = min(len(ours), len(theirs))
    return hood.figures() | {"duplicates": duplicates(radius(ours[:same], 1), real.radius(same, 1))}


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
        if name in fake.predictions and bool(is_known(wanted).any())
    )
    return dict(pairs)
