"""The discriminator of a Game that takes images: it judges an image beside what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_mtgan.corruptions import Damaged
from lightning_mtgan.networks import PatchHead, PatchTrunk
from lightning_mtgan.self_supervision import SelfSupervision
from lightning_mtgan.supervision import Supervision


@dataclass
class Sight:
    """What a discriminator makes of images.

    Args:
        maps: Feature maps of the trunk, from the first to the last, each (N, ...).
        features: What the task heads read, (N, F).
        logits: Judgements of patches, (N, P).
    """

    maps: list[Tensor]
    features: Tensor
    logits: Tensor

    def part(self, number: int, parts: int) -> Sight:
        """One of several kinds of images that were seen one after the other."""
        cut = [one.chunk(parts)[number] for one in (*self.maps, self.features, self.logits)]
        return Sight(cut[:-2], cut[-2], cut[-1])


class PairedDiscriminator(nn.Module):
    """A trunk that sees the damaged image and a whole one, and heads that judge patches of both, after pix2pix.

    Isola et al. 2017 (arXiv:1611.07004), section 3.2.2; here both images pass through the same trunk.

    Args:
        trunk: From images to feature maps.
        adversarial: From the last maps of both, and a condition, to logits of patches.
        num_corruptions: How many things can have happened to an image.
        embedding_dim: Length of the vector that says which.
        supervision: The heads of the tasks, or None.
        self_supervision: Heads that learn without labels.
    """

    def __init__(
        self,
        trunk: PatchTrunk,
        adversarial: PatchHead,
        num_corruptions: int,
        embedding_dim: int,
        supervision: Supervision | None,
        self_supervision: Sequence[SelfSupervision],
    ) -> None:
        super().__init__()
        self.trunk, self.adversarial = trunk, adversarial
        self.embedding = nn.Embedding(num_corruptions, embedding_dim)
        self.supervision = supervision
        self.self_supervision = nn.ModuleList(self_supervision)

    def see(self, images: Sequence[Tensor], damaged: Damaged, index: Tensor) -> list[Sight]:
        """One pass of several kinds of images that were made from, or became, the same damaged ones.

        Args:
            images: Of each kind (N, C, H, W) in [-1, 1].
            damaged: N images.
            index: Which corruption happened to each, int64 (N,).
        """
        kinds, count = len(images), len(damaged.image)
        whole = torch.ones_like(damaged.known).repeat(kinds, 1, 1, 1)
        every = self.trunk.maps(torch.cat([*images, damaged.image]), torch.cat([whole, damaged.known]))
        maps = [one[: kinds * count] for one in every]
        beside = every[-1][kinds * count :].repeat(kinds, 1, 1, 1)
        kind = damaged.image.dtype
        with torch.autocast(damaged.image.device.type, enabled=False):  # a difference of logits needs all their bits
            condition = self.embedding(index).to(kind).repeat(kinds, 1)
            logits = self.adversarial(maps[-1].to(kind), beside.to(kind), condition).flatten(1)
        sight = Sight(maps, self.trunk.features(maps), logits)
        return [sight.part(number, kinds) for number in range(kinds)]
