"""LeCam: logits stay near what the other kind of images has had."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.errors import UserError
from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import DiscriminatorRegularizer


class LeCam(DiscriminatorRegularizer):
    """E relu(d(x) - a_f)^2 + E relu(a_r - d(G(z)))^2, Tseng et al. 2021 (arXiv:2104.03310), equation 5.

    With the one-sided squares of the authors' code. The anchors a_r and a_f are moving averages of the mean logits
    of all steps before this one. Nothing is added before they are worth something.

    Args:
        decay: Share of the old average that one step keeps, in [0, 1).
        start: Index of the first batch at which it counts.
        every: Played at every so many-th batch.

    Raises:
        UserError: If the decay is not in [0, 1).
    """

    name = "lecam"
    needs_absolute_logits = True
    anchors: Tensor
    sums: Tensor

    def __init__(self, decay: float = 0.99, start: int = 1000, every: int = 1) -> None:
        super().__init__(every)
        if not 0 <= decay < 1:
            raise UserError(f"LeCam.decay is {decay}; it must be at least 0 and less than 1, such as 0.99")
        self.decay, self.start = decay, start
        self.register_buffer("anchors", torch.zeros(2))
        self.register_buffer("sums", torch.zeros(3))

    def loss(self, play: Play) -> Tensor:
        """The sum of both means, 0 before the start."""
        real, fake = play.real.logits, play.fake.logits
        anchor_real, anchor_fake = self.anchors.to(real.dtype)
        loss = (real - anchor_fake).relu().square().mean() + (anchor_real - fake).relu().square().mean()
        self._remember(play)
        return loss * float(play.draws.step >= self.start)

    @torch.no_grad()
    def _remember(self, play: Play) -> None:
        """Move the anchors at the end of a step, by the means over all its micro-batches and ranks."""
        logits = torch.stack([play.real.logits, play.fake.logits]).to(self.sums)
        seen = distributed.total(torch.cat([logits.sum(1), logits.new_full((1,), logits.shape[1])]))
        self.sums.copy_(seen if play.draws.part == 0 else self.sums + seen)
        if play.draws.part == play.draws.parts - 1:
            means = self.sums[:2] / self.sums[2]
            self.anchors.lerp_(means.nan_to_num(0, 0, 0), means.isfinite().all().to(means) * (1 - self.decay))
