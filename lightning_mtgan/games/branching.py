"""Which features each head of a discriminator reads: all of them, or those of its branch of a structured trunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import AdversarialHead, Trunk
from lightning_mtgan.networks.structured_trunk import ADVERSARIAL, StructuredTrunk
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Task


class HeadsOnBranches(Supervision):
    """Any heads, made for each task by itself, on the features of its own branch.

    Args:
        tasks: The tasks that need a head, by name; each has a branch.
        trunk: What the features come from.
        heads: From one task and the number of features of a branch to its heads.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        trunk: StructuredTrunk,
        heads: Callable[[Mapping[str, Task], int], Supervision],
    ) -> None:
        super().__init__(tasks, trunk.num_features)
        self.places = {name: trunk.place(name) for name in tasks}
        self.heads = nn.ModuleDict({name: heads({name: task}, trunk.branch_features) for name, task in tasks.items()})

    @property
    def unbounded(self) -> frozenset[str]:
        """Those of the heads."""
        return frozenset(name for _, heads in self._by_task() for name in heads.unbounded)

    def discriminator_losses(
        self, real: Tensor, fake: Tensor, targets: Mapping[str, Tensor], conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Those of the heads, which see their branch's features."""
        found: dict[str, Tensor] = {}
        for place, heads in self._by_task():
            found |= heads.discriminator_losses(real[:, place], fake[:, place], targets, conditions)
        return found

    def generator_losses(self, fake: Tensor, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of the heads, which see their branch's features."""
        found: dict[str, Tensor] = {}
        for place, heads in self._by_task():
            found |= heads.generator_losses(fake[:, place], conditions)
        return found

    def predictions(self, features: Tensor) -> dict[str, Tensor]:
        """Those of the heads, which see their branch's features."""
        found: dict[str, Tensor] = {}
        for place, heads in self._by_task():
            found |= heads.predictions(features[:, place])
        return found

    def _by_task(self) -> list[tuple[slice, Supervision]]:
        return [(self.places[name], self.heads[name]) for name in self.tasks]  # type: ignore[misc]


def adversarial_head_on(
    trunk: Trunk, head: Callable[[int, int], AdversarialHead], condition_dim: int
) -> AdversarialHead:
    """The head that judges realism, by the trunk's features or by those of the branch for it.

    Args:
        trunk: What the features come from.
        head: From the number of features and the length of the condition vector to the head.
        condition_dim: Length of the condition vector.
    """
    if not isinstance(trunk, StructuredTrunk):
        return head(trunk.num_features, condition_dim)
    made = head(trunk.branch_features, condition_dim)
    # A hook, so that the head stays what it is to whoever asks for its class or what it reads.
    made.register_forward_pre_hook(partial(_at, trunk.place(ADVERSARIAL)))
    return made


def task_heads_on(
    trunk: Trunk,
    heads: Callable[[Mapping[str, Task], int], Supervision] | None,
    tasks: Mapping[str, Task],
) -> Supervision | None:
    """The heads of the tasks, on the trunk's features or each on those of its branch.

    Args:
        trunk: What the features come from.
        heads: From tasks and a number of features to their heads; None for none.
        tasks: The tasks that may have a head, by name.

    Raises:
        UserError: If there are branches for tasks, but no heads.
    """
    if heads is None and tasks and isinstance(trunk, StructuredTrunk):
        raise UserError(
            f"model.game.supervision is null, but {type(trunk).__name__} has a branch for the head of each task "
            f"({', '.join(tasks)}); set model.game.supervision, or use lightning_mtgan.networks.ConvTrunk"
        )
    if heads is None or not tasks:
        return None
    if isinstance(trunk, StructuredTrunk):
        return HeadsOnBranches(tasks, trunk, heads)
    return heads(tasks, trunk.num_features)


def penalties_of(trunk: Trunk) -> dict[str, Tensor]:
    """What a trunk asks of its own parameters, scalars by name, in full precision."""
    if not isinstance(trunk, StructuredTrunk):
        return {}
    with torch.autocast(next(trunk.parameters()).device.type, enabled=False):
        return trunk.penalties()


def require_own_names(trunk: Trunk, others: Iterable[str]) -> None:
    """Refuse losses that have the name of a trunk's penalty.

    Args:
        trunk: The trunk.
        others: Names of all tasks, regularisers and self-supervised tasks.

    Raises:
        UserError: With the name.
    """
    for name in penalties_of(trunk).keys() & {ADVERSARIAL, *others}:
        raise UserError(
            f"the loss `{name}` has the name of what model.game.trunk.sharing asks of its parameters; "
            "if it is a task, rename it in the data"
        )


def _at(place: slice, head: nn.Module, values: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    features, condition = values
    return features[:, place], condition
