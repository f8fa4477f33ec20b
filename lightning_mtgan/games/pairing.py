"""One turn of a Game that takes images: damaged, restored and true images, and what is seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from lightning_mtgan.corruptions import Damaged
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.paired_discriminator import PairedDiscriminator, Sight
from lightning_mtgan.games.without_latents import require_regularizers
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.regularizers import (
    FakeConsistency,
    Pass,
    Play,
    RealConsistency,
    Regularizer,
    Seen,
)
from lightning_mtgan.types import TaskSpec


class Pairing:
    """Images in pairs, restored and true, in a turn of either player.

    Args:
        discriminator: Who sees them.
        draws: Every random number of the phase.
        real: The truth, (N, C, H, W) in [-1, 1].
        damaged: What was left of it.
        index: Which corruption it was, int64 (N,).
        fake: What the generator made of that, (N, C, H, W).
        moves_generator: Whether the fakes carry gradients to the generator.
    """

    def __init__(
        self,
        discriminator: PairedDiscriminator,
        draws: Draws,
        real: Tensor,
        damaged: Damaged,
        index: Tensor,
        fake: Tensor,
        moves_generator: bool,
    ) -> None:
        self.discriminator, self.draws, self.real = discriminator, draws, real
        self.damaged, self.index, self.fake, self.moves_generator = damaged, index, fake, moves_generator

    def see_both(self) -> tuple[Sight, Sight]:
        """True and restored images, in one pass, which serves ``play``, too."""
        real, fake = self.discriminator.see([self.real, self.fake], self.damaged, self.index)
        self.play.real, self.play.fake = _seen(self.real, real), _seen(self.fake, fake)
        return real, fake

    @cached_property
    def fake_sight(self) -> Sight:
        """Restored images."""
        return self.discriminator.see([self.fake], self.damaged, self.index)[0]

    def constant_sight(self) -> Sight:
        """True images of a generator's turn, in which they and the discriminator are constants."""
        with torch.no_grad():
            return self.discriminator.see([self.real], self.damaged, self.index)[0]

    @cached_property
    def play(self) -> Play:
        """The turn as regularisers and self-supervised tasks know it: of each image the mean of its patches' logits."""

        def judge(image: Tensor, kind: str, track: bool) -> Seen:
            shown = image.detach().requires_grad_() if track else image
            return _seen(shown, self.discriminator.see([shown], self.damaged, self.index)[0])

        def no_style(*_: Tensor) -> Tensor:
            raise TypeError("a generator that takes images has no styles")

        nothing = self.real.new_zeros(len(self.real), 0)
        return Play(
            self.draws, self.real, nothing, lambda _: self.fake, no_style, no_style, judge, self.moves_generator
        )


def _seen(image: Tensor, sight: Sight) -> Seen:
    return Seen(Pass(image, sight.features, sight.logits.mean(1)), slice(None))


def require_fitting(
    corruptions: Sequence[str],
    discriminator: PairedDiscriminator | None,
    adversarial: AdversarialLoss | None,
    regularizers: Sequence[Regularizer],
    tasks: Sequence[TaskSpec],
) -> None:
    """Refuse parts of a Game that takes images which do not fit together.

    Raises:
        UserError: With both parts, and what would go.
    """
    own = [one.name for one in discriminator.self_supervision] if discriminator is not None else []
    for name in own:
        if own.count(name) > 1:  # type: ignore[operator]
            raise UserError(f"model.game.self_supervision has `{name}` twice; name each once")
    require_regularizers("MTS4GAN", adversarial, regularizers)
    for one in regularizers:
        if isinstance(one, RealConsistency | FakeConsistency):
            raise UserError(
                f"model.game.regularizers has {type(one).__name__}, which changes an image, but not the damaged one "
                "beside it; leave it out"
            )
    names = [one.name for one in regularizers]
    taken = ["adversarial", "feature_matching", *corruptions, *own, *names]
    for task in tasks:
        if task.name in taken:
            raise UserError(f"task `{task.name}` has the name of another loss of this game; rename it in the data")
