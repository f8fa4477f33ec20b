"""The judge of handwritten digits: a small convolutional network, shipped with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, log_softmax, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.extractor import file_checksum, load_weights

WEIGHTS = Path(__file__).parent / "weights" / "digits.pt"
FEATURES_PER_DIGIT = 32


class DigitNetwork(nn.Module):
    """A classifier of one digit, 8 x 8 pixels in [-1, 1]."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (1, width, width, 2 * width, 2 * width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=2 if level == 2 else 1, padding=1, bias=False)
            for level, (i, o) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths[1:])
        self.gather = nn.Linear(2 * width * 16, FEATURES_PER_DIGIT)
        self.classify = nn.Linear(FEATURES_PER_DIGIT, 10)

    def features(self, image: Tensor) -> Tensor:
        """Images (N, 1, 8, 8) to features (N, 32)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            image = relu(norm(convolution(image)))
        return self.gather(dropout(image.flatten(1), 0.3, self.training))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 32) to class logits (N, 10)."""
        return self.classify(relu(features))

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, 1, 8, 8) to class logits (N, 10)."""
        return self.logits(self.features(image))


class DigitsEvaluator(Evaluator):
    """Judges one digit or a stack of them: features of every channel, side by side.

    Trained by ``python -m lightning_mtgan.evaluation.train_digits`` on the first 1,437 digits.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` (channels x 32 numbers) and ``logits`` (10^channels).
        channels: Task of each channel: names of the classification tasks, in channel order.
    """

    def __init__(
        self,
        name: str = "mtgan-stacked-digits",
        features_list: Sequence[str] = ("features",),
        channels: Sequence[str] = ("red", "green", "blue"),
    ) -> None:
        super().__init__(name, features_list)
        self.channels = tuple(channels)
        self.network = DigitNetwork()
        self.network.load_state_dict(load_weights(WEIGHTS))
        self.network.eval()
        pairs = zip(self.network.convolutions, self.network.norms, strict=True)
        self.fused = nn.ModuleList(fuse_conv_bn_eval(conv, norm) for conv, norm in pairs)  # type: ignore
        self.eval().requires_grad_(False)

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

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        """A black image."""
        return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)

    @cached_property
    def checksum(self) -> str:
        """Of the shipped file."""
        return file_checksum(WEIGHTS)

    def features(self, image: Tensor) -> Tensor:
        """Images uint8 (N, C, 8, 8) to features (N, 32 C)."""
        channels = image.flatten(0, 1)[:, None].float() / 127.5 - 1
        for convolution in self.fused:  # a third of the time of convolution and normalisation
            channels = relu(convolution(channels))
        return self.network.gather(channels.flatten(1)).unflatten(0, image.shape[:2]).flatten(1)

    def digit_logits(self, features: Tensor) -> Tensor:
        """Features (N, 32 C) to class logits of each channel, (N, C, 10)."""
        return self.network.logits(features.unflatten(1, (-1, FEATURES_PER_DIGIT)))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 32 C) to logits of the whole stack, (N, 10^C): channels are judged independently."""
        each = log_softmax(self.digit_logits(features), dim=2)
        joint = each[:, 0]
        for channel in range(1, each.shape[1]):
            joint = (joint[:, :, None] + each[:, channel, None]).flatten(1)
        return joint

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The digit of each channel; whether it is even; how much ink it has."""
        label = self.digit_logits(features).argmax(2)
        found = {name: label[:, channel] for channel, name in enumerate(self.channels)}
        return found | {"even": (label % 2 == 0).float(), "ink": image.float().mean(dim=(2, 3)) / 255}

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """The requested features of images uint8 (N, C, 8, 8), as torch-fidelity asks for them."""
        features = self.features(input)
        every = {"features": features, "logits": self.logits(features)}
        return tuple(every[name] for name in self.features_list)


class DigitsExtractor(DigitsEvaluator):
    """The same judge as torch-fidelity builds it: with every option of its own call, which we ignore.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` and ``logits``.
        options: What torch-fidelity passes besides.
    """

    def __init__(self, name: str, features_list: Sequence[str], **options: object) -> None:
        super().__init__(name, features_list)
