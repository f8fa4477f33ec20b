"""Generators that take an image and restore it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.conv_encoder import ConvEncoder
from lightning_mtgan.networks.feature_wise import FeatureWise, FeatureWiseBlock
from lightning_mtgan.networks.filling import filled
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.networks.r3gan import initialized
from lightning_mtgan.networks.translator import Translator
from lightning_mtgan.types import DataSpec


class ImageTranslator(Translator):
    """Adds to a damaged image what it lacks; what is known of it stays as it is, bit by bit.

    Holes are first ``filled`` from around; the encoder reads this base and which pixels are known, residual blocks at
    the lowest resolution and the way up are told what to restore, and the network adds a residual, which is zero at
    first: then the base comes back. There is no normalisation: images are restored independently.

    Args:
        spec: Channels of the images.
        condition_dim: Length of the condition vector, what to restore; 0 for none.
        encoder: An encoder of images with one channel more, ``known``, which may be the discriminator's (NICE-GAN,
            Chen et al. 2020, arXiv:2003.00273, section 3.1); null for one of its own.
        width: Channels at full resolution; doubled at each halving.
        num_halvings: How often height and width are halved.
        num_blocks: Residual blocks at the lowest resolution.

    Raises:
        UserError: If the given encoder has another width or number of halvings.
    """

    encoder: ImageEncoder
    reach_of_doubling: ClassVar[int]
    """Pixels of the larger map, to each side of one of them, that ``doubling`` reads at most."""

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        encoder: ImageEncoder | None = None,
        width: int = 16,
        num_halvings: int = 2,
        num_blocks: int = 4,
    ) -> None:
        super().__init__()
        if encoder is not None:
            _require_same(encoder, width, num_halvings)
        self.encoder = encoder if encoder is not None else ConvEncoder(spec.num_channels + 1, width, num_halvings)
        widths = self.encoder.widths
        self.blocks = nn.ModuleList(FeatureWiseBlock(widths[-1], condition_dim) for _ in range(num_blocks))
        self.up = nn.ModuleList(self.doubling(below, above, condition_dim) for below, above in pairwise(widths[::-1]))
        self.last = FeatureWise(widths[0], condition_dim)
        self.to_image = initialized(nn.Conv2d(widths[0], spec.num_channels, 3, padding=1), gain=0.0)

    def forward(self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None) -> Tensor:
        """Damaged images restored.

        Args:
            image: What is left of them, (N, C, H, W) in [-1, 1], of any H and W.
            known: 1 where a pixel is that of the truth, 0 where it must be restored, (N, 1, H, W).
            condition: What to restore, (N, condition_dim).
            base: ``filled`` images, where they are parts of larger ones that were filled as a whole; None to fill them.

        Returns:
            (N, C, H, W), around [-1, 1]: no function bounds it, so that a loss has a gradient everywhere.
        """
        height, width = image.shape[2:]
        base = filled(image, known) if base is None else base
        residual = self.residual(self.maps(base, known), condition)[:, :, :height, :width]
        return torch.where(known >= 1, image, base + residual)

    @property
    def margin(self) -> int | None:
        """Pixels to each side of one that its restored value depends on, at most; a multiple of the encoder's.

        Of a part of a larger image, which begins at such a multiple, all else comes out as in the whole, if its holes
        were ``filled`` before. None where the encoder is none whose layers are known.
        """
        if not isinstance(self.encoder, ConvEncoder):
            return None
        lowest = self.encoder.multiple
        down = 1 + sum(3 << level for level in range(len(self.encoder.widths) - 1))  # halved: 1, refined: 2, of level
        middle = 2 * len(self.blocks) * lowest
        up = self.reach_of_doubling * (lowest - 1) + 1
        return -(-(down + middle + up) // lowest) * lowest

    def maps(self, image: Tensor, known: Tensor) -> list[Tensor]:
        """The encoder's maps of images (N, C, H, W), as ``filled`` returns them, and of ``known``, (N, 1, H, W).

        Below and on the right they are mirrored up to the encoder's multiple, or repeated where they are too small.
        """
        height, width = image.shape[2:]
        below, right = -height % self.encoder.multiple, -width % self.encoder.multiple
        seen = torch.cat([image, known.to(image.dtype)], dim=1)
        if below or right:
            seen = pad(seen, (0, right, 0, below), mode="reflect" if below < height and right < width else "replicate")
        return self.encoder(seen)

    def residual(self, maps: Sequence[Tensor], condition: Tensor) -> Tensor:
        """The encoder's maps, the full resolution first, and conditions (N, condition_dim) to (N, C, H, W)."""
        *skips, features = maps
        for block in self.blocks:
            features = block(features, condition)
        features = self.last(self.grown(features, skips, condition), condition)
        return self.to_image(leaky_relu(features, 0.2))

    @abstractmethod
    def doubling(self, in_channels: int, out_channels: int, condition_dim: int) -> nn.Module:
        """A layer that doubles height and width of a map."""

    @abstractmethod
    def grown(self, features: Tensor, skips: Sequence[Tensor], condition: Tensor) -> Tensor:
        """The lowest map (N, widths[-1], h, w) brought to the full resolution by ``self.up``, (N, widths[0], H, W).

        Args:
            features: The map.
            skips: The encoder's other maps, the full resolution first.
            condition: What to restore, (N, condition_dim).
        """


def _require_same(encoder: ImageEncoder, width: int, num_halvings: int) -> None:
    trunk = (encoder.widths[0], len(encoder.widths) - 1)
    for name, own, given in zip(("width", "num_halvings"), (width, num_halvings), trunk, strict=True):
        if own != given:
            raise UserError(
                f"model.game.generator.{name} is {own}, but model.game.trunk.{name} is {given}; "
                "generator and discriminator share their encoder: give both the same"
            )
