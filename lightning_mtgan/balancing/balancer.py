"""From the named losses of a phase to gradients: the only place where task weights live."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import nn

from lightning_mtgan.types import Terms


class Balancer(nn.Module, ABC):
    """Turns the Terms of one phase into gradients of the moving player."""

    @abstractmethod
    def backward(self, terms: Terms, parameters: Sequence[nn.Parameter]) -> None:
        """Add the balanced gradient to ``.grad`` of the parameters.

        Args:
            terms: The losses of this rank; gradients are averaged over ranks afterwards.
            parameters: The parameters of the moving player.
        """
