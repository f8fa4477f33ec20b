"""One turn of a Game that has no pairs: what a discriminator is shown, and what both players make of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.paired_discriminator import Sight
from lightning_mtgan.games.patches import Patches
from lightning_mtgan.games.unpaired_discriminator import UnpairedDiscriminator
from lightning_mtgan.losses import AdversarialLoss, preservation_distance
from lightning_mtgan.regularizers import Pass, Play, Seen
from lightning_mtgan.types import DataSpec


@dataclass(frozen=True)
class Unpaired:
    """Images of a turn, none of which is the truth of another.

    Args:
        real: Clean images, (N, C, H, W) in [-1, 1].
        damaged: As many damaged ones.
        fake: What the generator made of the damaged ones.
    """

    real: Tensor
    damaged: Tensor
    fake: Tensor

    def cut(self, patches: Patches) -> Unpaired:
        """Their patches, P * N of each kind: the fake ones where the damaged ones are."""
        return Unpaired(patches(self.real), patches(self.damaged), patches(self.fake))


class UnpairedArena:
    """A discriminator and the images, or patches, of a turn of either player. It owns no network; the players do.

    Args:
        discriminator: Who sees them.
        adversarial: What both players minimise.
        images: What is seen.
    """

    def __init__(self, discriminator: UnpairedDiscriminator, adversarial: AdversarialLoss, images: Unpaired) -> None:
        self.discriminator, self.adversarial, self.images = discriminator, adversarial, images

    def see_both(self) -> tuple[Sight, Sight]:
        """Clean and enhanced images, in one pass."""
        real, fake = self.discriminator.see([self.images.real, self.images.fake])
        return real, fake

    def generator_losses(self) -> dict[str, Tensor]:
        """``adversarial`` and ``preservation``, for which the discriminator is a constant."""
        (fake,) = self.discriminator.see([self.images.fake])
        with torch.no_grad():
            kinds = [self.images.damaged] + [self.images.real] * self.adversarial.compares_with_real
            damaged, *real = self.discriminator.see(kinds)
        return {
            "adversarial": self.adversarial.generator(real[0].logits if real else None, fake.logits),
            "preservation": preservation_distance(damaged.maps, fake.maps),
        }

    def play(self, draws: Draws, both: tuple[Sight, Sight] | None = None) -> Play:
        """The discriminator's turn as regularisers know it.

        Args:
            draws: Every random number of the phase.
            both: What ``see_both`` returned, if it has been asked.
        """

        def judge(image: Tensor, kind: str, track: bool) -> Seen:
            shown = image.detach().requires_grad_() if track else image
            return _seen(shown, self.discriminator.see([shown])[0])

        def no_style(*_: Tensor) -> Tensor:
            raise TypeError("a generator that takes images has no styles")

        real, fake = self.images.real, self.images.fake
        play = Play(draws, real, real.new_zeros(len(real), 0), lambda _: fake, no_style, no_style, judge, False)
        if both is not None:
            play.real, play.fake = _seen(real, both[0]), _seen(fake, both[1])
        return play


def _seen(image: Tensor, sight: Sight) -> Seen:
    return Seen(Pass(image, sight.features, sight.logits), slice(None))


def require_patches(spec: DataSpec, num_patches: int, patch_size: int) -> None:
    """Refuse patches that cannot be cut out.

    Raises:
        UserError: With the number, and what would go.
    """
    if num_patches < 1:
        raise UserError(f"model.game.num_patches is {num_patches}; use 1 or more")
    if not 2 <= patch_size <= spec.image_size:
        raise UserError(
            f"model.game.patch_size is {patch_size}, but images have {spec.image_size} pixels; "
            f"use 2 to {spec.image_size}"
        )
