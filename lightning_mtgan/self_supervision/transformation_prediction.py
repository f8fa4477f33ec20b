"""SS-GAN: which change was made to an image?"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lightning_mtgan.augment.chances import whole_number
from lightning_mtgan.errors import UserError
from lightning_mtgan.losses import masked_mean
from lightning_mtgan.regularizers import Play
from lightning_mtgan.self_supervision.self_supervision import SelfSupervision, Trunk
from lightning_mtgan.self_supervision.transformation import Transformation
from lightning_mtgan.types import DataSpec


class TransformationTask(SelfSupervision, ABC):
    """What all tasks share that change images and ask their head about it.

    Args:
        spec: What the data is.
        num_features: Length F of the trunk's features.
        transformation: The changes.
        probability: How likely an image takes part, above 0, up to 1.
        head: From F and the number of labels to the head.

    Raises:
        UserError: If the probability is out of range, or the images cannot be changed in this way.
    """

    labels_per_change: ClassVar[int] = 1

    def __init__(
        self,
        spec: DataSpec,
        num_features: int,
        transformation: Transformation,
        probability: float = 1.0,
        head: Callable[[int, int], nn.Module] = nn.Linear,
    ) -> None:
        super().__init__()
        if not 0 < probability <= 1:
            raise UserError(
                f"{type(self).__name__}.probability is {probability}; use the share of images that take part, "
                "above 0, up to 1 for all"
            )
        transformation.require_fitting(spec.image_size)
        self.name = transformation.name
        self.transformation, self.probability = transformation, probability
        self.head = head(num_features, transformation.count * self.labels_per_change)

    def asked(self, play: Play, kind: Literal["real", "fake"], trunk: Trunk) -> tuple[Tensor, Tensor]:
        """The head's logits (N, labels) of images of a turn, changed at random, and how they were: int64 (N,)."""
        image = play.real_image if kind == "real" else play.fake_image
        index = whole_number(self._uniform(play, kind, len(image)), self.transformation.count).long()
        return self.logits(self.transformation(image, index), trunk), index

    def logits(self, image: Tensor, trunk: Trunk) -> Tensor:
        """The head's logits (N, labels) of changed images, in the images' type, without autocast."""
        features = trunk(image)
        with torch.autocast(image.device.type, enabled=False):
            return self.head(features.to(image.dtype))

    def mean(self, losses: Tensor, play: Play, kind: Literal["real", "fake"]) -> Tensor:
        """This rank's share of the mean of losses (N,) over the images of the global batch that take part."""
        if self.probability == 1:
            return losses.mean()
        return masked_mean(losses, self._uniform(play, f"{kind}/part", len(losses)) < self.probability)

    def _uniform(self, play: Play, purpose: str, num_images: int) -> Tensor:
        # In float32 whatever the precision of the run, so that it decides over no image.
        return replace(play.draws, dtype=torch.float32).uniform(f"{self.name}/{purpose}", num_images)


class TransformationPrediction(TransformationTask):
    """E -log q(k | T_k x) of real, then of generated images, Chen et al. 2019 (SS-GAN, arXiv:1811.11212), section 3.

    The discriminator learns it on real images alone, with the weight β, usually 1; the generator then pleases the
    head, with the weight α, usually 0.2. The head knows nothing of the generator, whom it rewards for images whose
    change is easily seen, real or not: see ``LabelAugmented``. The task is not free where all objects stand upright in
    one place: mimicry's README reports an FID of 6.03 with it and 5.71 without on CelebA at 64 x 64, and 12.02 with it
    and 25.87 without on LSUN at 128 x 128.

    Args:
        spec: What the data is.
        num_features: Length F of the trunk's features.
        transformation: The changes T_1 to T_K, all equally likely.
        probability: How likely an image takes part, above 0, up to 1; all pass through the trunk.
        head: From F and K to the head that answers, such as ``SpectralLinear``.

    Raises:
        UserError: If the probability is out of range, or the images cannot be changed in this way.
    """

    def discriminator_loss(self, play: Play, trunk: Trunk) -> Tensor:
        """The mean over real images."""
        return self._loss(play, "real", trunk)

    def generator_loss(self, play: Play, trunk: Trunk) -> Tensor:
        """The mean over generated images."""
        return self._loss(play, "fake", trunk)

    def is_right(self, image: Tensor, trunk: Trunk) -> Tensor:
        """See SelfSupervision."""
        index = torch.arange(len(image), device=image.device) % self.transformation.count
        return (self.logits(self.transformation(image, index), trunk).argmax(1) == index).float()

    def _loss(self, play: Play, kind: Literal["real", "fake"], trunk: Trunk) -> Tensor:
        logits, index = self.asked(play, kind, trunk)
        return self.mean(cross_entropy(logits, index, reduction="none"), play, kind)
