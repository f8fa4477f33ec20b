"""A discriminator that judges images one by one, beside nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.games.paired_discriminator import Sight
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import PatchTrunk, UnconditionalHead


class UnpairedDiscriminator(nn.Module):
    """A trunk and a head that tell whether an image, or a patch that is shown as one, is real.

    Args:
        trunk: From images to feature maps, and to features of the whole image.
        adversarial: The loss of its logits.
    """

    def __init__(self, trunk: PatchTrunk, adversarial: AdversarialLoss) -> None:
        super().__init__()
        self.trunk, self.adversarial = trunk, UnconditionalHead(trunk.num_features, 0)
        if adversarial.compares_with_real:  # differences of logits leave a bias to wander by the rounding of sums
            self.adversarial.judge.register_parameter("bias", None)

    def see(self, images: Sequence[Tensor]) -> list[Sight]:
        """One pass of several kinds of images, as many of each kind; of each image there is one logit.

        Args:
            images: Of each kind (N, C, H, W) in [-1, 1].
        """
        kinds, like = len(images), images[0]
        maps = self.trunk.maps(torch.cat(list(images)))
        features = self.trunk.features(maps)
        with torch.autocast(like.device.type, enabled=False):  # a difference of logits needs all their bits
            logits = self.adversarial(features.to(like.dtype), features.new_zeros(len(features), 0))
        sight = Sight(maps, features, logits)
        return [sight.part(number, kinds) for number in range(kinds)]
