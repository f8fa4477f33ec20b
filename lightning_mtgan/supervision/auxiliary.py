"""Auxiliary heads: the plain multi-task discriminator."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_mtgan.supervision.supervision import Supervision, plain_heads
from lightning_mtgan.tasks import Task


class AuxiliaryHeads(Supervision):
    """A head for each task that learns on real images only, after Odena et al. 2017 (arXiv:1610.09585).

    The paper's heads learn on fakes too; learning on real images only keeps the generator from
    teaching them its mistakes.

    Args:
        tasks: The tasks that need a head, by name.
        num_features: Length F of the trunk's features.
    """

    def __init__(self, tasks: Mapping[str, Task], num_features: int) -> None:
        super().__init__(tasks, num_features)
        self.heads = plain_heads(tasks, num_features)

    def discriminator_losses(
        self, real: Tensor, fake: Tensor, targets: Mapping[str, Tensor], conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """l_i(h_i(f(x)), y_i) for each task i."""
        return {name: self.tasks[name].loss(head(real), targets[name]) for name, head in self.heads.items()}

    def generator_losses(self, fake: Tensor, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """l_i(h_i(f(G(z, y))), y_i) for each task i."""
        return {name: self.tasks[name].loss(head(fake), conditions[name]) for name, head in self.heads.items()}

    def predictions(self, features: Tensor) -> dict[str, Tensor]:
        """The heads that learn on real images."""
        return {name: head(features) for name, head in self.heads.items()}
