"""The search for the amounts of transforms that undo a damage best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import optuna
import torch
from torch import Tensor

from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.restoration import psnr
from lightning_mtgan.transforms import Adjustable, Pipeline
from lightning_mtgan.transforms.strips import from_pixels, to_pixels

CHUNK = 50
"""Images that are worked on at a time."""
Score = Callable[[Tensor, Tensor], float]
"""Of images and what they should be, both uint8 (N, C, H, W); the larger the better."""


def mean_psnr(made: Tensor, truth: Tensor) -> float:
    """The mean over images of their PSNR, in dB."""
    return psnr(made, truth).mean().item()


def tuned(
    kinds: Sequence[type[Adjustable]],
    damaged: Tensor,
    truth: Tensor,
    num_trials: int,
    seed: int,
    score: Score = mean_psnr,
) -> tuple[Pipeline, float]:
    """The transforms, in the order given, at the amounts that bring damaged images nearest to what they were.

    The first trial changes nothing, so that the best one is never worse than that; the others are by the
    tree-structured Parzen estimator, Bergstra et al. 2011 (Algorithms for Hyper-Parameter Optimization, section 4).

    Args:
        kinds: The transforms, at least one; a kind may be there more than once.
        damaged: Images uint8 (N, C, H, W).
        truth: What they were, of the same shape.
        num_trials: Amounts that are tried, at least 1.
        seed: The same seed gives the same amounts.
        score: What is best.

    Returns:
        The transforms at the best amounts, and their score.

    Raises:
        UserError: If there are no transforms, no images or no trials, or the images are not as many or as large.
    """
    if not kinds:
        raise UserError("kinds is empty; name at least one transform to tune, such as Gamma")
    if num_trials < 1:
        raise UserError(f"num_trials is {num_trials}; use 1 or more")
    if damaged.shape != truth.shape or not len(truth):
        raise UserError(f"damaged is {tuple(damaged.shape)} and truth {tuple(truth.shape)}; give both the same images")
    names = [f"{number} {kind.name}" for number, kind in enumerate(kinds)]

    def pipeline(amounts: dict[str, float]) -> Pipeline:
        return Pipeline([kind(amounts[name]) for kind, name in zip(kinds, names, strict=True)])

    def nearness(trial: optuna.Trial) -> float:
        for kind, name in zip(kinds, names, strict=True):
            trial.suggest_float(name, kind.least, kind.most)
        return score(_made(pipeline(trial.params), damaged), truth)

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=seed_of(seed, "transforms") % 2**32)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.enqueue_trial({name: kind.neutral for kind, name in zip(kinds, names, strict=True)})
        study.optimize(nearness, num_trials)
    finally:
        optuna.logging.set_verbosity(before)
    return pipeline(study.best_params), study.best_value


@torch.no_grad()
def _made(transform: Pipeline, damaged: Tensor) -> Tensor:
    return torch.cat([to_pixels(transform(from_pixels(part))) for part in damaged.split(CHUNK)])
