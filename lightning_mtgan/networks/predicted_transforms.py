"""A generator that only says how much of each transform an image needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.conv_encoder import ConvEncoder
from lightning_mtgan.networks.filling import filled
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.networks.precision import full_precision
from lightning_mtgan.networks.r3gan import initialized
from lightning_mtgan.networks.translator import Translator
from lightning_mtgan.transforms import (
    Adjustable,
    Contrast,
    Gamma,
    Pipeline,
    Saturation,
    Transform,
    UnsharpMask,
    WhiteBalance,
)
from lightning_mtgan.transforms.strips import from_pixels
from lightning_mtgan.types import DataSpec

LOOKED_AT = 64
"""Pixels of the longer side of what the network sees, at most."""
NUM_HALVINGS = 3
"""After which maps are averaged."""


class PredictedTransforms(Translator):
    """Transforms in a fixed order, each by an amount that a small network predicts for each image.

    Differentiable filters with predicted amounts are from Hu et al. 2018 (Exposure, arXiv:1709.09602), section 3, who
    choose them one by one; here all are used at once. The network sees the image made small by averaging areas, so that
    its answer hardly depends on the size, and what to restore. At first it changes nothing. It can invent no detail:
    holes are no more than ``filled``.

    Args:
        spec: Channels of the images.
        condition_dim: Length of the condition vector, what to restore; 0 for none.
        encoder: Must be null: it has nothing in common with a discriminator's.
        transforms: What can be done, in this order; their own amounts are not read. Null for gamma, contrast, white
            balance, saturation and an unsharp mask.
        width: Channels of the network at full resolution; doubled at each of three halvings.

    Raises:
        UserError: If an encoder is given, or no transform.
    """

    encoder: ImageEncoder | None

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        encoder: ImageEncoder | None = None,
        transforms: list[Adjustable] | None = None,
        width: int = 16,
    ) -> None:
        super().__init__()
        if encoder is not None:
            raise UserError(
                "model.game.generator PredictedTransforms has no encoder to share; set model.game.shares_encoder false"
            )
        if transforms is not None and not transforms:
            raise UserError("model.game.generator.transforms is empty; name at least one, or leave it out")
        self.encoder = None
        default = [Gamma(), Contrast(), WhiteBalance(), Saturation(), UnsharpMask()]
        self.transforms: Sequence[Adjustable] = default if transforms is None else list(transforms)
        self.trunk = ConvEncoder(spec.num_channels, width, NUM_HALVINGS)
        self.head = _Amounts(self.trunk.widths[-1], condition_dim, self.transforms)

    @property
    def margin(self) -> int | None:
        """None: amounts depend on the whole image."""
        return None

    def forward(self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None) -> Tensor:
        """See Translator; in [-1, 1]."""
        base = filled(image, known) if base is None else base
        made = base
        amounts = self.amounts(base, condition).to(base.dtype)
        for transform, amount in zip(self.transforms, amounts.unbind(1), strict=True):
            made = transform.adjusted(made, amount)
        return torch.where(known >= 1, image, made)

    @torch.no_grad()
    def rule(self, pixels: Tensor, condition: Tensor) -> Transform:
        """See Translator: the transforms at this image's amounts; between them it is rounded to 8 bits."""
        small = torch.cat([_small(from_pixels(channel[None, None])) for channel in pixels], dim=1)
        amounts = self.amounts(small.to(condition), condition)[0].tolist()
        return Pipeline([transform.at(amount) for transform, amount in zip(self.transforms, amounts, strict=True)])

    def amounts(self, image: Tensor, condition: Tensor) -> Tensor:
        """How much of each transform each image needs, (N, number of transforms), from ``least`` to ``most``.

        Args:
            image: Images (N, C, H, W) in [-1, 1].
            condition: What to restore, (N, condition_dim).
        """
        dtype = self.trunk.from_image.weight.dtype
        with full_precision(image.device):  # a rounded amount would change every pixel
            features = self.trunk(_small(image.to(dtype)))[-1].mean((2, 3))
            return self.head(features, condition.to(dtype))


class _Amounts(nn.Module):
    """From features (N, F) and conditions (N, D) to an amount for each transform, (N, T): neutral at first."""

    least: Tensor
    neutral: Tensor
    most: Tensor

    def __init__(self, num_features: int, condition_dim: int, transforms: Sequence[Adjustable]) -> None:
        super().__init__()
        self.hidden = initialized(nn.Linear(num_features + condition_dim, num_features))
        self.last = initialized(nn.Linear(num_features, len(transforms)), gain=0.0)
        for name in ("least", "neutral", "most"):
            numbers = torch.tensor([getattr(transform, name) for transform in transforms])
            self.register_buffer(name, numbers, persistent=False)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        hidden = leaky_relu(self.hidden(torch.cat([features, condition], dim=1)), 0.2)
        amount = self.neutral + (self.most - self.least) / 2 * self.last(hidden)
        return _Within.apply(amount, self.least, self.most)  # type: ignore[no-untyped-call]


class _Within(torch.autograd.Function):
    """Clamps numbers; the gradient goes through wherever a step along it does not lead further out.

    Where an end is the amount that changes nothing, a plain clamp could keep a transform from ever being learned.
    """

    @staticmethod
    def forward(ctx: Any, number: Tensor, least: Tensor, most: Tensor) -> Tensor:
        ctx.save_for_backward(number, least, most)
        return number.clamp(least, most)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        number, least, most = ctx.saved_tensors
        leads_out = ((number < least) & (gradient > 0)) | ((number > most) & (gradient < 0))
        return gradient.masked_fill(leads_out, 0), None, None


def _small(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    share = min(1.0, LOOKED_AT / max(height, width))
    return interpolate(image, (max(1, round(share * height)), max(1, round(share * width))), mode="area")
