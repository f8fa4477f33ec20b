"""Does the generator repeat itself, and does it repeat its training images?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_mtgan.conditions import condition_numbers
from lightning_mtgan.evaluation.judging import Judged
from lightning_mtgan.evaluation.neighbours import nearest
from lightning_mtgan.evaluation.reference import Reference
from lightning_mtgan.evaluation.spread import spread_within
from lightning_mtgan.types import TaskSpec

NEAR = 0.01
"""Two fakes are duplicates when they are nearer than this quantile of the distances of nearest real images."""


def duplicates(fake_distance: Tensor, real_distance: Tensor) -> float:
    """The share of fakes that have a near-duplicate among the fakes; ``NEAR`` is normal.

    What the birthday paradox makes of a small support, after Arora and Zhang 2017 (arXiv:1706.08224).

    Args:
        fake_distance: Distance of each fake to its nearest other, (M,).
        real_distance: Distance of each of as many real images to its nearest other, (N,).
    """
    return (fake_distance < real_distance.quantile(NEAR)).double().mean().item()


def memorisation(fake: Tensor, train: Tensor, held_out_distance: Tensor) -> dict[str, float]:
    """How much nearer fakes are to training images than new real images are.

    After Meehan et al. 2020 (arXiv:2004.05675), section 3. ``memorisation`` is the probability that a
    fake is nearer to its nearest training image than a held-out image is to its own: 0.5 for a perfect
    generator, 1 for one that copies. ``copy_distance`` is the ratio of the median distances: 1 and 0.

    Args:
        fake: Features of generated images, (M, D).
        train: Features of training images, (N, D).
        held_out_distance: Distance of each held-out image to its nearest training image, (K,).
    """
    distance = nearest(fake, train)
    held_out = held_out_distance.sort().values
    farther = [len(held_out) - torch.searchsorted(held_out, distance, right=right) for right in (False, True)]
    nearer = (farther[0] + farther[1]).double() / (2 * len(held_out))  # equal distances count half
    return {
        "memorisation": nearer.mean().item(),
        "copy_distance": (distance.median() / held_out_distance.median().clamp(min=1e-12)).item(),
    }


def diversity(fake: Judged, real: Reference, tasks: Sequence[TaskSpec], obeys: bool) -> dict[str, float]:
    """``diversity``: the spread of generated images within a condition over that of real ones; 1 is right.

    0 means that the latent has no effect: each condition has one image. Missing where no two images
    share their classes. A generator that cannot be asked is compared with all real images.
    """
    tasks = tasks if obeys else ()
    ours = spread_within(fake.features, condition_numbers(fake.wanted, tasks))
    theirs = real.spread(tasks)
    return {"diversity": ours / theirs} if ours is not None and theirs else {}
