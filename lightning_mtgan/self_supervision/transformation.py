"""Known changes of an image that a network can be asked to tell apart."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Transformation(ABC):
    """K changes of an image, each of which can be undone; the first is none at all."""

    name: str
    """Name of the task that asks which change was made, of its loss, and of its weight."""

    @property
    @abstractmethod
    def count(self) -> int:
        """K."""

    @abstractmethod
    def __call__(self, image: Tensor, index: Tensor) -> Tensor:
        """Each image changed in its own way, on the device, without a loop over images.

        Args:
            image: (N, C, H, W), of any H and W.
            index: Which change, int64 (N,), from 0 to K - 1.

        Returns:
            (N, C, H', W'), where H' and W' are H and W if the image is square.
        """

    @abstractmethod
    def undone(self, image: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
        """The inverse: images (N, C, H', W') that were changed, to (N, C, H, W) of the given size, bit by bit."""

    def require_fitting(self, image_size: int) -> None:  # noqa: B027 - most fit any size
        """Refuse images of a size (H = W, in pixels) that cannot be changed in this way.

        Raises:
            UserError: With the size, and what would go.
        """
