"""DCGAN: convolutions of 4 x 4 pixels and batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.generators import Generator
from lightning_mtgan.networks.mixing import GlobalBatchNorm
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.widths import SMALLEST, widths
from lightning_mtgan.types import DataSpec


def _ladder(spec: DataSpec, width: int) -> list[int]:
    """Channels from half the resolution down to 4 x 4.

    Raises:
        UserError: If the size is not 8, 16, 32, 64 ...
    """
    channels = widths(spec.image_size, width, maximum=16 * width)[:-1]
    if not channels:
        raise UserError(f"image_size is {spec.image_size}, but DCGAN needs 8, 16, 32 ... pixels; enlarge the images")
    return channels


def _initialize(network: nn.Module) -> None:
    """N(0, 0.02) for weights, Radford et al. 2016 (arXiv:1511.06434), section 4; N(1, 0.02) for gains, its code."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, GlobalBatchNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)


class DCGANGenerator(Generator):
    """Transposed convolutions that double a 4 x 4 map, Radford et al. 2016 (arXiv:1511.06434), figure 1.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector, which stands behind the latent; 0 for none.
        latent_dim: Length of the latent vector.
        width: Channels at half the resolution; doubled at each halving, at most 16 times as many.
    """

    def __init__(self, spec: DataSpec, condition_dim: int, latent_dim: int = 100, width: int = 64) -> None:
        super().__init__(latent_dim)
        channels = _ladder(spec, width)[::-1]
        # A transposed 4 x 4 convolution of a single pixel is this linear layer.
        self.lift = nn.Linear(latent_dim + condition_dim, channels[0] * SMALLEST**2, bias=False)
        self.normalize = nn.ModuleList(GlobalBatchNorm(width) for width in channels)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 4, stride=2, padding=1, bias=False)
            for below, above in pairwise([*channels, spec.num_channels])
        )
        _initialize(self)

    def render(self, style: Tensor, latent: Tensor) -> Tensor:
        """Styles (N, 1, latent_dim + condition_dim) to images (N, C, H, W) in [-1, 1]."""
        features = self.lift(style.flatten(1)).unflatten(1, (-1, SMALLEST, SMALLEST))
        for normalize, grow in zip(self.normalize, self.grow, strict=True):
            features = grow(relu(normalize(features)))
        return features.tanh()


class DCGANTrunk(Trunk):
    """Convolutions that halve an image down to 4 x 4, Radford et al. 2016 (arXiv:1511.06434), section 3.

    What the paper's last convolution reads is the features: all of the 4 x 4 map.

    Args:
        spec: Size and channels of the images.
        width: Channels at half the resolution; doubled at each halving, at most 16 times as many.
        normalization: From a number of channels to a layer behind each convolution but the first;
            null for none, without which R1 and R2 are exact per image.
    """

    def __init__(
        self,
        spec: DataSpec,
        width: int = 64,
        normalization: Callable[[int], nn.Module] | None = GlobalBatchNorm,
    ) -> None:
        channels = _ladder(spec, width)
        super().__init__(channels[-1] * SMALLEST**2)
        self.from_image = nn.Conv2d(spec.num_channels, channels[0], 4, stride=2, padding=1, bias=False)
        has_bias = normalization is None  # a normalisation takes away what a bias adds, and has its own
        self.shrink = nn.ModuleList(
            nn.Conv2d(above, below, 4, stride=2, padding=1, bias=has_bias) for above, below in pairwise(channels)
        )
        self.normalize = nn.ModuleList(
            normalization(below) if normalization is not None else nn.Identity() for below in channels[1:]
        )
        _initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) to features (N, num_features)."""
        features = leaky_relu(self.from_image(image), 0.2)
        for shrink, normalize in zip(self.shrink, self.normalize, strict=True):
            features = leaky_relu(normalize(shrink(features)), 0.2)
        return features.flatten(1)
