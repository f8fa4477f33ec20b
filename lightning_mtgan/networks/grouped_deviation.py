"""How much the images of a small group differ."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.mixing import MinibatchDeviation


class GroupedMinibatchDeviation(MinibatchDeviation):
    """One more channel: how much the images of a group differ, as in StyleGAN2 (arXiv:1912.04958), appendix B.

    The standard deviation of each feature over the group, averaged to one number. Groups are images
    that follow each other in the batch of all ranks, so that ranks whose share is whole groups need
    not talk; a batch smaller than a group is one group. In evaluation mode, where any number of images
    may be judged, the last group is smaller.

    Args:
        group_size: Images in a group: 4 in the paper, 32 for CIFAR-10 in StyleGAN2-ADA.
        eps: What is added to the variance.
    """

    def __init__(self, group_size: int = 4, eps: float = 1e-8) -> None:
        super().__init__(eps)
        self.group_size = group_size

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 1, H, W).

        Raises:
            UserError: If the batch of all ranks is not whole groups.
        """
        wide = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
        if not self.training:
            parts = [self._deviation(group[None]) for group in wide.split(self.group_size)]
            return self._beside(features, torch.cat(parts))
        count = len(wide)
        whole = count * distributed.world_size()
        size = min(self.group_size, whole)
        if whole % size != 0:
            raise UserError(f"{whole} images are judged together, which are not whole groups of group_size {size}")
        is_apart = count % size == 0
        rows = wide if is_apart else distributed.gather(wide)
        deviation = self._deviation(rows.unflatten(0, (-1, size)))
        if not is_apart:
            deviation = deviation[distributed.rank() * count :][:count]
        return self._beside(features, deviation)

    def _deviation(self, groups: Tensor) -> Tensor:
        """Groups (K, size, C, H, W) to the number of each of their images, (K * size,)."""
        variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)
        return (variance + self.eps).sqrt().mean((1, 2, 3)).repeat_interleave(groups.shape[1])

    def _beside(self, features: Tensor, deviation: Tensor) -> Tensor:
        own = deviation.to(features.dtype)[:, None, None, None]
        return torch.cat([features, own.expand(-1, -1, *features.shape[2:])], dim=1)
