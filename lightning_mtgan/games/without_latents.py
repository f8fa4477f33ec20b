"""What Games ask of the regularisers whose generators take images, not latents."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_mtgan.errors import UserError
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.regularizers import DiscriminatorRegularizer, LatentConsistency, Regularizer


def require_regularizers(game: str, adversarial: AdversarialLoss | None, regularizers: Sequence[Regularizer]) -> None:
    """Refuse regularisers that need latents, or do not fit the loss, or each other.

    Args:
        game: Name of the Game.
        adversarial: Its adversarial loss, if there is one.
        regularizers: Those given.

    Raises:
        UserError: With both parts, and what would go.
    """
    names = [one.name for one in regularizers]
    for one in regularizers:
        kind = type(one).__name__
        if not isinstance(one, DiscriminatorRegularizer) or isinstance(one, LatentConsistency):
            raise UserError(
                f"model.game.regularizers has {kind}, which needs a generator with latents; {game} takes those of the "
                "discriminator, such as R1"
            )
        if names.count(one.name) > 1:
            raise UserError(f"model.game.regularizers has {kind} twice; name each once")
        if one.needs_absolute_logits and adversarial is not None and adversarial.compares_with_real:
            raise UserError(
                f"model.game.regularizers has {kind}, which reads logits themselves, but {type(adversarial).__name__} "
                "judges differences alone; take a loss that does not compare, such as Hinge, or leave it out"
            )
