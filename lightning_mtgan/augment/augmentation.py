"""What an augmentation of a discriminator's images is, and which tasks it keeps valid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change, TaskSpec


class Augmentation(nn.Module, ABC):
    """A random, differentiable change of every image that the discriminator judges, real or generated.

    It works in batches on the device, can be differentiated twice, is the identity at strength 0, and
    takes each random number from the draws it is given.
    """

    @property
    @abstractmethod
    def changes(self) -> frozenset[Change]:
        """Everything that it may do to an image."""

    @abstractmethod
    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """Images (N, C, H, W) around [-1, 1], changed.

        Args:
            image: The images.
            draws: The source of the random numbers.
            purpose: What the images are, ``real`` or ``fake``; the same purpose gives the same changes.
        """

    def hear(self, signs: Tensor, draws: Draws) -> None:
        """Learn how the discriminator judges real images; called once in each of its turns.

        Args:
            signs: Signs of the logits of real images, (N,); of a relativistic discriminator those of
                the differences to generated ones.
            draws: Says which step and which micro-batch this is.
        """

    def observed(self, draws: Draws) -> dict[str, Tensor]:
        """Figures of this step that are worth logging, each as a sum and its weight, (2,)."""
        return {}

    def require_valid(self, tasks: Sequence[TaskSpec]) -> None:
        """Refuse tasks whose targets would be false after the change.

        Raises:
            UserError: With the task, and what would change it.
        """
        for task in tasks:
            spoiled = sorted(change.value for change in self.changes & task.spoiled_by)
            if spoiled:
                raise UserError(
                    f"model.game.augmentation {type(self).__name__} changes {', '.join(spoiled)}, which makes the "
                    f"targets of task `{task.name}` false; leave that change out, take the task out of data.tasks, or "
                    "show the task heads images as they are with --model.game.clean_tasks true"
                )
