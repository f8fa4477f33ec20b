"""Residual blocks with the activation in front, He et al. 2016 (arXiv:1603.05027), as SNGAN and BigGAN use them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import interpolate, relu


class GeneratorBlock(nn.Module):
    """Doubles a feature map, Miyato et al. 2018 (arXiv:1802.05957), appendix B.4.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        normalization: From a number of channels to a layer that reads features and condition.
        normalize_weight: What each 3 x 3 convolution passes through when it is made: its
            initialisation, and a bound on its weight.
        normalize_shortcut: The same for the 1 x 1 convolution beside them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalization: Callable[[int], nn.Module],
        normalize_weight: Callable[[nn.Module], nn.Module],
        normalize_shortcut: Callable[[nn.Module], nn.Module],
    ) -> None:
        super().__init__()
        self.normalize_input = normalization(in_channels)
        self.grow = normalize_weight(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.normalize_hidden = normalization(out_channels)
        self.refine = normalize_weight(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.shortcut = normalize_shortcut(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(N, in_channels, H, W) and conditions (N, D) to (N, out_channels, 2 H, 2 W)."""
        hidden = relu(self.normalize_input(features, condition))
        hidden = self.grow(interpolate(hidden, scale_factor=2.0))
        hidden = self.refine(relu(self.normalize_hidden(hidden, condition)))
        # A 1 x 1 convolution of doubled pixels is the doubled convolution: a quarter of the work.
        return hidden + interpolate(self.shortcut(features), scale_factor=2.0)


class DiscriminatorBlock(nn.Module):
    """Keeps or halves a feature map, Miyato et al. 2018 (arXiv:1802.05957), appendix B.4.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        hidden_channels: Channels between both convolutions.
        normalize_weight: What each 3 x 3 convolution passes through when it is made: its
            initialisation, and a bound on its weight.
        normalize_shortcut: The same for the 1 x 1 convolution beside them.
        halves: Whether the result has half the height and width.
        reads_image: Whether the input is an image, of which an activation would lose the negative half.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int,
        normalize_weight: Callable[[nn.Module], nn.Module],
        normalize_shortcut: Callable[[nn.Module], nn.Module],
        halves: bool,
        reads_image: bool,
    ) -> None:
        super().__init__()
        self.activate = nn.Identity() if reads_image else nn.ReLU()
        self.first = normalize_weight(nn.Conv2d(in_channels, hidden_channels, 3, padding=1))
        self.second = normalize_weight(nn.Conv2d(hidden_channels, out_channels, 3, padding=1))
        self.shrink = nn.AvgPool2d(2) if halves else nn.Identity()
        is_changed = halves or in_channels != out_channels
        self.shortcut = normalize_shortcut(nn.Conv2d(in_channels, out_channels, 1)) if is_changed else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W), or half of H and W."""
        hidden = self.second(relu(self.first(self.activate(features))))
        # A 1 x 1 convolution and a mean of pixels may change places: a quarter of the work.
        return self.shrink(hidden) + self.shortcut(self.shrink(features))
