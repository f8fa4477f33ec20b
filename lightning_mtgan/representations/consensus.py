"""How far features are from what they should have in common."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from lightning_mtgan import distributed


def normalized(features: Tensor) -> Tensor:
    """Features (N, ...) of each image brought to mean 0 and variance 1, Ba et al. 2016 (arXiv:1607.06450).

    So nothing is won by shrinking, and S = 0 is no optimum.
    """
    return layer_norm(features, features.shape[1:])


def consensus(moving: Tensor, constant: Tensor) -> Tensor:
    """||LN(a) - sg LN(b)||^2 / d, the mean over images: the penalty α||G - S||^2 of features, one side at a time.

    Each side in its own turn takes the other as a constant, as the two losses of van den Oord et al. 2017 (VQ-VAE,
    arXiv:1711.00937), equation 3, do.

    Args:
        moving: Features of the player whose turn it is, (N, ...), d numbers for each image.
        constant: Those that they should be like.
    """
    with torch.autocast(moving.device.type, enabled=False):
        kind = torch.promote_types(moving.dtype, torch.float32)
        return (normalized(moving.to(kind)) - normalized(constant.detach().to(kind))).square().mean()


def spread(features: Tensor) -> Tensor:
    """How much normalised features differ between images, and the weight 1, (2,): 0 if all images have the same.

    The standard deviation over the images of all ranks, the mean over numbers.

    Args:
        features: (N, ...).
    """
    everyone = distributed.gather(normalized(features.detach().float()).flatten(1))
    value = everyone.std(0, correction=0).mean()
    return torch.stack([value, torch.ones_like(value)])


def vitals(representation: Tensor) -> dict[str, Tensor]:
    """The size of S, and how much it differs between images (N, ...), each beside its weight, for the guard."""
    size = representation.detach().float().square().mean().sqrt()
    norm = torch.stack([size, torch.ones_like(size)])
    return {"representation/norm": norm, "representation/spread": spread(representation)}
