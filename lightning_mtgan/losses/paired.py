"""Losses of images that have a counterpart: pixel by pixel, and feature by feature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def lost_error(image: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """The mean absolute error of each image over the pixels that were lost, (N,); 0 where none was.

    The L1 reconstruction of Isola et al. 2017 (pix2pix, arXiv:1611.07004), equation 3, where it says something: a
    small hole counts as much as a large one.

    Args:
        image: Restored images, (N, C, H, W).
        truth: What they were, (N, C, H, W).
        known: 1 where a pixel was given, 0 where it was lost, (N, 1, H, W).
    """
    lost = (1 - known).flatten(1)
    errors = (image - truth).abs().mean(1).flatten(1) * lost
    return errors.sum(1) / lost.sum(1).clamp(min=1)


def feature_distance(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """sum_l mean |f_l(x) - f_l(G(c))| over layers, Wang et al. 2018 (pix2pixHD, arXiv:1711.11585), equation 4.

    Args:
        real: Feature maps of the truth, constants, each (N, ...).
        fake: Those of restored images.
    """
    pairs = zip(real, fake, strict=True)
    kind = torch.promote_types(fake[0].dtype, torch.float32)
    return torch.stack([(one.detach() - other).abs().mean(dtype=kind) for one, other in pairs]).sum()
