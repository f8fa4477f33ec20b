"""What generated images are asked to show where the real ones have no labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from lightning_mtgan.conditions import draw_conditions
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import DataSpec, is_known


def has_all(target: Tensor) -> Tensor:
    """Which images have their whole target (N, ...), bool (N,): each of several numbers; of a map any pixel."""
    return ~target.isnan().flatten(1).any(1) if target.is_floating_point() and target.ndim > 1 else is_known(target)


def whole_rows(joint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rows of targets, (N, ...) by task, all known: those that are; without any, gaps are filled from other rows.

    Args:
        joint: Targets of the same images by task.

    Raises:
        UserError: If no row knows all of some task.
    """
    known = {name: has_all(target) for name, target in joint.items()}
    for name, rows in known.items():
        if not bool(rows.any()):
            raise UserError(
                f"model.game.completes_conditions is true, but no row of the data's conditions knows all of `{name}`; "
                "give more of its labels, or set it false"
            )
    whole = reduce(torch.logical_and, known.values())
    if bool(whole.any()):
        return {name: target[whole] for name, target in joint.items()}
    return {
        name: target[known[name].nonzero()[:, 0][torch.arange(len(target)) % int(known[name].sum())]]
        for name, target in joint.items()
    }


class CompletedConditions:
    """Conditions of generated images: the targets of real ones, and draws from the data's distribution without any.

    So every generated image is asked for something, also where a few real ones have labels, as semi-supervised GANs
    do (Lucic et al. 2019, S3GAN, arXiv:1903.02271, section 3). The adversarial head must not read the condition, or
    it would tell images apart by what is known of them.

    Args:
        spec: What the data is.
        tasks: The tasks by name.
    """

    def __init__(self, spec: DataSpec, tasks: Mapping[str, Task]) -> None:
        self.tasks = tasks
        self._joint = {torch.device("cpu"): spec.joint}

    def __call__(self, targets: Mapping[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Conditions (N, ...) by task; whole rows are drawn for images that lack any target."""
        num_images = len(next(iter(targets.values())))
        device = torch.device(draws.device)
        drawn = draw_conditions(
            self.tasks, draws.num_global(num_images), draws.generator("conditions"), device, joint=self._rows(device)
        )
        knows = reduce(torch.logical_and, (has_all(target) for target in targets.values()))
        found = {}
        for name, target in targets.items():
            wanted = draws.mine(drawn[name], num_images).to(target.dtype)
            found[name] = target.where(knows.view(-1, *(1,) * (target.ndim - 1)), wanted)
        return found

    def _rows(self, device: torch.device) -> dict[str, Tensor] | None:
        if device not in self._joint:  # a copy in every step would wait for the device
            rows = self._joint[torch.device("cpu")]
            self._joint[device] = {name: row.to(device) for name, row in rows.items()} if rows is not None else None
        return self._joint[device]
