"""Where features come from: a network that is never trained with the GAN."""

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


class Extractor(FeatureExtractorBase, ABC):
    """A torch-fidelity feature extractor; every metric but the tasks' is computed on its features.

    Args:
        name: Name under which torch-fidelity knows it.
        features_list: The features to return, of those that are provided.
    """

    def __init__(self, name: str, features_list: Sequence[str]) -> None:
        super().__init__(name, list(features_list))

    @property
    @abstractmethod
    def checksum(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the weights."""

    @property
    def resize(self) -> str:
        """How images are resized before the network, in words."""
        return "none"

    @abstractmethod
    def features(self, image: Tensor) -> Tensor:
        """Features float32 (N, D) of images uint8 (N, C, H, W)."""

    def logits(self, features: Tensor) -> Tensor | None:
        """Class logits (N, K) behind the Inception Score, from features (N, D); None without classes."""
        return None

    def to_bytes(self, image: Tensor) -> Tensor:
        """Images in [-1, 1] as uint8, by rounding: what a saved file would hold."""
        return ((image.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a shipped weights file.

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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
