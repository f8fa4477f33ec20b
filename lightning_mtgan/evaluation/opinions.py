"""What the discriminator makes of training, held-out and generated images: overfitting and calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from lightning_mtgan.evaluation.judging import Source, in_batches, never
from lightning_mtgan.games import Game
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import TaskKind, is_known

NUM_BINS = 15


@dataclass
class Opinions:
    """What a discriminator says of images; rows of all ranks, on the first.

    Args:
        realism: Logits of realism, (N,); None of a Game without a discriminator.
        heads: What each task's head says, (N, head_size).
        targets: What the images are.
        recognised: Whether the heads of self-supervised tasks told what was done to the images, (N,).
    """

    realism: Tensor | None
    heads: dict[str, Tensor]
    targets: dict[str, Tensor]
    recognised: dict[str, Tensor] = field(default_factory=dict)


def ask(game: Game, source: Source, num_images: int, leave: Callable[[], bool] = never) -> Opinions | None:
    """Ask a Game's discriminator about images; see ``in_batches``."""
    dtype = game.dtype

    def work(image: Tensor, targets: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        batch = {
            "image": image.to(dtype) / 127.5 - 1,
            "targets": {name: target.to(image.device) for name, target in targets.items()},
        }
        realism, heads = game.judge(batch)  # type: ignore[arg-type]
        known = {} if realism is None else {"": realism.cpu().double()}
        return {
            "realism": known,
            "heads": {n: h.float() for n, h in heads.items()},
            "targets": targets,
            "recognised": game.recognised(batch["image"]),  # type: ignore[arg-type]
        }

    rows = in_batches(source, num_images, work, game.device, leave)
    if rows is None:
        return None
    return Opinions(rows["realism"].get(""), rows["heads"], rows["targets"], rows["recognised"])


def overfitting(train: Opinions, held_out: Opinions, fake: Opinions) -> dict[str, float]:
    """``overfitting``: r_v of Karras et al. 2020 (ADA, arXiv:2006.06676), equation 1.

    (E D(train) - E D(held out)) / (E D(train) - E D(fake)): 0 if the discriminator takes new real
    images for real, 1 if it takes them for generated ones. Left out where it does not tell training
    images from generated ones at all.
    """
    if train.realism is None or held_out.realism is None or fake.realism is None:
        return {}
    known, new, made = train.realism.mean(), held_out.realism.mean(), fake.realism.mean()
    noise = (train.realism.var() / len(train.realism) + fake.realism.var() / len(fake.realism)).sqrt()
    if not known - made > 3 * noise:
        return {}
    return {"overfitting": ((known - new) / (known - made)).item()}


def calibration(held_out: Opinions, tasks: Mapping[str, Task]) -> dict[str, float]:
    """How right, and how sure, the discriminator's own heads are about held-out images.

    ``head_accuracy/<task>`` and the expected calibration error (Guo et al. 2017, arXiv:1706.04599,
    equation 3) ``head_calibration/<task>``; of numbers ``head_error/<task>``, in standard deviations, of maps
    as a share of 255. ``head_accuracy/<task>`` of self-supervised tasks, too.
    """
    figures = {f"head_accuracy/{name}": right.double().mean().item() for name, right in held_out.recognised.items()}
    for name, said in held_out.heads.items():
        if name not in held_out.targets:
            continue
        task, known = tasks[name], is_known(held_out.targets[name])
        said, target = said[known], held_out.targets[name][known]
        if len(said) == 0:
            continue
        if task.spec.kind is TaskKind.CLASSIFICATION:
            odds = said.softmax(1)
            figures[f"head_accuracy/{name}"] = (said.argmax(1) == target).double().mean().item()
            error = multiclass_calibration_error(odds, target, task.spec.size, NUM_BINS, "l1")
            figures[f"head_calibration/{name}"] = error.item()
        elif task.spec.kind is TaskKind.ATTRIBUTES:
            answered = ~target.isnan()
            odds, answers = said[answered].sigmoid(), target[answered].long()
            figures[f"head_accuracy/{name}"] = ((odds > 0.5) == answers).double().mean().item()
            error = binary_calibration_error(odds, answers, NUM_BINS, "l1")
            figures[f"head_calibration/{name}"] = error.item()
        elif task.spec.kind is TaskKind.DENSE:
            gap = (said.sigmoid() - target.flatten(1) / 255).abs()
            figures[f"head_error/{name}"] = gap[task.is_known(target)].double().mean().item()
        else:
            gap = (said - task.code(target)).abs()
            figures[f"head_error/{name}"] = gap[task.is_known(target)].double().mean().item()
    return figures
