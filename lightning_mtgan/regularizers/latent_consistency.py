"""zCR: a small step of the latent changes the image, not the judgement."""

from __future__ import annotations

from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.regularizers.play import Play
from lightning_mtgan.regularizers.regularizer import DiscriminatorRegularizer, GeneratorRegularizer


class LatentConsistency(DiscriminatorRegularizer):
    """E (d(G(z)) - d(G(z + s e)))^2, e standard normal, Zhao et al. 2021 (ICR-GAN, arXiv:2002.04724), section 3.2.

    Together with LatentSpread it is the paper's latent consistency, zCR.

    Args:
        step: Standard deviation s of the step.
        every: Played at every so many-th batch.

    Raises:
        UserError: If the step is not positive.
    """

    name = "latent_consistency"

    def __init__(self, step: float = 0.07, every: int = 1) -> None:
        super().__init__(every)
        self.step = _checked(step, self)

    def loss(self, play: Play) -> Tensor:
        """The mean over generated images."""
        moved = play.judge(play.generate(_moved(play, self.step)), "fake", False)
        return (play.fake.logits - moved.logits).square().mean()


class LatentSpread(GeneratorRegularizer):
    """-E mean (G(z) - G(z + s e))^2 over pixels, Zhao et al. 2021 (ICR-GAN, arXiv:2002.04724), section 3.2.

    e is standard normal. Together with LatentConsistency it is the paper's latent consistency, zCR.

    Args:
        step: Standard deviation s of the step.
        every: Played at every so many-th batch.

    Raises:
        UserError: If the step is not positive.
    """

    name = "latent_spread"

    def __init__(self, step: float = 0.07, every: int = 1) -> None:
        super().__init__(every)
        self.step = _checked(step, self)

    def loss(self, play: Play) -> Tensor:
        """The mean over generated images, negative."""
        return -(play.fake_image - play.generate(_moved(play, self.step))).square().mean()


def _moved(play: Play, step: float) -> Tensor:
    return play.latent + step * play.draws.normal("latent/step", *play.latent.shape)


def _checked(step: float, of: object) -> float:
    if not step > 0:
        raise UserError(f"{type(of).__name__}.step is {step}; it must be more than 0, such as 0.07")
    return step
