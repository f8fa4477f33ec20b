"""The judge of shapes: a small convolutional network, shipped with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, log_softmax, normalize, relu

from lightning_mtgan.data.rendering import BACKGROUNDS, COLOURS, SHAPES, SYMMETRY, TEXTURES
from lightning_mtgan.data.shapes import DrawnTask
from lightning_mtgan.evaluation.shipped import ShippedEvaluator, fused, with_weights

WEIGHTS = Path(__file__).parent / "weights" / "shapes.pt"
IMAGE_SIZE = 32
"""Height and width of the images that the network sees, in pixels."""
NUM_FEATURES = 64
CLASSES = {"shape": len(SHAPES), "colour": len(COLOURS), "texture": len(TEXTURES), "background": len(BACKGROUNDS)}
NUMBERS = {"position": 2, "size": 1}
TASKS: tuple[DrawnTask, ...] = get_args(DrawnTask)


class ShapeNetwork(nn.Module):
    """What images of shapes show, from 32 x 32 pixels in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (3, 16, 32, 32, 64, 32), (1, 2, 1, 2, 2)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride, padding=1, bias=False)
            for (i, o), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in widths[1:])
        self.gather = nn.Linear(widths[-1] * 4 * 4, NUM_FEATURES)
        self.heads = nn.ModuleDict({name: nn.Linear(NUM_FEATURES, size) for name, size in (CLASSES | NUMBERS).items()})
        self.angles = nn.Linear(NUM_FEATURES, 2 * len(SHAPES))
        # The mask: fine maps, coarse maps and the features of the whole image, added up.
        self.fine = nn.Conv2d(widths[1], 16, 3, padding=1)
        self.coarse = nn.Conv2d(widths[3], 16, 1)
        self.whole = nn.Linear(NUM_FEATURES, 16)
        self.mask = nn.Conv2d(16, 1, 3, padding=1)

    def maps(self, image: Tensor, depth: int = 5) -> list[Tensor]:
        """Images (N, 3, 32, 32) to the maps after each of the first convolutions, the fifth (N, 32, 4, 4)."""
        found = [image]
        for convolution, norm in zip(self.convolutions[:depth], self.norms[:depth], strict=True):
            found.append(relu(norm(convolution(found[-1]))))
        return found[1:]

    def features(self, last: Tensor) -> Tensor:
        """The last maps (N, 32, 4, 4) to features (N, 64)."""
        return self.gather(last.flatten(1))

    def heads_of(self, features: Tensor) -> dict[str, Tensor]:
        """Features (N, 64) to class logits (N, K) and numbers (N, size), by task, but for angle and mask."""
        return {name: head(relu(features)) for name, head in self.heads.items()}

    def angle(self, features: Tensor, shape: Tensor) -> Tensor:
        """Features (N, 64) to cosine and sine (N, 2) of the angle of an outline of that shape (N,)."""
        every = self.angles(relu(features)).unflatten(1, (-1, 2))
        return every[torch.arange(len(shape), device=shape.device), shape]

    def mask_logits(self, fine: Tensor, coarse: Tensor, features: Tensor) -> Tensor:
        """First maps (N, 16, 32, 32), third maps (N, 32, 16, 16) and features to logits (N, 1, 32, 32)."""
        coarse = interpolate(self.coarse(coarse), scale_factor=2, mode="bilinear")
        return self.mask(relu(self.fine(fine) + coarse + self.whole(relu(features))[:, :, None, None]))


def seen(image: Tensor) -> Tensor:
    """What the network is shown of images uint8 (N, 3, H, W): float32 (N, 3, 32, 32) in [-1, 1]."""
    shown = image.float() / 127.5 - 1
    if image.shape[2] < IMAGE_SIZE:
        return interpolate(shown, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
    return adaptive_avg_pool2d(shown, IMAGE_SIZE) if image.shape[2] > IMAGE_SIZE else shown


class ShapesEvaluator(ShippedEvaluator):
    """Judges pictures of single shapes, of any size.

    Trained by ``python -m lightning_mtgan.evaluation.train_shapes`` on shapes of its own.

    Args:
        name: Name under which torch-fidelity knows the extractor.
        features_list: Of ``features`` (64 numbers) and ``logits`` (36: shape x colour).
        tasks: What to predict; masks take longer than everything else together.
    """

    weights = WEIGHTS
    side = IMAGE_SIZE

    def __init__(
        self,
        name: str = "mtgan-shapes",
        features_list: Sequence[str] = ("features",),
        tasks: Sequence[DrawnTask] = TASKS,
    ) -> None:
        super().__init__(name, features_list)
        self.tasks = tuple(tasks)
        self.network = with_weights(ShapeNetwork(), WEIGHTS)
        self.network.convolutions = fused(self.network.convolutions, self.network.norms)
        self.network.norms = nn.ModuleList(nn.Identity() for _ in self.network.norms)
        self.eval().requires_grad_(False)

    @property
    def resize(self) -> str:
        """Every image is brought to the network's size."""
        return "to 32 x 32: larger images by the mean over areas, smaller ones bilinear"

    def features(self, image: Tensor) -> Tensor:
        """Images uint8 (N, 3, H, W) to features (N, 64)."""
        return self.network.features(self.network.maps(seen(image))[-1])

    def logits(self, features: Tensor) -> Tensor:
        """Features (N, 64) to logits of shape and colour together, (N, 36): both are judged independently."""
        heads = self.network.heads_of(features)
        shape, colour = (log_softmax(heads[name], dim=1) for name in ("shape", "colour"))
        return (shape[:, :, None] + colour[:, None]).flatten(1)

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The tasks of ``Shapes``; masks as float (N, 1, R, R) in [0, 255], R the lesser of 32 and H."""
        with torch.no_grad():
            heads = self.network.heads_of(features)
            found = {name: heads[name].argmax(1) for name in CLASSES} | {name: heads[name] for name in NUMBERS}
            found["angle"] = self._angle(features, found["shape"])
            if "mask" in self.tasks:
                found["mask"] = self._mask(image, features)
        return {name: found[name] for name in self.tasks}

    def _angle(self, features: Tensor, shape: Tensor) -> Tensor:
        """Cosine and sine by the head of the predicted shape, (N, 2), of length 1; (1, 0) for discs."""
        shows_turn = torch.tensor(SYMMETRY, device=shape.device)[shape] > 0
        still = torch.tensor([1.0, 0.0], device=shape.device)
        return normalize(self.network.angle(features, shape)).where(shows_turn[:, None], still)

    def _mask(self, image: Tensor, features: Tensor) -> Tensor:
        fine, _, coarse = self.network.maps(seen(image), depth=3)
        share = self.network.mask_logits(fine, coarse, features).sigmoid()
        return 255 * adaptive_avg_pool2d(share, min(image.shape[2], IMAGE_SIZE))
