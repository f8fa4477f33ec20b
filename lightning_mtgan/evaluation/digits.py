"""The judge of handwritten digits: a small convolutional network, shipped with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import dropout, log_softmax, relu

from lightning_mtgan.evaluation.shipped import ShippedEvaluator, fused, with_weights

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


class DigitsEvaluator(ShippedEvaluator):
    """Judges one digit or a stack of them: features of every channel, side by side.

    Trained by ``python -m lightning_mtgan.evaluation.train_digits`` on the first 1,437 digits.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` (channels x 32 numbers) and ``logits`` (10^channels).
        channels: Task of each channel: names of the classification tasks, in channel order.
    """

    weights = WEIGHTS
    side = 8

    def __init__(
        self,
        name: str = "mtgan-stacked-digits",
        features_list: Sequence[str] = ("features",),
        channels: Sequence[str] = ("red", "green", "blue"),
    ) -> None:
        super().__init__(name, features_list)
        self.channels = tuple(channels)
        self.network = with_weights(DigitNetwork(), WEIGHTS)
        self.fused = fused(self.network.convolutions, self.network.norms)
        self.eval().requires_grad_(False)

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
