"""Task nesting: one network reads what another one makes."""

from __future__ import annotations

from torch import Tensor, nn


class Nested(nn.Module):
    """The composition M2 ∘ M1 of two networks that both have a task of their own, such as to enhance and to recognise.

    Args:
        first: M1, from any tensors to one.
        second: M2, which reads that one.
        passes_gradient: Whether a loss on M2's result teaches M1, too; otherwise M2 reads M1's result as a constant.
    """

    def __init__(self, first: nn.Module, second: nn.Module, passes_gradient: bool = True) -> None:
        super().__init__()
        self.first, self.second, self.passes_gradient = first, second, passes_gradient

    def forward(self, *given: Tensor | None) -> tuple[Tensor, Tensor]:
        """What M1 is given to M1's result m and M2(m)."""
        made = self.first(*given)
        return made, self.second(made if self.passes_gradient else made.detach())
