"""How strongly images are damaged: a range, from which each image has its own strength."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.errors import UserError

GREY_LEVEL = 2 / 255
"""The distance of two neighbouring grey levels of 8 bits, where images are in [-1, 1]."""


def require_range(owner: object, name: str, ends: tuple[float, float], least: float, most: float, unit: str) -> None:
    """Refuse a range that does not lie in order between the least and the most that there can be.

    Raises:
        UserError: With the class, the argument, its value and what would be right.
    """
    low, high = ends
    if not least <= low <= high <= most:
        right = f"a smallest and a largest {unit}, from {least:g} to {most:g}"
        raise UserError(f"{type(owner).__name__}.{name} is {list(ends)}; use {right}")


def between(share: Tensor, ends: tuple[float, float]) -> Tensor:
    """From numbers in [0, 1) to numbers spread evenly from one end to the other."""
    low, high = ends
    return low + (high - low) * share
