"""The judge of digits in any domain: a small convolutional network, shipped with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, interpolate, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.extractor import file_checksum, load_weights

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


def seen(image: Tensor) -> Tensor:
    """Images uint8 (N, 1 or 3, H, W) as the network sees them: (N, 3, 16, 16) in [-1, 1]."""
    colour = image.expand(-1, 3, -1, -1).float() / 127.5 - 1
    if colour.shape[2:] == (SIDE, SIDE):
        return colour
    return interpolate(colour, (SIDE, SIDE), mode="bilinear", antialias=True)


class DigitDomainsEvaluator(Evaluator):
    """Judges a digit in any of the domains of ``DigitDomain``, at any size.

    Trained by ``python -m lightning_mtgan.evaluation.train_digit_domains`` on the first 1,437 digits.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` (64 numbers) and ``logits`` (10).
    """

    def __init__(self, name: str = "mtgan-digit-domains", features_list: Sequence[str] = ("features",)) -> None:
        super().__init__(name, features_list)
        self.network = DomainNetwork()
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
        return torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)

    @cached_property
    def checksum(self) -> str:
        """Of the shipped file."""
        return file_checksum(WEIGHTS)

    @property
    def resize(self) -> str:
        """Images of every size are brought to the one that the network was trained with."""
        return f"bilinear with antialiasing to {SIDE} x {SIDE}"

    def features(self, image: Tensor) -> Tensor:
        """Features float32 (N, 64) of images uint8 (N, 1 or 3, H, W); grey is repeated.

        Raises:
            UserError: If the images are neither grey nor RGB.
        """
        if image.shape[1] not in (1, 3):
            raise UserError(
                f"{self.name} sees images with 1 or 3 channels (grey or RGB), and these have {image.shape[1]}; "
                "choose another fidelity.extractor"
            )
        maps = seen(image)
        for convolution in self.fused:
            maps = relu(convolution(maps))
        return self.network.gather(maps.flatten(1))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 64) to class logits (N, 10)."""
        return self.network.logits(features)

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The digit."""
        return {"digit": self.logits(features).argmax(1)}

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """The requested features of images uint8 (N, 1 or 3, H, W), as torch-fidelity asks for them."""
        features = self.features(input)
        every = {"features": features, "logits": self.logits(features)}
        return tuple(every[name] for name in self.features_list)


class DigitDomainsExtractor(DigitDomainsEvaluator):
    """The same judge as torch-fidelity builds it: with every option of its own call, which we ignore.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` and ``logits``.
        options: What torch-fidelity passes besides.
    """

    def __init__(self, name: str, features_list: Sequence[str], **options: object) -> None:
        super().__init__(name, features_list)
