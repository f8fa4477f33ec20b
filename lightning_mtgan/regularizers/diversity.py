"""Two latents under one condition must give two images."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.errors import UserError
from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import GeneratorRegularizer


class ModeSeeking(GeneratorRegularizer):
    """1 / (E |G(z1, c) - G(z2, c)| / E |z1 - z2| + eps), Mao et al. 2019 (MSGAN, arXiv:1903.05628), equation 3.

    The paper maximises the ratio; its code minimises the reciprocal, with weight 1. Means are over pixels, numbers
    of the latent, and the pairs of all ranks.

    Args:
        eps: What is added to the ratio.
        every: Played at every so many-th batch.
    """

    name = "mode_seeking"

    def __init__(self, eps: float = 1e-5, every: int = 1) -> None:
        super().__init__(every)
        if not eps > 0:
            raise UserError(f"ModeSeeking.eps is {eps}; it must be more than 0, such as 1e-5")
        self.eps = eps

    def loss(self, play: Play) -> Tensor:
        """The reciprocal of the mean ratio of this batch's pairs, over all ranks."""
        images, latents = _differences(play)
        gap = distributed.total(torch.stack([images.mean(), latents.mean()]))
        return 1 / (gap[0] / gap[1] + self.eps)


class DiversitySensitive(GeneratorRegularizer):
    """-E min(|G(z1, c) - G(z2, c)| / |z1 - z2|, t), Yang et al. 2019 (DSGAN, arXiv:1901.09024), equation 2.

    Args:
        limit: t, from which on a pair is different enough.
        every: Played at every so many-th batch.

    Raises:
        UserError: If the limit is not positive.
    """

    name = "diversity"

    def __init__(self, limit: float = 1.0, every: int = 1) -> None:
        super().__init__(every)
        if not limit > 0:
            raise UserError(f"DiversitySensitive.limit is {limit}; it must be more than 0")
        self.limit = limit

    def loss(self, play: Play) -> Tensor:
        """The mean over the pairs of the batch, negative."""
        images, latents = _differences(play)
        return -(images / latents).clamp(max=self.limit).mean()


def _differences(play: Play) -> tuple[Tensor, Tensor]:
    """Mean absolute differences of both images of each pair, and of both latents, (N,) each."""
    other = play.draws.normal("latent/other", *play.latent.shape)
    images = (play.fake_image - play.generate(other)).abs().flatten(1).mean(1)
    return images, (play.latent - other).abs().mean(1)
