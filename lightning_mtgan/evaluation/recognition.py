"""How well a Game recognises damaged images by its own heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_mtgan.corruptions import Damaged
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.evaluation.judging import in_batches, never, stored
from lightning_mtgan.evaluation.opinions import Opinions, calibration
from lightning_mtgan.evaluation.restoration import CHUNK, NUMBER, damage
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.games.joint_enhancement import JointEnhancement


def recognition_figures(
    game: ImageGame, images: IndexedImages, num_images: int, seed: int, leave: Callable[[], bool] = never
) -> dict[str, float]:
    """How right the heads of a Game that recognises are about damaged images; nothing of any other Game.

    ``own_accuracy/<task>``, ``own_calibration/<task>`` and ``own_error/<task>``, as ``calibration`` has them of a
    discriminator's heads, over the images of all corruptions together. All ranks call it. Images are damaged
    as ``restoration_figures`` damages them.

    Args:
        game: The Game, in evaluation mode.
        images: The images as they were, with their targets.
        num_images: How many of them, from the first on, or all if there are fewer.
        seed: Seed of what is taken from them.
        leave: See ``in_batches``.

    Returns:
        The figures on the first rank, none on the others.

    Raises:
        Abandoned: On all ranks, if one was to leave.
    """
    if not isinstance(game, JointEnhancement):
        return {}
    dtype, truths = game.dtype, stored(images)

    def numbered(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, targets = truths(number, size)
        return image, {**targets, NUMBER: torch.tensor(number)}

    def work(truth: Tensor, targets: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        image, number = truth.to(dtype) / 127.5 - 1, int(targets.pop(NUMBER))
        parts = [_recognised(game, damage(one, image, seed, number), name) for name, one in game.corruptions.items()]
        said = {name: torch.cat([part[name] for part in parts]).float() for name in parts[0]}
        return {"said": said, "targets": {name: torch.cat([t] * len(parts)) for name, t in targets.items()}}

    rows = in_batches(numbered, min(num_images, len(images)), work, game.device, leave)
    if rows is None:
        return {}
    found = calibration(Opinions(None, rows["said"], rows["targets"]), game.tasks)
    return {name.replace("head_", "own_", 1): value for name, value in found.items()}


def _recognised(game: JointEnhancement, damaged: Damaged, name: str) -> dict[str, Tensor]:
    """What the heads say, a few images at a time."""
    starts = range(0, len(damaged.image), CHUNK)
    parts = [damaged[start : start + CHUNK] for start in starts]
    said = [game.recognise(part, [name] * len(part.image)) for part in parts]
    return {task: torch.cat([one[task] for one in said]) for task in said[0]}
