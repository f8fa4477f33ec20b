"""DiffAugment: several changes of every image, one after the other."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.colour_jitter import BrightnessSaturationContrast
from lightning_mtgan.augment.cutout import Cutout
from lightning_mtgan.augment.translation import Translation
from lightning_mtgan.draws import Draws
from lightning_mtgan.types import Change


class DiffAugment(Augmentation):
    """Every image is changed, in every step, by every part, Zhao et al. 2020 (arXiv:2006.10738).

    Args:
        parts: What is done, in this order; null for all that the paper does: colour, translation and cutout.
    """

    def __init__(self, parts: list[Augmentation] | None = None) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            [BrightnessSaturationContrast(), Translation(), Cutout()] if parts is None else parts
        )

    @property
    def _parts(self) -> list[Augmentation]:
        return list(self.parts)  # type: ignore[arg-type]

    @property
    def changes(self) -> frozenset[Change]:
        """What any of its parts does."""
        return frozenset(change for part in self._parts for change in part.changes)

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """See Augmentation."""
        for index, part in enumerate(self._parts):
            image = part(image, draws, f"{purpose}/{index}")
        return image

    def observed(self, draws: Draws) -> dict[str, Tensor]:
        """What its parts have to say."""
        return {name: value for part in self._parts for name, value in part.observed(draws).items()}

    def hear(self, signs: Tensor, draws: Draws) -> None:
        """See Augmentation."""
        for part in self._parts:
            part.hear(signs, draws)
