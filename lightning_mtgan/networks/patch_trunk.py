"""The trunk of a discriminator that judges patches of images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lightning_mtgan.networks.conv_encoder import ConvEncoder
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.types import DataSpec


class PatchTrunk(Trunk):
    """Maps for a ``PatchHead``, whose places judge patches, and features of the whole image for task heads.

    The encoder may be the generator's too (NICE-GAN, Chen et al. 2020, arXiv:2003.00273, section 3.1). There is no
    normalisation: images are judged independently, and images of any size are.

    Args:
        spec: Channels of the images.
        width: Channels at full resolution; doubled at each halving.
        num_halvings: How often height and width are halved.
        num_features: Length of the feature vector.

    Raises:
        UserError: If the width is not at least 1, or the number of halvings negative.
    """

    def __init__(self, spec: DataSpec, width: int = 16, num_halvings: int = 2, num_features: int = 128) -> None:
        super().__init__(num_features)
        self.encoder = ConvEncoder(spec.num_channels + 1, width, num_halvings)
        self.body_width = self.encoder.widths[-1]
        self.body = nn.Conv2d(self.body_width, self.body_width, 3, padding=1)
        # Halved once more before the mean over places, each place sees most of a small image: its layout is not lost.
        self.shrink = nn.Conv2d(self.body_width, num_features, 3, stride=2, padding=1)
        self.gather = nn.Linear(num_features, num_features)

    def maps(self, image: Tensor, known: Tensor | None = None) -> list[Tensor]:
        """The encoder's maps, the full resolution first, and the body's, (N, body_width, h, w), last.

        Args:
            image: (N, C, H, W) in [-1, 1], of any H and W.
            known: 1 where a pixel is that of the truth, 0 where it is lost, (N, 1, H, W); None for whole images.
        """
        known = image.new_ones(len(image), 1, *image.shape[2:]) if known is None else known.to(image.dtype)
        maps = self.encoder(torch.cat([image, known], dim=1))
        return [*maps, (maps[-1] + leaky_relu(self.body(maps[-1]), 0.2)) * math.sqrt(0.5)]

    def features(self, maps: Sequence[Tensor]) -> Tensor:
        """What ``maps`` returns to features (N, num_features)."""
        return leaky_relu(self.gather(leaky_relu(self.shrink(maps[-1]), 0.2).mean((2, 3))), 0.2)

    def forward(self, image: Tensor) -> Tensor:
        """Whole images (N, C, H, W) to features (N, num_features)."""
        return self.features(self.maps(image))
