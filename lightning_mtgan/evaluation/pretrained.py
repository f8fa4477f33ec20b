"""Features of published networks, which figures in papers are computed with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_clip import MODEL_METADATA as CLIP_FILES
from torch_fidelity.feature_extractor_clip import MODEL_URLS as CLIP_URLS
from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP
from torch_fidelity.feature_extractor_dinov2 import MODEL_METADATA as DINOV2_NAMES
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torchvision.models import VGG16_Weights

from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.dinov2 import SHAPES, DinoV2
from lightning_mtgan.evaluation.extractor import Extractor, file_checksum
from lightning_mtgan.evaluation.published import Published, reason_of

PretrainedName = Literal[
    "inception-v3-compat",
    "vgg16",
    "clip-rn50",
    "clip-rn101",
    "clip-rn50x4",
    "clip-rn50x16",
    "clip-rn50x64",
    "clip-vit-b-32",
    "clip-vit-b-16",
    "clip-vit-l-14",
    "clip-vit-l-14-336px",
    "dinov2-vit-s-14",
    "dinov2-vit-b-14",
    "dinov2-vit-l-14",
    "dinov2-vit-g-14",
]
"""torch-fidelity's names."""

KEY = "fidelity.extractor.weights_path"
CHUNK = 64
"""Images in the network at a time: its activations are hundreds of times as large as they are."""

DINOV2_DIGESTS = {
    "dinov2-vit-s-14": "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
    "dinov2-vit-b-14": "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    "dinov2-vit-l-14": "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    "dinov2-vit-g-14": "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3",
}


@dataclass(frozen=True)
class ClipShape:
    """What tells the published CLIP networks apart: torch-fidelity would build any of them under any name.

    Args:
        channels: Of the first convolution.
        kernel: Its size; a vision transformer's patch.
        blocks: Numbers of blocks: a vision transformer's one, a residual network's four.
        resolution: Pixels along a side of its images.
        features: Numbers in a feature.
    """

    channels: int
    kernel: int
    blocks: tuple[int, ...]
    resolution: int
    features: int

    @classmethod
    def of(cls, visual: Any) -> ClipShape:
        """The shape of torch-fidelity's network."""
        stages = [visual.transformer.resblocks] if hasattr(visual, "transformer") else _residual_stages(visual)
        return cls(
            visual.conv1.out_channels,
            visual.conv1.kernel_size[0],
            tuple(len(stage) for stage in stages),
            visual.input_resolution,
            visual.output_dim,
        )


def _residual_stages(visual: Any) -> list[Any]:
    return [visual.layer1, visual.layer2, visual.layer3, visual.layer4]


CLIP_SHAPES = {
    "clip-rn50": ClipShape(32, 3, (3, 4, 6, 3), 224, 1024),
    "clip-rn101": ClipShape(32, 3, (3, 4, 23, 3), 224, 512),
    "clip-rn50x4": ClipShape(40, 3, (4, 6, 10, 6), 288, 640),
    "clip-rn50x16": ClipShape(48, 3, (6, 8, 18, 8), 384, 768),
    "clip-rn50x64": ClipShape(64, 3, (3, 15, 36, 10), 448, 1024),
    "clip-vit-b-32": ClipShape(768, 32, (12,), 224, 512),
    "clip-vit-b-16": ClipShape(768, 16, (12,), 224, 512),
    "clip-vit-l-14": ClipShape(1024, 14, (24,), 224, 768),
    "clip-vit-l-14-336px": ClipShape(1024, 14, (24,), 336, 768),
}


def published_as(name: PretrainedName) -> Published:
    """Address, file and digest of a network's weights."""
    if name in CLIP_URLS:
        digest = CLIP_FILES[name]["hash"]
        return Published(CLIP_URLS[name], f"{name}-{digest}.pt", digest)
    if name in DINOV2_NAMES:
        model = DINOV2_NAMES[name]
        file_name = f"{model}_pretrain.pth"
        return Published(f"https://dl.fbaipublicfiles.com/dinov2/{model}/{file_name}", file_name, DINOV2_DIGESTS[name])
    url = URL_INCEPTION_V3 if name == "inception-v3-compat" else VGG16_Weights.IMAGENET1K_V1.url
    return Published(url, Path(url).name, Path(url).stem.rpartition("-")[2])


class Pretrained(Extractor):
    """A network of torch-fidelity, by its name there: Inception, VGG-16, CLIP or DINOv2.

    Args:
        name: torch-fidelity's name of the network.
        weights_path: File with its published weights; without it, they are downloaded into torch.hub's cache.

    Raises:
        UserError: If the file is missing or is not the weights of this network, or if it cannot be downloaded.
    """

    def __init__(self, name: PretrainedName = "inception-v3-compat", weights_path: str | None = None) -> None:
        super().__init__(name, ["features"])
        published = published_as(name)
        if weights_path is None:
            path = published.fetched(name, KEY)
            subject, remedy = f"the downloaded file {path}", "delete it, and it is downloaded again"
        else:
            path = Path(weights_path).expanduser()
            subject = f"{KEY}: {path}"
            remedy = f"give the file published at {published.url}, or null to have it downloaded"
        try:
            self._checksum = file_checksum(path)  # not later: the file may be gone when the figures are written
        except OSError as error:
            raise UserError(f"{subject} cannot be read ({error.strerror}); {remedy}") from None
        try:
            self.network = _load(name, path)
        except Exception as error:
            raise UserError(f"{subject} is not the weights of {name} ({reason_of(error)}); {remedy}") from error
        self.eval().requires_grad_(False)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """The name of the features."""
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """The features, for every metric."""
        return "features"

    @staticmethod
    def can_be_compiled() -> bool:
        """Not as a whole: chunks are cut by the number of images."""
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        """A black image."""
        return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)

    @property
    def checksum(self) -> str:
        """Of the file that was loaded."""
        return self._checksum

    @property
    def resize(self) -> str:
        """Every torch-fidelity network resizes its images itself."""
        clip = isinstance(self.network, FeatureExtractorCLIP)
        size = self.network.resolution if clip else self.network.INPUT_IMAGE_SIZE
        return f"bilinear as TensorFlow 1 to {size} x {size}"

    def features(self, image: Tensor) -> Tensor:
        """Features float32 (N, D) of images uint8 (N, 1 or 3, H, W) of any size; grey is repeated.

        Raises:
            UserError: If the images are neither grey nor RGB.
        """
        if image.shape[1] not in (1, 3):
            raise UserError(
                f"{self.name} sees images with 1 or 3 channels (grey or RGB), and these have {image.shape[1]}; "
                "choose another fidelity.extractor"
            )
        colour = image.expand(-1, 3, -1, -1)
        with torch.no_grad():
            return torch.cat([self.network(chunk)[0] for chunk in colour.split(CHUNK)])

    def logits(self, features: Tensor) -> Tensor | None:
        """Inception's unbiased logits (N, 1008), as torch-fidelity's Inception Score uses them; None for the others."""
        if not isinstance(self.network, FeatureExtractorInceptionV3):
            return None
        return features @ self.network.fc.weight.to(features).T

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """The features of images uint8 (N, 1 or 3, H, W), as torch-fidelity asks for them."""
        return (self.features(input),)


def _load(name: PretrainedName, path: Path) -> FeatureExtractorBase:
    """torch-fidelity's extractor with the weights in a file; whatever it raises says what is wrong with them."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):  # it draws weights before it loads them
        warnings.simplefilter("ignore")  # torch has its opinion on TorchScript, which CLIP is published as
        if name in CLIP_SHAPES:
            network = FeatureExtractorCLIP(name, ["clip"], str(path))
            found = ClipShape.of(network.model.visual)
            if found != CLIP_SHAPES[name]:
                other = next((known for known, shape in CLIP_SHAPES.items() if shape == found), str(found))
                raise ValueError(f"it holds {other}")
            return network
        weights = torch.load(path, map_location="cpu", weights_only=True)
        if name in SHAPES:
            return DinoV2(name, weights)
        del weights  # torch-fidelity reads the file itself and would run code in it; by now we know that there is none
        if name == "vgg16":
            return FeatureExtractorVGG16(name, ["fc2_relu"], str(path))
        return FeatureExtractorInceptionV3(name, ["2048"], str(path))
