"""What a transform is: an image becomes a better one by a fixed rule, without a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from typing import ClassVar, Self

import torch
from torch import Tensor

from lightning_mtgan.errors import UserError

Strip = Callable[[Tensor, int], Tensor]
"""From some rows of an image, (1, C, h, W) in [-1, 1], and the index of the first of them, to what becomes of them."""


class Transform(ABC):
    """Makes an image better by a fixed rule.

    Every transform is a function of one image: it depends on no other image of a batch. Where it needs to know
    something of the whole image (a histogram, a mean), ``look`` finds it out, so that an image that is too large to be
    kept as floating-point numbers can be worked on in strips of rows. Each argument of a constructor is kept in an
    attribute of the same name, so that a file can say how a transform was made.
    """

    name: ClassVar[str]
    """Short name, as in ``enhance --method clahe``."""

    @property
    def margin(self) -> int:
        """Rows above and below a row that it depends on, beside what ``look`` has found."""
        return 0

    @abstractmethod
    def __call__(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], C 1 or 3 (sRGB), to the same shape, type and range."""

    @abstractmethod
    def look(self, pixels: Tensor) -> Strip:
        """What is to be done to an image, uint8 (C, H, W), after one look at it, in memory of a few strips.

        ``look(pixels)(rows, first)`` is what ``__call__`` makes of these rows, to 1e-4, but for ``margin`` rows at
        inner ends.
        """


class Adjustable(Transform):
    """A transform with one amount for each image, by which it can be differentiated.

    Args:
        amount: How much, from ``least`` to ``most``.

    Raises:
        UserError: If it is out of range.
    """

    least: ClassVar[float]
    most: ClassVar[float]
    neutral: ClassVar[float]
    """The amount that changes nothing."""

    def __init__(self, amount: float) -> None:
        if not self.least <= amount <= self.most:
            right = f"{self.least:g} to {self.most:g}, {self.neutral:g} for none"
            raise UserError(f"{type(self).__name__}.amount is {amount}; use {right}")
        self.amount = amount

    def at(self, amount: float) -> Self:
        """The same transform at another amount."""
        other = copy(self)
        other.amount = amount
        return other

    @abstractmethod
    def adjusted(self, image: Tensor, amount: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], each by its own amount, (N,); clamped to [-1, 1].

        Differentiable by both.
        """

    def __call__(self, image: Tensor) -> Tensor:
        """See Transform."""
        return self.adjusted(image, torch.full((len(image),), self.amount, dtype=image.dtype, device=image.device))
