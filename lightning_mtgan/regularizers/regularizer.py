"""What every regulariser is: further losses of a player's turn, each with its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.regularizers.play import Play


class Regularizer(nn.Module, ABC):
    """A penalty or regulariser: a loss beside the adversarial one. Its weight stands in the Balancer.

    Whatever it remembers between steps is a buffer, so that checkpoints hold it.

    Args:
        every: Played at every so many-th batch. 1: as a part of the player's own phase. More: lazily, in a
            phase of its own that carries its name, scaled by the interval (Karras et al. 2020,
            arXiv:1912.04958, section 3.1).

    Raises:
        UserError: If the interval is less than 1.
    """

    name: ClassVar[str]
    """Name of its loss, of its lazy phase, and of the weight."""
    player: ClassVar[Literal["discriminator", "generator"]]
    """Whose turn it belongs to."""
    differentiates: ClassVar[frozenset[str]] = frozenset()
    """The kinds of images, ``real`` and ``fake``, by which it differentiates the judgement of the player's own pass."""
    second_order_of: ClassVar[frozenset[str]] = frozenset()
    """The networks, ``trunk`` and ``generator``, that it differentiates twice, which ``torch.compile`` cannot do."""
    reads_real: ClassVar[bool] = False
    """Whether, in a generator's turn, it wants the discriminator to have seen real images."""
    needs_absolute_logits: ClassVar[bool] = False
    """Whether it reads the logits themselves, which mean nothing where a loss compares differences alone."""

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise UserError(f"{type(self).__name__}.every is {every}; use 1 for every batch, or more")
        self.every = every

    @abstractmethod
    def loss(self, play: Play) -> Tensor:
        """The unweighted scalar of one turn; this rank's share, whose mean over ranks is the loss."""


class DiscriminatorRegularizer(Regularizer):
    """A regulariser of the discriminator's turn."""

    player: ClassVar[Literal["discriminator", "generator"]] = "discriminator"


class GeneratorRegularizer(Regularizer):
    """A regulariser of the generator's turn."""

    player: ClassVar[Literal["discriminator", "generator"]] = "generator"
