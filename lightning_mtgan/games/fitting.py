"""Which parts of a game do not fit together, said before anything trains."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_mtgan.errors import UserError
from lightning_mtgan.games.discriminator import Discriminator
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.types import TaskSpec


def require_fitting(
    discriminator: Discriminator,
    adversarial: AdversarialLoss,
    regularizers: Sequence[Regularizer],
    tasks: Sequence[TaskSpec],
    embedding_owner: str | None,
) -> None:
    """Refuse combinations that would learn something false, or nothing.

    Args:
        discriminator: The discriminator.
        adversarial: The adversarial loss.
        regularizers: The regularisers of both players.
        tasks: The tasks of the data.
        embedding_owner: The player that owns the embedding of the tasks; None where there is none.

    Raises:
        UserError: With both parts, and what would go.
    """
    packing = discriminator.packing
    if packing > 1 and discriminator.supervision is not None:
        raise UserError(
            f"model.game.packing is {packing}, but task heads answer for one image each; "
            "set model.game.supervision null, or packing 1"
        )
    head = type(discriminator.adversarial).__name__
    if packing > 1 and discriminator.adversarial.reads_condition and embedding_owner is not None:
        raise UserError(
            f"model.game.packing is {packing}, but {head} reads the condition of "
            "one image; use lightning_mtgan.networks.UnconditionalHead, or packing 1"
        )
    if embedding_owner == "discriminator" and not discriminator.adversarial.reads_condition:
        raise UserError(
            f"model.game.adversarial_head {head} ignores the condition, so the discriminator, which owns the "
            "embedding, would never teach it; set model.game.embedding_owner generator"
        )
    own = [one.name for one in discriminator.self_supervision]  # type: ignore[union-attr]
    if packing > 1 and own:
        raise UserError(
            f"model.game.packing is {packing}, but the head of `{own[0]}` answers for one image; "
            "set model.game.self_supervision to [], or packing 1"
        )
    for name in own:
        if own.count(name) > 1:
            raise UserError(f"model.game.self_supervision has `{name}` twice; name each once")
    names = [one.name for one in regularizers] + own  # type: ignore[operator]
    for task in tasks:
        if task.name in ("adversarial", *names):
            raise UserError(f"task `{task.name}` has the name of another loss of this game; rename it in the data")
    for one in regularizers:
        kind = type(one).__name__
        if names.count(one.name) > 1:
            raise UserError(f"model.game.regularizers has {kind} twice; name each once")
        if one.needs_absolute_logits and adversarial.compares_with_real:
            raise UserError(
                f"model.game.regularizers has {kind}, which reads logits themselves, but {type(adversarial).__name__} "
                "judges differences alone; take a loss that does not compare, such as Hinge, or leave it out"
            )
