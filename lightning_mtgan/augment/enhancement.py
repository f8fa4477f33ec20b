"""Transforms that make images better, by random amounts, as an augmentation."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.draws import Draws
from lightning_mtgan.transforms import Adjustable
from lightning_mtgan.types import Change


class RandomTransforms(Augmentation):
    """Every image is changed by every transform, by an amount of its own, evenly spread from none to the given one.

    What leaves [-1, 1] is clamped, as transforms do.

    Args:
        transforms: What is done, in this order, each at the largest amount: ``Gamma(0.5)`` makes images brighter by
            exponents from 0.5 to 1. For both directions give it twice, as ``Gamma(0.5)`` and ``Gamma(2)``.
    """

    def __init__(self, transforms: list[Adjustable]) -> None:
        super().__init__()
        self.transforms = list(transforms)

    @property
    def changes(self) -> frozenset[Change]:
        """The colour, unless all amounts are those that change nothing."""
        is_changed = any(transform.amount != transform.neutral for transform in self.transforms)
        return frozenset({Change.COLOUR} if is_changed else ())

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """See Augmentation."""
        chances = Chances.of(image, draws, purpose)
        changed = image.to(chances.dtype)
        for transform, share in zip(self.transforms, chances.uniform(len(self.transforms)), strict=True):
            amount = transform.neutral + share * (transform.amount - transform.neutral)
            changed = transform.adjusted(changed, amount)
        return changed.to(image.dtype)
