"""Numbers that learn faster than other parameters."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_mtgan.errors import UserError


class Coefficients(nn.Module):
    """Numbers c = rate * p of which p is learned, so that c moves ``rate`` times as far in each step.

    So it is under an optimiser whose steps do not depend on the size of gradients, such as Adam; with plain gradient
    descent they would move rate^2 times as far. A power of two leaves the initial values exact.

    Args:
        initial: What they are at first, of any shape.
        rate: How many times as fast as other parameters they learn, more than 0.

    Raises:
        UserError: If the rate is not more than 0.
    """

    def __init__(self, initial: Tensor, rate: float) -> None:
        super().__init__()
        if not 0 < rate < float("inf"):
            raise UserError(
                f"rate is {rate}; mixing coefficients need more than 0, such as 128; 1 is as fast as others"
            )
        self.rate = rate
        self.scaled = nn.Parameter(initial / rate)

    def forward(self) -> Tensor:
        """The numbers, of the initial ones' shape."""
        return self.scaled * self.rate
