"""SSGAN-LA: which change was made, and is the image real?"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lightning_mtgan.regularizers import Play
from lightning_mtgan.self_supervision.self_supervision import Trunk
from lightning_mtgan.self_supervision.transformation_prediction import TransformationTask


class LabelAugmented(TransformationTask):
    """One head over 2K labels, Hou et al. 2021 (SSGAN-LA, arXiv:2106.08601).

    Label 2k is a real image changed in way k, 2k + 1 a generated one. The head is a discriminator for each change at
    once, so that the generator is rewarded for the realism of its images under every change, and not, as with
    ``TransformationPrediction``, for changes that are easily seen.

    The paper drops the plain adversarial loss: give ``adversarial`` the weight 0 in both players' Balancers, and this
    task 1. Its variant SSGAN-LA+ keeps both.

    Args:
        spec: What the data is.
        num_features: Length F of the trunk's features.
        transformation: The changes T_0 to T_{K-1}, all equally likely; the first is none.
        probability: How likely an image takes part, above 0, up to 1; all pass through the trunk.
        head: From F and 2K to the head that answers, such as ``SpectralLinear``.

    Raises:
        UserError: If the probability is out of range, or the images cannot be changed in this way.
    """

    is_unbounded = True
    labels_per_change: ClassVar[int] = 2

    def discriminator_loss(self, play: Play, trunk: Trunk) -> Tensor:
        """E -log p(real, k | T_k x) + E -log p(fake, k | T_k G(z))."""
        logits, index = self.asked(play, "real", trunk)
        as_real = self.mean(cross_entropy(logits, 2 * index, reduction="none"), play, "real")
        logits, index = self.asked(play, "fake", trunk)
        return as_real + self.mean(cross_entropy(logits, 2 * index + 1, reduction="none"), play, "fake")

    def generator_loss(self, play: Play, trunk: Trunk) -> Tensor:
        """E -log p(real, k | T_k G(z)) + log p(fake, k | T_k G(z)), a difference of logits: their sum cancels."""
        logits, index = self.asked(play, "fake", trunk)
        real, fake = logits.unflatten(1, (-1, 2)).take_along_dim(index[:, None, None], 1).squeeze(1).unbind(1)
        return self.mean(fake - real, play, "fake")

    def is_right(self, image: Tensor, trunk: Trunk) -> Tensor:
        """Whether the largest of a real image's K labels is that of its change, float (N,) of 0 and 1."""
        index = torch.arange(len(image), device=image.device) % self.transformation.count
        real = self.logits(self.transformation(image, index), trunk)[:, ::2]
        return (real.argmax(1) == index).float()
