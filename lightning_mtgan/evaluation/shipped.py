"""What all judges share whose weights come with the package."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.extractor import file_checksum, load_weights

Network = TypeVar("Network", bound=nn.Module)


class ShippedEvaluator(Evaluator):
    """A judge with a small network; torch-fidelity knows its features and its logits."""

    weights: ClassVar[Path]
    """The shipped file."""
    side: ClassVar[int]
    """Height and width of the images that the network sees."""

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """The names of the features."""
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Logits for the Inception Score, features for everything else."""
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        """The network is compiled by nobody: it takes milliseconds."""
        return False

    @classmethod
    def get_dummy_input_for_compile(cls) -> Tensor:
        """A black image."""
        return torch.zeros(1, 3, cls.side, cls.side, dtype=torch.uint8)

    @cached_property
    def checksum(self) -> str:
        """Of the shipped file."""
        return file_checksum(self.weights)

    @abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """Class logits (N, K) from features (N, D)."""

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """The requested features of images uint8 (N, C, H, W), as torch-fidelity asks for them."""
        features = self.features(input)
        every = {"features": features, "logits": self.logits(features)}
        return tuple(every[name] for name in self.features_list)


class AnySizeEvaluator(ShippedEvaluator):
    """A judge that sees grey and colour images of any size, brought to the one that it was trained with."""

    @property
    def resize(self) -> str:
        """How, in words."""
        return f"bilinear with antialiasing to {self.side} x {self.side}"

    def seen(self, image: Tensor) -> Tensor:
        """Images uint8 (N, 1 or 3, H, W) as the network sees them: (N, 3, side, side) in [-1, 1].

        Raises:
            UserError: If the images are neither grey nor RGB.
        """
        if image.shape[1] not in (1, 3):
            raise UserError(
                f"{self.name} sees images with 1 or 3 channels (grey or RGB), and these have {image.shape[1]}; "
                "choose another fidelity.extractor"
            )
        return in_colour(image, self.side)


def in_colour(image: Tensor, side: int) -> Tensor:
    """Images uint8 (N, 1 or 3, H, W) to (N, 3, side, side) in [-1, 1]; grey is repeated."""
    colour = image.expand(-1, 3, -1, -1).float() / 127.5 - 1
    if colour.shape[2:] == (side, side):
        return colour
    return interpolate(colour, (side, side), mode="bilinear", antialias=True)


def with_weights(network: Network, path: Path) -> Network:
    """The network with its shipped weights, for judging only."""
    network.load_state_dict(
        {name: weight.float() if weight.is_floating_point() else weight for name, weight in load_weights(path).items()}
    )
    return network.eval()


def fused(convolutions: nn.ModuleList, norms: nn.ModuleList) -> nn.ModuleList:
    """Each convolution with the normalisation behind it, as one: a third of the time of both."""
    pairs = zip(convolutions, norms, strict=True)
    return nn.ModuleList(fuse_conv_bn_eval(convolution, norm) for convolution, norm in pairs)  # type: ignore


def for_torch_fidelity(kind: type[ShippedEvaluator]) -> type[ShippedEvaluator]:
    """The same judge as torch-fidelity builds it: with every option of its own call, which we ignore."""

    class Built(kind):  # type: ignore[valid-type,misc]
        def __init__(self, name: str, features_list: Sequence[str], **options: object) -> None:
            super().__init__(name, features_list)

    Built.__name__ = Built.__qualname__ = f"{kind.__name__}ForTorchFidelity"
    return Built
