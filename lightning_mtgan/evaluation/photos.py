"""The judge of photographs: a small convolutional network, shipped with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from lightning_mtgan.data.photographs import TRAINING
from lightning_mtgan.evaluation.shipped import AnySizeEvaluator, fused, with_weights

WEIGHTS = Path(__file__).parent / "weights" / "photos.pt"
NUM_FEATURES = 128
SIDE = 32
"""Height and width in pixels that the network sees."""
CHUNK = 100
"""Images at a time: large ones as floating-point numbers would fill the memory."""


class PhotoNetwork(nn.Module):
    """Features of a natural image, 32 x 32 pixels in [-1, 1], and the training photograph that it is from.

    Mean and deviation of early layers hold colour and texture, the last layer sees the whole image.
    """

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (3, 16, 32, 40, 48, 48, 56), (1, 2, 1, 2, 1, 2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=stride, padding=1, bias=False)
            for (i, o), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths[1:])
        self.gather = nn.Linear(2 * (16 + 40 + 48) + 56, NUM_FEATURES, bias=False)
        self.standardise = nn.BatchNorm1d(NUM_FEATURES, affine=False)  # so that each feature counts as much
        self.classify = nn.Linear(NUM_FEATURES, len(TRAINING))

    def maps(self, image: Tensor) -> list[Tensor]:
        """The output of each layer for images (N, 3, 32, 32)."""
        found = [image]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            found.append(relu(norm(convolution(found[-1]))))
        return found[1:]

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """The outputs of all layers to features (N, 128) with mean 0 and deviation 1 over the training patches."""
        found = []
        for early in maps[:5:2]:
            mean = early.mean((2, 3))
            spread = (early - mean[:, :, None, None]).square().mean((2, 3))
            found += [mean, (spread + 1e-4).sqrt()]
        return self.standardise(self.gather(torch.cat([*found, maps[-1].mean((2, 3))], dim=1)))

    def features(self, image: Tensor) -> Tensor:
        """Images (N, 3, 32, 32) to features (N, 128)."""
        return self.pooled(self.maps(image))

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 128) to logits of the training photographs (N, 7)."""
        return self.classify(relu(features))


class PhotosEvaluator(AnySizeEvaluator):
    """Features of natural images of any size, grey or in colour, and which photograph a patch is from.

    Trained by ``python -m lightning_mtgan.evaluation.train_photos`` on patches of seven photographs, on
    several tasks at once: it knows colour, texture and simple structure, but no objects.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` (128 numbers) and ``logits`` (7).
    """

    weights = WEIGHTS
    side = SIDE

    def __init__(self, name: str = "mtgan-photos", features_list: Sequence[str] = ("features",)) -> None:
        super().__init__(name, features_list)
        self.network = with_weights(PhotoNetwork(), WEIGHTS)
        self.fused = fused(self.network.convolutions, self.network.norms)
        self.eval().requires_grad_(False)

    def features(self, image: Tensor) -> Tensor:
        """Features float32 (N, 128) of images uint8 (N, 1 or 3, H, W) of any size; grey is repeated.

        Raises:
            UserError: If the images are neither grey nor RGB.
        """
        return torch.cat([self._features(chunk) for chunk in image.split(CHUNK)])

    def _features(self, image: Tensor) -> Tensor:
        maps = [self.seen(image)]
        for convolution in self.fused:
            maps.append(relu(convolution(maps[-1])))
        return self.network.pooled(maps[1:])

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 128) to logits of the training photographs (N, 7)."""
        return self.network.logits(features)

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The training photograph that the image is from, or most resembles."""
        return {"photograph": self.logits(features).argmax(1)}
