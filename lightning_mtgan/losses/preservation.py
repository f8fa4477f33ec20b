"""What an image shows must stay, however bright it becomes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST = 1e-5
"""What is added to a variance: features that are nearly flat have nothing to preserve."""


def preservation_distance(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    """mean_l mean (IN f_l(x) - IN f_l(G(x)))^2 over layers, between an image and what is made of the same image.

    The self feature preserving loss of Jiang et al. 2019 (EnlightenGAN, arXiv:1906.06972), with features f of
    several layers. Each channel of each image is normalised over its places (IN): a gain above 0 and an offset of a
    channel are free, and the distance is 0 to 4, 2 where nothing is left.

    Args:
        before: Feature maps of the images as they were, constants, each (N, C, H, W).
        after: Those of what became of them.
    """
    pairs = zip(before, after, strict=True)
    return torch.stack(
        [(_normalized(one.detach()) - _normalized(other)).square().mean() for one, other in pairs]
    ).mean()


def _normalized(features: Tensor) -> Tensor:
    """In float32 or wider, whatever the precision of the run."""
    wide = features.to(torch.promote_types(features.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
    return (wide - mean) * (variance + SMALLEST).rsqrt()
