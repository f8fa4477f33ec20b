"""Means over those images of the global batch that a loss is about."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """sum_i m_i v_i / sum_i m_i over the images of all ranks; 0 where no image is meant.

    Ranks may hold different numbers of images that count, so the mean of their means would be
    another number. What is returned is this rank's share, whose mean over ranks is the masked mean.

    Args:
        values: One value for each image, (N,).
        mask: Which images count, bool (N,).
    """
    wide = torch.promote_types(values.dtype, torch.float32)  # half precision counts to 2,048
    count = distributed.total(mask.sum().to(wide))
    return values.where(mask, 0).sum(dtype=wide) * distributed.world_size() / count.clamp(min=1)
