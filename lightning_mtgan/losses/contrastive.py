"""Losses on a hypersphere."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed


def data_to_data_cross_entropy(
    embedding: Tensor, proxy: Tensor, label: Tensor, margin: float = 0.98, temperature: float = 0.5
) -> Tensor:
    """D2D-CE, Kang et al. 2021 (ReACGAN, arXiv:2111.01118), equation 7.

    With s+ = min(f_i . v_{y_i} - margin, 0) and s-_j = max(f_i . f_j - (1 - margin), 0) it is
    -log( exp(s+/t) / (exp(s+/t) + sum over j with y_j != y_i of exp(s-_j/t)) ). Negatives come from
    the global batch.

    Args:
        embedding: Unit vectors f, (N, D).
        proxy: Unit vectors v, one for each class, (K, D).
        label: Classes y, int64 (N,); an image with -1, whose class is unknown, is neither judged nor
            anybody's negative.
        margin: The positive margin m_p in (0, 1); the negative one is 1 - m_p.
        temperature: t, positive.

    Returns:
        This rank's share of the mean over the images of all ranks whose class is known.
    """
    positive = ((embedding * proxy[label.clamp(min=0)]).sum(1) - margin).clamp(max=0) / temperature
    everyone, labels = distributed.gather(embedding), distributed.gather(label)
    negative = (embedding @ everyone.T - (1 - margin)).clamp(min=0) / temperature
    negative = negative.masked_fill((label[:, None] == labels[None]) | (labels < 0)[None], -torch.inf)
    every = torch.cat([positive[:, None], negative], dim=1)
    losses = (torch.logsumexp(every, dim=1) - positive).where(label >= 0, 0)
    return losses.sum() * distributed.world_size() / (labels >= 0).sum().clamp(min=1)
