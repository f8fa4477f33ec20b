"""What a phase has at hand for its regularisers: images, what the discriminator made of them, and more of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from lightning_mtgan.draws import Draws
from lightning_mtgan.losses import squared_gradient_norms


@dataclass
class Pass:
    """One pass of images through the discriminator.

    Args:
        image: What went in, before any augmentation, (N, C, H, W), or packs of several images.
        features: The trunk's features, (N, F).
        logits: The judgement, (N,).
    """

    image: Tensor
    features: Tensor
    logits: Tensor

    @cached_property
    def squared_gradient_norms(self) -> Tensor:
        """1/2 ||grad_x d(x)||^2 of each image, (N,), by one backward pass for all who ask."""
        return squared_gradient_norms(self.logits, self.image)


@dataclass
class Seen:
    """Images of one kind, real or generated, as the discriminator saw them.

    Args:
        source: The pass they were part of.
        rows: Which rows of it they are.
    """

    source: Pass
    rows: slice

    @property
    def features(self) -> Tensor:
        """(N, F)."""
        return self.source.features[self.rows]

    @property
    def logits(self) -> Tensor:
        """(N,)."""
        return self.source.logits[self.rows]

    @property
    def can_be_differentiated(self) -> bool:
        """Whether ``squared_gradient_norms`` exists: the images kept track, and the pass was in full precision."""
        return self.source.image.requires_grad and not torch.is_autocast_enabled(self.source.image.device.type)

    @property
    def squared_gradient_norms(self) -> Tensor:
        """1/2 ||grad_x d(x)||^2 of each image, (N,)."""
        return self.source.squared_gradient_norms[self.rows]


class Play:
    """One turn of a player. What nobody has asked for yet is played when it is asked for.

    Args:
        draws: Every random number of the phase.
        real_image: Real images, (N, C, H, W) in [-1, 1].
        latent: Latents of the generated ones, (N, latent_dim).
        generate: From latents to images under the conditions of this batch.
        style: From latents to styles (N, L, D) under the conditions of this batch.
        render: From styles and latents to images.
        judge: From images and their kind (``real``, ``fake``, or another) to what the discriminator makes of them
            under the conditions of this batch, augmented as that kind is; the third argument says whether
            it will be differentiated by them.
        moves_generator: Whether generated images carry gradients to the generator.
    """

    def __init__(
        self,
        draws: Draws,
        real_image: Tensor,
        latent: Tensor,
        generate: Callable[[Tensor], Tensor],
        style: Callable[[Tensor], Tensor],
        render: Callable[[Tensor, Tensor], Tensor],
        judge: Callable[[Tensor, str, bool], Seen],
        moves_generator: bool,
    ) -> None:
        self.draws, self.real_image, self.latent = draws, real_image, latent
        self.style, self.render, self.judge = style, render, judge
        self._generate = generate
        self.moves_generator = moves_generator

    def generate(self, latent: Tensor) -> Tensor:
        """Images (N, C, H, W) of latents (N, latent_dim), under the conditions of this batch."""
        with torch.set_grad_enabled(self.moves_generator and torch.is_grad_enabled()):
            return self._generate(latent)

    @cached_property
    def fake_image(self) -> Tensor:
        """The generated images of this turn, (N, C, H, W)."""
        return self.generate(self.latent)

    @cached_property
    def real(self) -> Seen:
        """Real images as the discriminator sees them."""
        return self.judge(self.real_image, "real", False)

    @cached_property
    def fake(self) -> Seen:
        """Generated images as the discriminator sees them."""
        return self.judge(self.fake_image, "fake", False)

    def differentiable(self, kind: Literal["real", "fake"]) -> Seen:
        """Images of a kind in a pass that can be differentiated by them, in full precision."""
        if self._is_seen(kind):
            seen = self.real if kind == "real" else self.fake
            if seen.can_be_differentiated:
                return seen
        image = self.real_image if kind == "real" else self.fake_image
        return self.in_full_precision(image, kind)

    def _is_seen(self, kind: str) -> bool:
        return kind in self.__dict__  # a cached property that has been asked for

    def in_full_precision(self, image: Tensor, kind: str) -> Seen:
        """A pass of its own, without autocast, that can be differentiated by its images."""
        with torch.autocast(image.device.type, enabled=False):
            return self.judge(image, kind, True)
