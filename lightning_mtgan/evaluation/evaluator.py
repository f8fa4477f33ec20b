"""The independent judge of a data set: features for the metrics, predictions for the tasks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from lightning_mtgan.errors import UserError


class Evaluator(FeatureExtractorBase, ABC):
    """A torch-fidelity feature extractor that also judges tasks; it never trains with the GAN.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: The features to return, of those that are provided.
    """

    def __init__(self, name: str, features_list: Sequence[str]) -> None:
        super().__init__(name, list(features_list))

    @property
    @abstractmethod
    def checksum(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the weights."""

    @abstractmethod
    def features(self, image: Tensor) -> Tensor:
        """Features (N, D) of images uint8 (N, C, H, W), for every metric but the tasks'."""

    @abstractmethod
    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """What the images show, by task, in the form of targets, without gradients.

        Args:
            image: uint8 (N, C, H, W).
            features: What ``features`` gave for them, so that nothing is computed twice.
        """

    def to_bytes(self, image: Tensor) -> Tensor:
        """Images in [-1, 1] as uint8, by rounding: what a saved file would hold."""
        return ((image.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a weights file.

    Raises:
        UserError: If the file is missing or broken.
    """
    try:
        weights: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise UserError(f"the evaluator's weights {path} are missing; install the package again") from None
    except Exception as error:
        raise UserError(
            f"the evaluator's weights {path} cannot be read ({error}); install the package again"
        ) from error
    return weights


def file_checksum(path: Path) -> str:
    """The first 12 hexadecimal digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
