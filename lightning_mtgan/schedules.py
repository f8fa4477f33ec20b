"""Schedules of what an optimizer is given, stepped once a batch: functions of the number of steps alone."""

from __future__ import annotations

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lightning_mtgan.errors import UserError


def cosine(start: float, end: float, progress: float) -> float:
    """From ``start`` at progress 0 to ``end`` at 1 and after it, along half a cosine (arXiv:1608.03983, eq. 5)."""
    share = min(max(progress, 0.0), 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class CosineSchedule(LRScheduler):
    """A linear warm-up, then half a cosine from the optimizer's own numbers to the last ones, which then stay.

    Huang et al. 2024 (R3GAN, arXiv:2501.05441), appendix, let β₂ rise while the learning rate falls.

    Args:
        optimizer: The player's optimizer.
        num_steps: Batches until the last numbers are reached, with the warm-up.
        final_lr_share: The last learning rate, as a share of the first.
        final_beta2: The last β₂ of an Adam; null leaves it as it is.
        warmup_steps: Batches in which the learning rate rises from 0.

    Raises:
        UserError: If the numbers of batches are not in order, or β₂ is asked for where there is none.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        num_steps: int,
        final_lr_share: float = 0.0,
        final_beta2: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        if not 0 <= warmup_steps < num_steps:
            raise UserError(
                f"CosineSchedule has warmup_steps {warmup_steps} and num_steps {num_steps}; "
                "give a warm-up of at least 0 that is shorter than all steps"
            )
        if final_beta2 is not None and any("betas" not in group for group in optimizer.param_groups):
            raise UserError(
                f"CosineSchedule.final_beta2 is {final_beta2}, but {type(optimizer).__name__} has no β₂; leave it out"
            )
        self.num_steps, self.warmup_steps = num_steps, warmup_steps
        self.final_lr_share, self.final_beta2 = final_lr_share, final_beta2
        self.base_betas = [group.get("betas", (0.0, 0.0)) for group in optimizer.param_groups]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each group; β₂ is set beside it."""
        progress = (self.last_epoch - self.warmup_steps) / (self.num_steps - self.warmup_steps)
        if self.final_beta2 is not None:
            for group, betas in zip(self.optimizer.param_groups, self.base_betas, strict=True):
                final = self.final_beta2 ** group.get("lazy_share", 1.0)  # corrected as the first one is
                group["betas"] = (betas[0], cosine(betas[1], final, progress))
        share = cosine(1.0, self.final_lr_share, progress)
        if self.warmup_steps:
            share *= min(self.last_epoch / self.warmup_steps, 1.0)
        return [base * share for base in self.base_lrs]
