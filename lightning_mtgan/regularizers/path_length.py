"""Path length: steps of the same size in the styles change the image by the same amount."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.errors import UserError
from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import GeneratorRegularizer


class PathLength(GeneratorRegularizer):
    """E (||J_w^T y|| - a)^2, Karras et al. 2020 (StyleGAN2, arXiv:1912.04958), equation 4 and appendix B.

    y is a random image with standard normal pixels divided by the root of their number, a the moving average of
    the lengths of the steps before. With several layers the squared length is the mean of theirs. The paper's
    weight is 2, at every 4th batch.

    Args:
        decay: Share of the old average that one step keeps, in [0, 1).
        every: Played at every so many-th batch.

    Raises:
        UserError: If the decay is not in [0, 1).
    """

    name = "path_length"
    second_order_of = frozenset({"generator"})
    mean_length: Tensor
    sums: Tensor

    def __init__(self, decay: float = 0.99, every: int = 4) -> None:
        super().__init__(every)
        if not 0 <= decay < 1:
            raise UserError(f"PathLength.decay is {decay}; it must be at least 0 and less than 1, such as 0.99")
        self.decay = decay
        self.register_buffer("mean_length", torch.zeros(()))
        self.register_buffer("sums", torch.zeros(2))

    def loss(self, play: Play) -> Tensor:
        """The mean over generated images."""
        with torch.autocast(play.latent.device.type, enabled=False):
            style = play.style(play.latent)
            if not style.requires_grad:  # nothing before it learns: z itself is the style
                style.requires_grad_()
            image = play.render(style, play.latent)
            pixels = math.prod(image.shape[2:])
            noise = play.draws.normal("path/noise", len(image), *image.shape[1:]) / math.sqrt(pixels)
            (slope,) = torch.autograd.grad((image * noise).sum(), style, create_graph=True)
        lengths = (slope.square().sum(2).mean(1) + 1e-24).sqrt()
        loss = (lengths - self.mean_length.to(lengths.dtype)).square().mean()
        self._remember(play, lengths)
        return loss

    @torch.no_grad()
    def _remember(self, play: Play, lengths: Tensor) -> None:
        """Move the average at the end of a step, by the mean over all its micro-batches and ranks."""
        mine = torch.stack([lengths.sum(), torch.full_like(lengths.sum(), len(lengths))])
        seen = distributed.total(mine.to(self.sums))
        self.sums.copy_(seen if play.draws.part == 0 else self.sums + seen)
        if play.draws.part == play.draws.parts - 1:
            mean = self.sums[0] / self.sums[1]
            self.mean_length.lerp_(mean.nan_to_num(0, 0, 0), mean.isfinite().to(mean) * (1 - self.decay))
