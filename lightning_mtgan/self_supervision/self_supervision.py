"""What a task is that makes its own targets, beside the adversarial loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from lightning_mtgan.regularizers import Play

Trunk = Callable[[Tensor], Tensor]
"""From images (N, C, H, W) in [-1, 1], as they are, to the discriminator's features (N, F)."""


class SelfSupervision(nn.Module, ABC):
    """A head on the discriminator's trunk that learns from images without labels; the discriminator owns it.

    It changes real and generated images itself, before any augmentation. Its weights stand in the Balancers: β in
    the discriminator's, α in the generator's.
    """

    name: str
    """Name of its loss in both phases, and of its weights."""
    is_unbounded: bool = False
    """Whether the generator's side can fall below 0 without end."""

    @abstractmethod
    def discriminator_loss(self, play: Play, trunk: Trunk) -> Tensor:
        """What the head and the trunk minimise in the discriminator's turn, a scalar; this rank's share."""

    @abstractmethod
    def generator_loss(self, play: Play, trunk: Trunk) -> Tensor:
        """What the generator minimises in its turn, a scalar; this rank's share."""

    @abstractmethod
    def is_right(self, image: Tensor, trunk: Trunk) -> Tensor:
        """Whether the head tells what was done to each real image, float (N,) of 0 and 1.

        For measuring: nothing is drawn, image i is changed in way i mod K.
        """
