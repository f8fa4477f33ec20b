"""Layers that mix the samples of a batch: their statistics are those of all ranks together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from lightning_mtgan import distributed


class MixesSamples(nn.Module):
    """A layer whose output for one image depends on the other images of the batch.

    A Game judges real and generated images in passes of their own if its discriminator has one.
    """


def mixes_samples(network: nn.Module) -> bool:
    """Whether some layer of a network mixes samples."""
    return any(isinstance(layer, MixesSamples | nn.modules.batchnorm._BatchNorm) for layer in network.modules())


class GlobalNormalization(MixesSamples):
    """Mean 0 and variance 1 of each channel over all ranks, then a gain and a bias that the caller brings.

    Unlike ``torch.nn.SyncBatchNorm`` it works on every device and can be differentiated twice, so
    that R1 and R2 may pass through it. In evaluation mode it uses running averages.

    Args:
        num_features: Channels C of the input, (N, C) or (N, C, H, W).
        eps: What is added to the variance.
        momentum: Weight of the new batch in the running averages.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def transformed(self, features: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        """(N, C) or (N, C, H, W), with gain and bias (1, C) or (N, C), to the same shape and type."""
        is_lonely = features.numel() == features.shape[1]  # one value for each channel, which torch refuses
        if self.training and (distributed.world_size() > 1 or is_lonely):
            return self._over_ranks(features, gain, bias)
        if len(gain) == 1:
            return self._alone(features, gain[0], bias[0])
        shape = (-1, features.shape[1]) + (1,) * (features.ndim - 2)
        gain, bias = (one.to(features.dtype).view(shape) for one in (gain, bias))
        return torch.addcmul(bias, self._alone(features, None, None), gain)

    def _alone(self, features: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
        """The same by torch's own kernels, in a third of the passes over memory."""
        if not self.training:
            return batch_norm(features, self.running_mean, self.running_var, gain, bias, False, 0.0, self.eps)
        mean, unbiased = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        result = batch_norm(features, mean, unbiased, gain, bias, True, 1.0, self.eps)
        self._remember(mean, unbiased)
        return result

    def _over_ranks(self, features: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        shape = (-1, features.shape[1]) + (1,) * (features.ndim - 2)
        wide = features.to(self.running_mean.dtype)  # under autocast sums of many numbers need all bits
        mean, variance = self._statistics(wide)
        scale = gain * (variance + self.eps).rsqrt()
        return ((wide - mean.view(shape)) * scale.view(shape) + bias.view(shape)).to(features.dtype)

    def _statistics(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel over all ranks, (C,) each."""
        others = [0, *range(2, features.ndim)]
        count = features.numel() // features.shape[1] * distributed.world_size()
        mean = distributed.total(features.sum(others)) / count
        centred = features - mean.view((1, -1) + (1,) * (features.ndim - 2))
        variance = distributed.total(centred.square().sum(others)) / count
        self._remember(mean, variance * (count / max(count - 1, 1)))
        return mean, variance

    @torch.no_grad()
    def _remember(self, mean: Tensor, unbiased: Tensor) -> None:
        # What is not finite would live on in the averages, though the step is left out because of it.
        keep = (mean.isfinite() & unbiased.isfinite()).to(mean.dtype) * self.momentum
        self.running_mean.lerp_(mean.nan_to_num(0, 0, 0), keep)
        self.running_var.lerp_(unbiased.nan_to_num(0, 0, 0), keep)


class GlobalBatchNorm(GlobalNormalization):
    """Batch normalisation over all ranks, Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1.

    Args:
        num_features: Channels C of the input, (N, C) or (N, C, H, W).
        eps: What is added to the variance.
        momentum: Weight of the new batch in the running averages.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C) or (N, C, H, W) to the same shape and type."""
        return self.transformed(features, self.weight[None], self.bias[None])


class MinibatchDeviation(MixesSamples):
    """One more channel: how much images differ, Karras et al. 2018 (arXiv:1710.10196), section 3.

    The standard deviation of each feature over the batch of all ranks, averaged to one number.

    Args:
        eps: What is added to the variance.
    """

    num_extra = 1
    """Channels that it adds."""

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 1, H, W)."""
        wide = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
        count = len(wide) * distributed.world_size()
        mean = distributed.total(wide.sum(0)) / count
        variance = distributed.total((wide - mean).square().sum(0)) / count
        deviation = (variance + self.eps).sqrt().mean().to(features.dtype)
        return torch.cat([features, deviation.expand(len(features), 1, *features.shape[2:])], dim=1)
