"""The parts that a pipe is put together from, each of which changes an image now and then."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change


class PipePart(ABC):
    """Some transformations that belong together. Subclasses are frozen dataclasses.

    Each field is one transformation: its probability as a share of the pipe's, in [0, 1].

    Raises:
        UserError: If a share is out of range.
    """

    does: ClassVar[Mapping[str, Change]]
    """What each transformation changes, by the field's name."""

    def __post_init__(self) -> None:
        for name in self.does:
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise UserError(f"{type(self).__name__}.{name} is {share}; use a share from 0, for never, to 1")

    @property
    def changes(self) -> frozenset[Change]:
        """Everything that those transformations do that are switched on."""
        return frozenset(change for name, change in self.does.items() if getattr(self, name) > 0)


class GeometricPart(PipePart):
    """A part that moves pixels by an affine map."""

    keeps_pixels: ClassVar[bool] = False
    """Whether all its maps bring the pixels of a square image onto pixels."""

    @abstractmethod
    def matrix(self, size: tuple[int, int], chances: Chances, probability: Tensor) -> Tensor:
        """The maps as ``sampling.resample`` takes them, (N, 3, 3).

        Args:
            size: Height and width of the images, in pixels.
            chances: Random numbers.
            probability: That of the pipe, a scalar.
        """


class PixelPart(PipePart):
    """A part that changes values where they are."""

    @abstractmethod
    def change(self, image: Tensor, chances: Chances, probability: Tensor) -> Tensor:
        """Images (N, C, H, W), changed.

        Args:
            image: The images, float32 or wider.
            chances: Random numbers.
            probability: That of the pipe, a scalar.
        """


def product(left: Tensor, right: Tensor) -> Tensor:
    """Small matrices multiplied, (N, K, K) each, in their own precision also where autocast would lower it."""
    return (left[:, :, :, None] * right[:, None, :, :]).sum(2)
