"""Enhancement: several degradations of the same image, one after the other."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.inpainting import Inpainting
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class Degradations(Corruption):
    """Several corruptions in turn, each of which happens to an image by its own chance, as to a poor photograph.

    What happens to an image, and how strongly, depends neither on the other images nor on the other parts; an image
    to which nothing happens is left as it is, bit for bit.

    Args:
        parts: What happens, in this order, each name at most once; here a part's ``probability`` is how often it
            happens, in (0, 1]. None may leave pixels known, as holes do.
        probability: See Corruption.

    Raises:
        UserError: If there is no part, or if one cannot be here.
    """

    name = "enhancement"

    def __init__(self, parts: list[Corruption], probability: float = 1.0) -> None:
        super().__init__(probability)
        names = [part.name for part in parts]
        if not parts:
            raise UserError("Degradations.parts is empty; list at least one, such as LowLight")
        if len(set(names)) < len(names):
            raise UserError(f"Degradations.parts has a name twice ({', '.join(names)}); list each once")
        for part in parts:
            if isinstance(part, Inpainting):
                raise UserError(
                    f"Degradations.parts has {type(part).__name__}, whose images keep known pixels; "
                    "list it in model.game.corruptions itself"
                )
            if part.probability > 1:
                raise UserError(
                    f"{type(part).__name__}.probability is {part.probability} in Degradations.parts; "
                    "use how often it happens, more than 0 and at most 1"
                )
        self.parts = tuple(parts)

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """See Corruption; every part sees all images, so that nothing waits for which of them it happens to."""
        left = image.to(chances.dtype)
        for part in self.parts:
            its = replace(chances, purpose=f"{chances.purpose}/{part.name}")
            (happens,) = its.happen(torch.full((), part.probability, device=image.device))
            left = torch.where(per_image(happens), part(left, its).image, left)
        return nothing_known(left.to(image.dtype))

    def require_fitting(self, spec: DataSpec) -> None:
        """See Corruption: all parts must fit."""
        for part in self.parts:
            part.require_fitting(spec)
