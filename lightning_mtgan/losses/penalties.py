"""Penalties on the discriminator's gradient with respect to its images."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_gradient_norms(logits: Tensor, image: Tensor) -> Tensor:
    """1/2 ||grad_x d(x)||^2 for each image, Mescheder et al. 2018 (arXiv:1801.04406), equation 9.

    The mean over real images is R1, over fake images R2; gamma is the weight of the term. Right
    only for a discriminator that judges each image by itself.

    Args:
        logits: d(x), (N,).
        image: The images that the logits were computed from, (N, C, H, W), requiring gradients.

    Returns:
        (N,), differentiable with respect to the discriminator's parameters.
    """
    with torch.autocast(image.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1)
