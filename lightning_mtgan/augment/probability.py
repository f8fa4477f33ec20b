"""How often an augmentation changes an image: always the same, by a schedule, or as the discriminator needs it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightning_mtgan import distributed
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError


class Probability(nn.Module, ABC):
    """A probability in [0, 1] that is the same throughout a step. Whatever it remembers is a buffer."""

    @abstractmethod
    def forward(self, draws: Draws) -> Tensor:
        """The probability in the draws' step, a scalar on their device."""

    def hear(self, signs: Tensor, draws: Draws) -> None:
        """Learn how the discriminator judges real images; see ``Augmentation.hear``."""


class FixedProbability(Probability):
    """Always the same.

    Args:
        p: The probability.

    Raises:
        UserError: If it is not in [0, 1].
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        _require_share(self, "p", p)
        self.p = p

    def forward(self, draws: Draws) -> Tensor:
        """See Probability."""
        return torch.full((), self.p, device=draws.device)


class ScheduledProbability(Probability):
    """From one value to another along half a cosine, as in Huang et al. 2024 (R3GAN, arXiv:2501.05441).

    Args:
        start: The probability at step 0.
        end: The probability from step ``num_steps`` on.
        num_steps: Steps, which are batches.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(self, start: float, end: float, num_steps: int) -> None:
        super().__init__()
        _require_share(self, "start", start)
        _require_share(self, "end", end)
        if num_steps < 1:
            raise UserError(f"{type(self).__name__}.num_steps is {num_steps}; use 1 or more")
        self.start, self.end, self.num_steps = start, end, num_steps

    def forward(self, draws: Draws) -> Tensor:
        """See Probability."""
        share = 0.5 - 0.5 * math.cos(math.pi * min(draws.step / self.num_steps, 1.0))
        return torch.full((), (1 - share) * self.start + share * self.end, device=draws.device)


class AdaptiveProbability(Probability):
    """Higher where the discriminator overfits, Karras et al. 2020 (arXiv:2006.06676), section 3.

    Every few steps p moves by the share ``images seen since / (1000 kimg)``, up where
    r_t = E sign d(real) is above its target and down where it is below. A step has one p: what is
    heard in its last step changes p from the next one on. Signs of all ranks and micro-batches are
    counted in whole numbers, so that p depends neither on their numbers nor on any precision.

    Args:
        target: The r_t that is wanted, in [-1, 1].
        kimg: Thousands of images in which p can go from 0 to 1; the paper has 500, and 100 where it
            goes on from a trained network.
        every: Steps between two moves.
        start: p at the beginning, in [0, 1].

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(self, target: float = 0.6, kimg: float = 500.0, every: int = 4, start: float = 0.0) -> None:
        super().__init__()
        if not -1 <= target <= 1:
            raise UserError(f"{type(self).__name__}.target is {target}; use a mean of signs, from -1 to 1")
        if not kimg >= 0.001:
            raise UserError(f"{type(self).__name__}.kimg is {kimg}; use thousands of images, at least 0.001")
        if every < 1:
            raise UserError(f"{type(self).__name__}.every is {every}; use 1 for every step, or more")
        _require_share(self, "start", start)
        self.target, self.every = target, every
        self.most = round(kimg * 1000)
        """Images in which p goes from 0 to 1."""
        self.images: Tensor
        self.register_buffer("images", torch.full((2,), round(start * self.most)))
        """p in images of ``most``; intervals of ``every`` steps read and write the two in turn."""
        self.heard: Tensor
        self.register_buffer("heard", torch.zeros(2, dtype=torch.int64))
        """Sum of the signs in this interval, and their number."""

    def forward(self, draws: Draws) -> Tensor:
        """See Probability."""
        return self.images[self._interval(draws) % 2] / self.most

    @torch.no_grad()
    def hear(self, signs: Tensor, draws: Draws) -> None:
        """Count; after the last micro-batch of an interval decide on the next interval's p.

        Args:
            signs: Of this rank and micro-batch, (N,); what is no number counts as 0.
            draws: Say which step and micro-batch this is.
        """
        whole = signs.nan_to_num(0).sign().long()
        self.heard += distributed.total(torch.stack([whole, torch.ones_like(whole)]).sum(1))
        if draws.part < draws.parts - 1 or (draws.step + 1) % self.every:
            return
        total, count = self.heard.unbind()
        now = self._interval(draws) % 2
        direction = (total / count - self.target).sign().long()
        self.images[1 - now] = (self.images[now] + direction * count).clamp(0, self.most)
        self.heard.zero_()

    def _interval(self, draws: Draws) -> int:
        return draws.step // self.every


def _require_share(owner: object, name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f"{type(owner).__name__}.{name} is {value}; use a probability, from 0 to 1")
