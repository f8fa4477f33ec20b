"""Generators that take an image and restore it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.conv_encoder import ConvEncoder
from lightning_mtgan.networks.filling import filled
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.types import DataSpec


class ImageTranslator(nn.Module, ABC):
    """Adds to a damaged image what it lacks; what is known of it stays as it is, bit by bit.

    Holes are first ``filled`` from around; the encoder reads this base and which pixels are known, and the
    network adds a residual, which is zero at first: then the base comes back.

    Args:
        spec: Channels of the images.
        encoder: An encoder of images with one channel more, ``known``, which may be the discriminator's (NICE-GAN,
            Chen et al. 2020, arXiv:2003.00273, section 3.1); None for one of its own.
        width: Channels of the encoder at full resolution.
        num_halvings: How often the encoder halves height and width.

    Raises:
        UserError: If the given encoder has another width or number of halvings.
    """

    def __init__(self, spec: DataSpec, encoder: ImageEncoder | None, width: int, num_halvings: int) -> None:
        super().__init__()
        if encoder is not None:
            _require_same(encoder, width, num_halvings)
        self.encoder = encoder if encoder is not None else ConvEncoder(spec.num_channels + 1, width, num_halvings)

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

    @abstractmethod
    def residual(self, maps: Sequence[Tensor], condition: Tensor) -> Tensor:
        """The encoder's maps, the full resolution first, and conditions (N, condition_dim) to (N, C, H, W)."""


def _require_same(encoder: ImageEncoder, width: int, num_halvings: int) -> None:
    trunk = (encoder.widths[0], len(encoder.widths) - 1)
    for name, own, given in zip(("width", "num_halvings"), (width, num_halvings), trunk, strict=True):
        if own != given:
            raise UserError(
                f"model.game.generator.{name} is {own}, but model.game.trunk.{name} is {given}; "
                "generator and discriminator share their encoder: give both the same"
            )
