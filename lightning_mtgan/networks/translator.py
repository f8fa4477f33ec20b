"""What every network is that a Game gives damaged images to."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.transforms import Transform


class Translator(nn.Module, ABC):
    """From damaged images to restored ones. Parameters stand in its modules, none on itself."""

    encoder: ImageEncoder | None
    """The layers that see the image first, which the discriminator may own; None for none."""

    @property
    @abstractmethod
    def margin(self) -> int | None:
        """Pixels to each side of one that its restored value depends on; None where that is the whole image."""

    def rule(self, pixels: Tensor, condition: Tensor) -> Transform | None:
        """The fixed rule that this image is restored by, which can be followed in strips; None where there is none.

        Args:
            pixels: One image, uint8 (C, H, W), of any H and W, of which nothing is lost.
            condition: What to restore, (1, condition_dim).
        """
        return None

    @abstractmethod
    def forward(self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None) -> Tensor:
        """Damaged images restored.

        Args:
            image: What is left of them, (N, C, H, W) in [-1, 1], of any H and W.
            known: 1 where a pixel is that of the truth, 0 where it must be restored, (N, 1, H, W).
            condition: What to restore, (N, condition_dim).
            base: ``filled`` images, where they are parts of larger ones that were filled as a whole; None to fill them.

        Returns:
            (N, C, H, W), around [-1, 1]; what is known stays as it is, bit by bit.
        """
