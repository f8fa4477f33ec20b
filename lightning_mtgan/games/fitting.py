"""Which parts of a game do not fit together, said before anything trains."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_mtgan.errors import UserError
from lightning_mtgan.games.discriminator import Discriminator
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.regularizers import Regularizer


def require_fitting(
    discriminator: Discriminator,
    adversarial: AdversarialLoss,
    regularizers: Sequence[Regularizer],
    condition_dim: int,
) -> None:
    """Refuse combinations that would learn something false, or nothing.

    Raises:
        UserError: With both parts, and what would go.
    """
    packing = discriminator.packing
    if packing > 1 and discriminator.supervision is not None:
        raise UserError(
            f"model.game.packing is {packing}, but task heads answer for one image each; "
            "set model.game.supervision null, or packing 1"
        )
    if packing > 1 and discriminator.adversarial.reads_condition and condition_dim > 0:
        raise UserError(
            f"model.game.packing is {packing}, but {type(discriminator.adversarial).__name__} reads the condition of "
            "one image; use lightning_mtgan.networks.UnconditionalHead, or packing 1"
        )
    names = [one.name for one in regularizers]
    for one in regularizers:
        kind = type(one).__name__
        if names.count(one.name) > 1:
            raise UserError(f"model.game.regularizers has {kind} twice; name each once")
        if one.needs_absolute_logits and adversarial.compares_with_real:
            raise UserError(
                f"model.game.regularizers has {kind}, which reads logits themselves, but {type(adversarial).__name__} "
                "judges differences alone; take a loss that does not compare, such as Hinge, or leave it out"
            )
