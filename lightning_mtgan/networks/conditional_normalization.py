"""Batch normalisation whose gain and bias depend on the condition."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lightning_mtgan.networks.mixing import GlobalBatchNorm, GlobalNormalization


def small_linear(in_features: int, out_features: int) -> nn.Module:
    """A linear layer without bias that starts near zero, N(0, 0.02)."""
    layer = nn.Linear(in_features, out_features, bias=False)
    nn.init.normal_(layer.weight, std=0.02)
    return layer


class ConditionalBatchNorm(GlobalNormalization):
    """Gain 1 + W_g c and bias W_b c, Brock et al. 2019 (arXiv:1809.11096), appendix B.

    Tables of one gain and one bias for each class, Dumoulin et al. 2017 (arXiv:1610.07629), section 2.2,
    are this with c as the class's own unit vector. Statistics are those of all ranks.

    Args:
        num_features: Channels C of the input.
        condition_dim: Length of the condition vector c.
        linear: From the lengths of both to W_g and W_b, layers without bias.
    """

    def __init__(
        self,
        num_features: int,
        condition_dim: int,
        linear: Callable[[int, int], nn.Module] = small_linear,
    ) -> None:
        super().__init__(num_features)
        self.gain = linear(condition_dim, num_features)
        self.bias = linear(condition_dim, num_features)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(N, C) or (N, C, H, W), and conditions (N, condition_dim), to the features' shape and type."""
        kind = self.running_mean.dtype
        return self.transformed(features, 1 + self.gain(condition).to(kind), self.bias(condition).to(kind))


class UnconditionalBatchNorm(nn.Module):
    """``GlobalBatchNorm`` in the place of ``ConditionalBatchNorm``, where there is no condition.

    Args:
        num_features: Channels C of the input.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.normalize = GlobalBatchNorm(num_features)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(N, C) or (N, C, H, W) to the same shape and type."""
        return self.normalize(features)
