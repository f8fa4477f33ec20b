"""The independent judge of a data set's tasks."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from lightning_mtgan.evaluation.extractor import Extractor


class Evaluator(Extractor):
    """An extractor that also judges tasks; it never trains with the GAN."""

    @abstractmethod
    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """What the images show, by task, in the form of targets, without gradients.

        Args:
            image: uint8 (N, C, H, W).
            features: What ``features`` gave for them, so that nothing is computed twice.
        """
