"""What travels between the parts: batches, losses by name, and the description of the data."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError

if TYPE_CHECKING:
    from lightning_mtgan.draws import Draws


class TaskKind(str, Enum):
    """What the target of a task is.

    Where an image lacks its target, whole numbers are -1 and others NaN.
    """

    CLASSIFICATION = "classification"
    """One class of several: int64 (N,)."""
    ATTRIBUTES = "attributes"
    """Several yes/no answers: float (N, size) of 0 and 1."""
    REGRESSION = "regression"
    """Real numbers: float (N, size)."""
    DENSE = "dense"
    """A map beside the image: int16 (N, size, resolution, resolution), 0 to 255."""
    CONSTRAINT = "constraint"
    """Real numbers that a fixed function measures on the image itself: float (N, size)."""


class Change(str, Enum):
    """What an augmentation may do to an image."""

    COLOUR = "colour"
    """Brightness, contrast, hue, saturation."""
    SHIFT = "shift"
    """Moved by some pixels."""
    FLIP = "flip"
    """Mirrored left to right."""
    ROTATION = "rotation"
    """Turned, also by quarters."""
    SCALE = "scale"
    """Made larger or smaller, also along one axis."""
    CUTOUT = "cutout"
    """A part of it hidden."""


def is_known(target: Tensor) -> Tensor:
    """Which images have their target, bool (N,): whole numbers from 0 on, others not NaN."""
    known = ~target.isnan() if target.is_floating_point() else target >= 0
    return known.flatten(1).any(1) if known.ndim > 1 else known


def hidden(target: Tensor, keeps: Tensor) -> Tensor:
    """A target (N, ...) that is unknown except where ``keeps``, bool (N,), is true."""
    keeps = keeps.view(-1, *(1,) * (target.ndim - 1))
    return target.where(keeps, torch.nan if target.is_floating_point() else -1)


class Measure:
    """A deterministic, differentiable function of images: (N, C, H, W) in [-1, 1] to (N, size).

    Subclasses are frozen dataclasses, so that a checkpoint can name them and their arguments.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """Measure each image: (N, C, H, W) in [-1, 1] to (N, size)."""
        raise TypeError(f"{type(self).__name__} does not measure anything; define __call__")

    def size(self, num_channels: int) -> int:
        """Numbers per image that the measure yields."""
        raise TypeError(f"{type(self).__name__} has no size; define it")


@dataclass(frozen=True)
class TaskSpec:
    """One task, declared once, by the data.

    Args:
        name: Name of the task and key of its target; also the key of its loss and its weight.
        kind: What the target is.
        size: Classes of a classification; channels of a map; answers or numbers per image otherwise.
        labels: Names of the classes or of the numbers, for people; may be empty.
        prior: What the targets look like when nothing is asked for. Classification: one row of
            class probabilities (empty: uniform). Attributes: a row ``(p,)`` for each answer.
            Regression and constraint: for each number a row of equally spaced quantiles.
        measure: The function behind a constraint; None for every other kind.
        resolution: Height and width of a dense task's maps, in pixels: 4, 8, 16 ...; 0 for every other kind.
        is_complete: Whether every image has its target; otherwise the loss leaves out those without.
        spoiled_by: Changes of an image after which its target would be false.
    """

    name: str
    kind: TaskKind
    size: int
    labels: tuple[str, ...] = ()
    prior: tuple[tuple[float, ...], ...] = ()
    measure: Measure | None = None
    resolution: int = 0
    is_complete: bool = True
    spoiled_by: frozenset[Change] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """The task as plain values, for checkpoints."""
        plain: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind.value,
            "size": self.size,
            "labels": list(self.labels),
            "prior": [list(row) for row in self.prior],
            "resolution": self.resolution,
            "is_complete": self.is_complete,
            "spoiled_by": sorted(change.value for change in self.spoiled_by),
        }
        if self.measure is not None:
            cls = type(self.measure)
            arguments = dataclasses.asdict(self.measure)  # type: ignore[call-overload]
            plain["measure"] = {"module": cls.__module__, "class": cls.__qualname__, "arguments": arguments}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TaskSpec:
        """The inverse of ``to_dict``."""
        measure = None
        if "measure" in plain:
            stored = plain["measure"]
            kind = getattr(importlib.import_module(stored["module"]), stored["class"])
            if not (isinstance(kind, type) and issubclass(kind, Measure)):
                raise UserError(f"{stored['module']}.{stored['class']} is no Measure; the checkpoint cannot be trusted")
            measure = kind(**stored["arguments"])
        return cls(
            name=plain["name"],
            kind=TaskKind(plain["kind"]),
            size=plain["size"],
            labels=tuple(plain["labels"]),
            prior=tuple(tuple(row) for row in plain["prior"]),
            measure=measure,
            resolution=plain.get("resolution", 0),
            is_complete=plain.get("is_complete", True),
            spoiled_by=frozenset(map(Change, plain.get("spoiled_by", ()))),
        )


@dataclass(frozen=True)
class DataSpec:
    """What a Game must know of the data to build its networks.

    Args:
        image_size: Height and width of the images, in pixels.
        num_channels: 1 for grey, 3 for colour.
        tasks: The tasks, in the order of their heads.
        joint: Targets of the same images by task, each with the same number of rows, where tasks
            depend on each other: conditions are then drawn as whole rows. None where they are
            independent. Where many images lack some target, rows may lack it, too.
        domains: What each domain is, by its name, where there are several; size, channels and tasks
            above are then those of the first.
        known_share: Share of the images that have any labels; where nothing in particular is asked for, as many
            conditions have theirs.

    Raises:
        UserError: If two tasks have the same name.
    """

    image_size: int
    num_channels: int
    tasks: tuple[TaskSpec, ...] = ()
    joint: dict[str, Tensor] | None = field(default=None, compare=False)
    domains: dict[str, DataSpec] = field(default_factory=dict)
    known_share: float = 1.0

    def __post_init__(self) -> None:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise UserError(f"data.tasks names a task twice ({', '.join(names)}); name each once")

    def to_dict(self) -> dict[str, Any]:
        """The description as plain values and tensors, for checkpoints."""
        return {
            "image_size": self.image_size,
            "num_channels": self.num_channels,
            "tasks": [task.to_dict() for task in self.tasks],
            "joint": self.joint,
            "domains": {name: spec.to_dict() for name, spec in self.domains.items()},
            "known_share": self.known_share,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> DataSpec:
        """The inverse of ``to_dict``."""
        tasks = tuple(TaskSpec.from_dict(task) for task in plain["tasks"])
        domains = {name: cls.from_dict(spec) for name, spec in plain.get("domains", {}).items()}
        share = plain.get("known_share", 1.0)
        return cls(plain["image_size"], plain["num_channels"], tasks, plain["joint"], domains, share)


class Batch(TypedDict, total=False):
    """What a phase is given.

    ``image`` is (N, C, H, W) in [-1, 1], N images of this rank; ``targets`` holds the truth of each
    task that the data knows; ``draws`` gives every random number that the phase may need. Where the
    data are several domains, ``domains`` holds a batch of each, and the batch itself has only draws.
    """

    image: Tensor
    targets: dict[str, Tensor]
    draws: Draws
    domains: dict[str, Batch]


def scaled(batch: Batch, dtype: torch.dtype, layout: torch.memory_format = torch.contiguous_format) -> Batch:
    """The batch with its images, uint8 as the data gives them, in [-1, 1] and that layout; those of domains, too."""
    known: dict[str, Any] = {**batch}
    if "image" in batch:
        known["image"] = batch["image"].to(dtype, memory_format=layout) / 127.5 - 1
    if "domains" in batch:
        known["domains"] = {name: scaled(domain, dtype, layout) for name, domain in batch["domains"].items()}
    return known  # type: ignore[return-value]


def part_of(batch: Batch, part: int, parts: int) -> Batch:
    """One micro-batch of several: the same rows of everything in the batch."""
    if parts == 1:
        return batch

    def rows(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.tensor_split(parts)[part]
        return {name: rows(inner) for name, inner in value.items()}

    cut: dict[str, Any] = {name: rows(value) for name, value in batch.items() if name != "draws"}
    return cut | {"draws": batch["draws"].of_part(part, parts)}  # type: ignore[return-value]


@dataclass
class Terms:
    """The named, unweighted losses of one phase.

    Args:
        losses: Scalars by name; the adversarial one is called ``adversarial``, a task's has the
            task's name, a penalty its own (``r1``, ``r2``).
        pivot: The tensors at which gradients of tasks can be compared cheaply: the fake image in a
            generator's phase, the trunk's features in a discriminator's; none where the losses have no
            such place in common.
        penalties: Names of losses that are penalties or regularisers, neither adversarial nor of a task.
        observed: Figures that are logged and never optimised, each as a sum and its weight, (2,),
            detached: what is logged is the ratio of both, summed over steps and ranks.
        step: Index of the batch, which the training fills in, for weights that change with it.
        seed: Seed of whatever a Balancer draws in this phase of this step, the same on all ranks; the training
            fills it in.
    """

    losses: dict[str, Tensor]
    pivot: tuple[Tensor, ...] = ()
    penalties: frozenset[str] = frozenset()
    observed: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    seed: int = 0
