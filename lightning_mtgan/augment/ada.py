"""ADA: changes of some images, with a probability that follows the discriminator."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan.augment.augmentation import Augmentation
from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.augment.pipe import GeometricPart, PipePart, PixelPart
from lightning_mtgan.augment.pipe_colour import Colour
from lightning_mtgan.augment.pipe_geometry import Blitting, Geometry, composed
from lightning_mtgan.augment.probability import AdaptiveProbability, Probability
from lightning_mtgan.augment.sampling import resample
from lightning_mtgan.draws import Draws
from lightning_mtgan.types import Change


class ADA(Augmentation):
    """Each transformation changes each image with probability p, Karras et al. 2020 (arXiv:2006.06676), appendix B.

    All geometry of an image is one affine map and all of its colour one matrix. Unlike the paper,
    which warps at twice the resolution between two wavelet filters, pixels are means of 2 x 2 bilinear
    samples; images that are only mirrored, turned by quarters and moved by whole pixels stay exact, as
    there. Beyond the edges images are reflected, as often as needed.

    Args:
        pipe: What may be done: geometry first, then the others in their order. Null for the paper's
            choice: ``Blitting``, ``Geometry`` and ``Colour``, without filters, noise and cutout.
        probability: p; null for ``AdaptiveProbability``.
    """

    def __init__(self, pipe: list[PipePart] | None = None, probability: Probability | None = None) -> None:
        super().__init__()
        self.pipe = [Blitting(), Geometry(), Colour()] if pipe is None else list(pipe)
        self.probability = AdaptiveProbability() if probability is None else probability

    @property
    def changes(self) -> frozenset[Change]:
        """What those transformations do that are switched on."""
        return frozenset(change for part in self.pipe for change in part.changes)

    def forward(self, image: Tensor, draws: Draws, purpose: str) -> Tensor:
        """See Augmentation."""
        chances, probability = Chances.of(image, draws, purpose), self.probability(draws)
        changed = image.to(chances.dtype)
        parts = [(part, chances.part(index)) for index, part in enumerate(self.pipe)]
        size = (image.shape[2], image.shape[3])
        warps = [(part, own) for part, own in parts if isinstance(part, GeometricPart)]
        if warps:
            matrices = [part.matrix(size, own, probability) for part, own in warps]
            oversampling = 1 if all(part.keeps_pixels for part, _ in warps) else 2
            changed = resample(changed, composed(*matrices), oversampling)
        for part, own in parts:
            if isinstance(part, PixelPart):
                changed = part.change(changed, own, probability)
        return changed.to(image.dtype)

    def hear(self, signs: Tensor, draws: Draws) -> None:
        """See Augmentation."""
        self.probability.hear(signs, draws)

    def observed(self, draws: Draws) -> dict[str, Tensor]:
        """The probability p."""
        p = self.probability(draws).float()
        return {"signal/augmentation": torch.stack([p, torch.ones_like(p)])}
