"""What all Games share whose generator takes images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_mtgan.corruptions import Corruption, Damaged
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.game import Game
from lightning_mtgan.transforms import Transform
from lightning_mtgan.types import DataSpec


class ImageGame(Game, ABC):
    """A Game whose generator restores images: it has nothing to make an image of without one.

    Args:
        spec: What the data is.

    Raises:
        UserError: If the data is several domains.
    """

    corruptions: Mapping[str, Corruption]
    """What can be restored, by name."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if spec.domains:
            raise UserError(
                f"{type(self).__name__} takes images of one kind, but the data is Domains; give one of them"
            )

    def rule(self, pixels: Tensor, corruption: str) -> Transform | None:
        """The fixed rule that the generator restores this image by, if it has one; see Translator.

        Args:
            pixels: One image, uint8 (C, H, W), of any H and W, of which nothing is lost.
            corruption: The name of what happened to it.
        """
        return None

    @property
    def margin(self) -> int | None:
        """Pixels to each side of one that its restored value depends on, which tiles overlap by; None: the whole image.

        A tile that begins at a multiple of it is restored as in the whole image.
        """
        return None

    @abstractmethod
    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        """Damaged images restored: (N, C, H, W) in [-1, 1], of any H and W; what is known stays as it is.

        Args:
            damaged: What is left of the images, (N, C, H, W) in [-1, 1].
            corruptions: The name of what happened to each of them, N names.
            base: The images with their holes ``filled``, (N, C, H, W), where they are parts of larger ones.
        """

    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Not without images.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{type(self).__name__} takes images; use restore")
