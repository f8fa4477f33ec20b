"""What a corruption is: something is taken from an image, and a network learns to bring it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


@dataclass(frozen=True)
class Damaged:
    """Images of which something is lost.

    Args:
        image: What is left, (N, C, H, W) in [-1, 1], of the size of the truth.
        known: 1 where a pixel is that of the truth, 0 where it must be restored, (N, 1, H, W), of the images' type.
    """

    image: Tensor
    known: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Damaged:
        """Some of the images."""
        return Damaged(self.image[rows], self.known[rows])


class Corruption(ABC):
    """Takes something from images; to bring it back is a self-supervised task: the truth is the image itself.

    Its weight μ stands in the generator's Balancer, under its name.

    Args:
        probability: How often an image is given this corruption, in proportion to the others; more than 0.

    Raises:
        UserError: If the probability is not more than 0.
    """

    name: str
    """Name of the task, of its loss and of its weight: what the generator does, such as ``denoising``."""

    def __init__(self, probability: float = 1.0) -> None:
        if not 0 < probability < float("inf"):
            raise UserError(f"{type(self).__name__}.probability is {probability}; use more than 0, or leave it out")
        self.probability = probability

    @abstractmethod
    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        """Images (N, C, H, W) in [-1, 1], of any H and W, without what is taken away, each as its own chances say.

        On the device, without a loop over images and without waiting for the device.
        """

    def prepared(self, image: Tensor, opaque: Tensor) -> Damaged:
        """Images of which this is lost already, as a person has them, in the size that they will be restored to.

        Args:
            image: (N, C, h, w) in [-1, 1], 0 where it is transparent.
            opaque: 0 where it is transparent, which is where holes are, (N, 1, h, w).
        """
        return Damaged(image, image.new_zeros(len(image), 1, *image.shape[2:]))

    def require_fitting(self, spec: DataSpec) -> None:  # noqa: B027 - most fit any images
        """Refuse images from which this cannot be taken.

        Raises:
            UserError: With what they are, and what would go.
        """
