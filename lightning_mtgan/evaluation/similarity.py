"""How alike two images look to a published network: LPIPS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch_fidelity import sample_similarity_lpips
from torch_fidelity.sample_similarity_lpips import URL_VGG16_LPIPS, SampleSimilarityLPIPS
from torchvision.models import vgg16

from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.extractor import file_checksum
from lightning_mtgan.evaluation.pretrained import published_as
from lightning_mtgan.evaluation.published import Published, reason_of

CHUNK = 32
"""Pairs of images in the network at a time: their features take thousands of times as much memory as they do."""
KEY = "fidelity.similarity"
LEAST_PIXELS = 16
"""The least height and width of which VGG-16's four halvings leave something."""


class Similarity(nn.Module):
    """LPIPS: the perceptual distance of Zhang et al. 2018 (arXiv:1801.03924, equation 1), with VGG-16.

    Features of five layers, scaled to length 1 at every place: their squared differences, weighted by channel
    as people's judgement has taught, averaged over places and summed over layers. The network is
    torch-fidelity's; a file that is not named is the one in torch.hub's cache, downloaded if it is not there.

    Args:
        weights: File with the channels' weights, ``weights-vgg16-lpips.pth`` of torch-fidelity.
        network_weights: File with torchvision's weights of VGG-16, ``vgg16-397923af.pth``.

    Raises:
        UserError: If a file is missing or is not what it should be, or if it cannot be downloaded.
    """

    def __init__(self, weights: str | None = None, network_weights: str | None = None) -> None:
        super().__init__()
        channels = Published(URL_VGG16_LPIPS, Path(URL_VGG16_LPIPS).name, "")  # no digest is published
        network = published_as("vgg16")
        path = _file("weights", weights, channels)
        network_path = _file("network_weights", network_weights, network)
        with _blamed("network_weights", network_path, network):
            features = _features(network_path)
        with _blamed("weights", path, channels):
            self.network = _network(path, features)
        self.checksum = f"{file_checksum(path)}-{file_checksum(network_path)}"
        self.eval().requires_grad_(False)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """How different the images of each pair look: float32 (N,), 0 for the same.

        Args:
            one: Images uint8 (N, C, H, W), grey (C = 1, repeated) or RGB, of any size; those with a side of less
                than 16 pixels are enlarged by the least whole factor, bilinearly.
            other: As many, of the same shape.

        Raises:
            UserError: If the images are neither grey nor RGB.
        """
        if one.shape[1] not in (1, 3):
            raise UserError(
                f"LPIPS sees images with 1 or 3 channels (grey or RGB), and these have {one.shape[1]}; "
                "measure them without a similarity"
            )
        pairs = zip(one.split(CHUNK), other.split(CHUNK), strict=True)
        with torch.no_grad():
            return torch.cat([self.network(_seen(left), _seen(right)) for left, right in pairs])


def _seen(image: Tensor) -> Tensor:
    colour = image.expand(-1, 3, -1, -1).float()
    factor = -(-LEAST_PIXELS // min(image.shape[2:]))
    return interpolate(colour, scale_factor=factor, mode="bilinear") if factor > 1 else colour


def _features(path: Path) -> nn.Module:
    """The convolutions of VGG-16 with the weights in a file."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):  # neither memory nor random numbers for 138 million weights that are replaced
        features = vgg16(init_weights=False).features
    inner = {name.removeprefix("features."): weight for name, weight in weights.items() if name.startswith("features.")}
    features.load_state_dict(inner, assign=True)
    return features


def _network(path: Path, features: nn.Module) -> SampleSimilarityLPIPS:
    """torch-fidelity's LPIPS with the weights in a file, on these features."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    # It takes no files: its constructor downloads, waits for ever, and runs what code it finds.
    instead = patch.multiple(
        sample_similarity_lpips,
        load_state_dict_from_url=lambda *_, **__: weights,
        torchvision_load_pretrained_vgg16=lambda **_: SimpleNamespace(features=features),
    )
    with instead, torch.random.fork_rng(devices=[]):
        return SampleSimilarityLPIPS("lpips-vgg16")


def _file(argument: str, given: str | None, published: Published) -> Path:
    """The file that is given, or else the one in torch.hub's cache, downloaded if it is not there yet."""
    if given is not None:
        path = Path(given).expanduser()
        if not path.is_file():
            raise UserError(
                f"{KEY}.{argument}: {path} is no file; give the one published at {published.url}, or null to "
                "have it downloaded"
            )
        return path
    return published.fetched("LPIPS", f"{KEY}.{argument}")


@contextmanager
def _blamed(argument: str, path: Path, published: Published) -> Iterator[None]:
    """Whatever goes wrong inside is the file's fault."""
    try:
        yield
    except Exception as error:
        raise UserError(
            f"{KEY}.{argument}: {path} is not what LPIPS needs ({reason_of(error)}); put the file published at "
            f"{published.url} there"
        ) from error
