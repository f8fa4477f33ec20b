"""The mapping network of the StyleGANs: from a latent and a condition to a style."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.equalized import LEAKY_RELU_GAIN, EqualizedLinear
from lightning_mtgan.networks.precision import full_precision


def normalized(vectors: Tensor, eps: float = 1e-8) -> Tensor:
    """Vectors (N, D) with a mean square of 1, Karras et al. 2018 (arXiv:1710.10196), section 4.2."""
    return vectors * (vectors.square().mean(1, keepdim=True) + eps).rsqrt()


class MappingNetwork(nn.Module):
    """Fully connected layers behind a normalised latent, StyleGAN (arXiv:1812.04948), section 2.

    A condition is embedded by a linear layer, normalised and concatenated, as in StyleGAN2-ADA
    (arXiv:2006.06676), appendix C. It runs in full precision under autocast, too.

    Args:
        latent_dim: Length of the latent vector; 0 to map the condition alone.
        condition_dim: Length of the condition vector; 0 for none.
        num_features: Length of the result, and of all vectors in between.
        num_layers: Fully connected layers.
        lr_multiplier: How much slower than other layers they learn.
    """

    def __init__(
        self, latent_dim: int, condition_dim: int, num_features: int, num_layers: int, lr_multiplier: float = 0.01
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.embed = EqualizedLinear(condition_dim, num_features) if condition_dim > 0 else None
        first = latent_dim + (num_features if condition_dim > 0 else 0)
        self.layers = nn.ModuleList(
            EqualizedLinear(before, after, lr_multiplier=lr_multiplier, gain=LEAKY_RELU_GAIN)
            for before, after in pairwise([first] + [num_features] * num_layers)
        )

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Latents (N, latent_dim) and conditions (N, condition_dim) to vectors (N, num_features)."""
        weight = next(self.parameters())
        with full_precision(weight.device):
            parts = [normalized(latent.to(weight.dtype))] if self.latent_dim > 0 else []
            if self.embed is not None:
                parts.append(normalized(self.embed(condition.to(weight.dtype))))
            features = torch.cat(parts, dim=1)
            for layer in self.layers:
                features = leaky_relu(layer(features), 0.2)
            return features
