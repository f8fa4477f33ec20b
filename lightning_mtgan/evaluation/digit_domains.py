"""The judge of digits in any domain: a small convolutional network, shipped with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import dropout, relu

from lightning_mtgan.evaluation.shipped import AnySizeEvaluator, fused, with_weights

WEIGHTS = Path(__file__).parent / "weights" / "digit_domains.pt"
NUM_FEATURES = 64
SIDE = 16
"""Height and width in pixels that the network sees."""


class DomainNetwork(nn.Module):
    """A classifier of one digit, 16 x 16 pixels in colour, in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (3, 20, 32, 40, 40, 24), (1, 1, 2, 1, 2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=stride, padding=1, bias=False)
            for (i, o), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths[1:])
        self.gather = nn.Linear(widths[-1] * (SIDE // 4) ** 2, NUM_FEATURES)
        self.classify = nn.Linear(NUM_FEATURES, 10)

    def features(self, image: Tensor) -> Tensor:
        """Images (N, 3, 16, 16) to features (N, 64)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            image = relu(norm(convolution(image)))
        return self.gather(dropout(image.flatten(1), 0.2, self.training))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 64) to class logits (N, 10)."""
        return self.classify(relu(features))

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, 3, 16, 16) to class logits (N, 10)."""
        return self.logits(self.features(image))


class DigitDomainsEvaluator(AnySizeEvaluator):
    """Judges a digit in any of the domains of ``DigitDomain``, at any size.

    Trained by ``python -m lightning_mtgan.evaluation.train_digit_domains`` on the first 1,437 digits.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` (64 numbers) and ``logits`` (10).
    """

    weights = WEIGHTS
    side = SIDE

    def __init__(self, name: str = "mtgan-digit-domains", features_list: Sequence[str] = ("features",)) -> None:
        super().__init__(name, features_list)
        self.network = with_weights(DomainNetwork(), WEIGHTS)
        self.fused = fused(self.network.convolutions, self.network.norms)
        self.eval().requires_grad_(False)

    def features(self, image: Tensor) -> Tensor:
        """Features float32 (N, 64) of images uint8 (N, 1 or 3, H, W); grey is repeated.

        Raises:
            UserError: If the images are neither grey nor RGB.
        """
        maps = self.seen(image)
        for convolution in self.fused:
            maps = relu(convolution(maps))
        return self.network.gather(maps.flatten(1))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 64) to class logits (N, 10)."""
        return self.network.logits(features)

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The digit."""
        return {"digit": self.logits(features).argmax(1)}
