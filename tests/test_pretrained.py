from __future__ import annotations

import math
import pickle
import socket
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_clip import CLIPVisual, FeatureExtractorCLIP
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torchvision.models import vgg16

from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import dinov2, pretrained, published
from lightning_mtgan.evaluation.dinov2 import SHAPES, Shape, VisionTransformer
from lightning_mtgan.evaluation.extractor import file_checksum
from lightning_mtgan.evaluation.pretrained import ClipShape, Pretrained, PretrainedName, published_as
from lightning_mtgan.evaluation.published import Published

S = "dinov2-vit-s-14"
TINY = {S: Shape(64, 2), "dinov2-vit-b-14": Shape(128, 2), "dinov2-vit-g-14": Shape(64, 2, gated=True)}
TINY_CLIP = {
    "clip-vit-b-32": ClipShape(64, 16, (2,), 32, 24),
    "clip-rn50": ClipShape(4, 3, (1, 1, 1, 1), 64, 24),
}


def drawn(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Random weights of the same shapes that neither vanish nor explode on their way through a network."""
    generator = torch.Generator().manual_seed(0)

    def draw(name: str, like: Tensor) -> Tensor:
        if not like.is_floating_point():
            return torch.zeros(like.shape, dtype=like.dtype)
        noise = torch.randn(like.shape, generator=generator)
        if like.ndim > 1:
            return noise * math.sqrt(2 / like[0].numel())
        is_factor = name.endswith(("weight", "running_var", "gamma"))
        return 1 + 0.1 * noise.abs() if is_factor else 0.1 * noise

    return {name: draw(name, like) for name, like in tensors.items()}


def light(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of any shape that are views of a few numbers, so that their file is small."""
    generator = torch.Generator().manual_seed(0)

    def view(shape: torch.Size) -> Tensor:
        strides = [7 + 4 * axis for axis in range(len(shape))]
        length = sum(stride * (size - 1) for stride, size in zip(strides, shape, strict=True)) + 1
        scale = math.sqrt(2 / max(1, shape[1:].numel()))
        return (torch.randn(length, generator=generator) * scale).as_strided(shape, strides)

    return {name: view(like.shape) for name, like in tensors.items()}


class Parameters(nn.Module):
    """A tree of parameters by their dotted names, which is all that torch-fidelity takes from CLIP's archives."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for head in dict.fromkeys(name.partition(".")[0] for name in tensors):
            if head in tensors:
                self.register_buffer(head, tensors[head])
            else:
                inner = {
                    name.partition(".")[2]: value for name, value in tensors.items() if name.startswith(f"{head}.")
                }
                self.add_module(head, Parameters(inner))


def write_clip(path: Path, shape: ClipShape) -> Path:
    """A whole CLIP in TorchScript, as it is published: the network of images, and something of the one of words."""
    visual = (
        CLIPVisual(shape.features, shape.resolution, shape.blocks[0], shape.channels, shape.kernel)
        if len(shape.blocks) == 1
        else CLIPVisual(shape.features, shape.resolution, shape.blocks, 2 * shape.channels, 0)
    )
    words = {"text_projection": torch.randn(8, shape.features), "ln_final.weight": torch.ones(8)}
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):
        torch.jit.script(Parameters(drawn(visual.state_dict()) | words)).save(str(path))
    return path


def images(channels: int, height: int, width: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def rgb(image: Tensor) -> Tensor:
    return image if image.shape[1] == 3 else image.repeat(1, 3, 1, 1)


def refusal(name: PretrainedName, path: Path | None) -> str:
    """What is said of a file, in one line."""
    with pytest.raises(UserError) as error:
        Pretrained(name, None if path is None else str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        state = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], "none").state_dict()
    torch.save(drawn(state), path)
    return path


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published shapes, made small."""
    monkeypatch.setattr(dinov2, "SHAPES", SHAPES | TINY)
    monkeypatch.setattr(pretrained, "CLIP_SHAPES", pretrained.CLIP_SHAPES | TINY_CLIP)


@pytest.fixture
def dinov2_file(tmp_path: Path) -> Path:
    path = tmp_path / "dinov2.pth"
    torch.save(drawn(VisionTransformer(TINY[S]).state_dict()), path)
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's folder of weights, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_inception_is_torch_fidelitys(inception_file: Path) -> None:
    torch.manual_seed(1)
    ours = Pretrained(weights_path=str(inception_file))
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(1)))  # nobody else drew
    theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(inception_file))
    for image in (images(1, 8, 8), images(3, 33, 47)):
        features, logits = theirs(rgb(image))
        found = ours.features(image)
        assert found.shape == (2, 2048)
        assert found.dtype == torch.float32
        assert found.std(dim=0).mean() > 1e-3  # different images have different features
        assert torch.allclose(found, features, rtol=1e-5, atol=1e-6)
        assert torch.allclose(ours.logits(found), logits, rtol=1e-5, atol=1e-5)
        assert ours.logits(found).shape == (2, 1008)
    assert ours.resize == "bilinear as TensorFlow 1 to 299 x 299"
    assert ours.checksum == file_checksum(inception_file)
    assert ours.get_name() == "inception-v3-compat"
    assert not ours.training
    assert not ours.network.training
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_vgg_is_torch_fidelitys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for draw in ("kaiming_normal_", "kaiming_uniform_", "normal_"):  # 138 million numbers, to be overwritten
        monkeypatch.setattr(nn.init, draw, lambda *_, **__: None)
    path = tmp_path / "vgg.pth"
    with torch.device("meta"):
        shapes = vgg16().state_dict()
    torch.save(light(shapes), path)
    ours = Pretrained("vgg16", str(path))
    theirs = FeatureExtractorVGG16("vgg16", ["fc2_relu"], str(path))
    image = images(1, 8, 8, count=1)
    features = ours.features(image)
    assert features.shape == (1, 4096)
    assert features.std() > 0
    assert torch.allclose(features, theirs(rgb(image))[0], rtol=1e-5)
    assert ours.logits(features) is None
    assert ours.resize == "bilinear as TensorFlow 1 to 224 x 224"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", TINY_CLIP)
def test_clip_is_torch_fidelitys(name: PretrainedName, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.pt", TINY_CLIP[name])
    ours = Pretrained(name, str(path))
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):
        theirs = FeatureExtractorCLIP(name, ["clip"], str(path))
    for image in (images(1, 8, 8), images(3, 33, 47)):
        features = ours.features(image)
        assert features.shape == (2, 24)
        assert features.std(dim=0).mean() > 1e-3
        assert torch.allclose(features, theirs(rgb(image))[0], rtol=1e-5, atol=1e-6)
        assert ours.logits(features) is None
    size = TINY_CLIP[name].resolution
    assert ours.resize == f"bilinear as TensorFlow 1 to {size} x {size}"


@pytest.mark.usefixtures("tiny")
def test_dinov2_sees_what_torch_fidelity_shows_it(dinov2_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Pretrained(S, str(dinov2_file))
    network = VisionTransformer(TINY[S])
    network.load_state_dict(torch.load(dinov2_file, weights_only=True))
    monkeypatch.setenv("XFORMERS_DISABLED", "1")  # theirs sets it, and this takes it back
    monkeypatch.setattr(torch.hub, "load", lambda *_, **__: network)
    theirs = FeatureExtractorDinoV2(S, ["dinov2"])
    for image in (images(1, 8, 8), images(3, 33, 47)):
        features = ours.features(image)
        assert features.shape == (2, 64)
        assert features.std(dim=0).mean() > 1e-3
        assert torch.allclose(features, theirs(rgb(image))[0], rtol=1e-5, atol=1e-6)
        assert ours.logits(features) is None
    assert ours.resize == "bilinear as TensorFlow 1 to 224 x 224"
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in ours.parameters())


@pytest.mark.parametrize("name", [*TINY])
def test_dinov2_equals_a_naive_reference(name: str) -> None:
    weights = {key: value.double() for key, value in drawn(VisionTransformer(TINY[name]).state_dict()).items()}
    network = VisionTransformer(TINY[name]).double()
    network.load_state_dict(weights)
    image = torch.randn(1, 3, 224, 224, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(network(image)[0], naive_dinov2(weights, image[0]), atol=1e-9)


def naive_dinov2(weights: dict[str, Tensor], image: Tensor) -> Tensor:
    """The network of one image, token by token and head by head, with the published resampling of positions."""

    def linear(name: str, tokens: Tensor) -> Tensor:
        return tokens @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, tokens: Tensor) -> Tensor:
        centred = tokens - tokens.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    kernel = weights["patch_embed.proj.weight"].flatten(1)
    cut = [image[:, y : y + 14, x : x + 14].flatten() for y in range(0, 224, 14) for x in range(0, 224, 14)]
    patches = torch.stack([kernel @ patch for patch in cut]) + weights["patch_embed.proj.bias"]
    rows = resampling(37, 16, 16.1 / 37)
    positions = torch.einsum("ai,ijd,bj->abd", rows, weights["pos_embed"][0, 1:].view(37, 37, -1), rows).flatten(0, 1)
    tokens = torch.cat([weights["cls_token"][0] + weights["pos_embed"][0, :1], patches + positions])
    for block in (f"blocks.{number}" for number in range(2)):
        normed = norm(f"{block}.norm1", tokens)
        query, key, value = linear(f"{block}.attn.qkv", normed).chunk(3, dim=1)
        heads = [
            (q @ k.T / math.sqrt(64)).softmax(dim=1) @ v
            for q, k, v in zip(*(part.split(64, dim=1) for part in (query, key, value)), strict=True)
        ]
        tokens = tokens + weights[f"{block}.ls1.gamma"] * linear(f"{block}.attn.proj", torch.cat(heads, dim=1))
        normed = norm(f"{block}.norm2", tokens)
        if f"{block}.mlp.w12.weight" in weights:
            gate, value = linear(f"{block}.mlp.w12", normed).chunk(2, dim=1)
            out = linear(f"{block}.mlp.w3", gate * gate.sigmoid() * value)
        else:
            inner = linear(f"{block}.mlp.fc1", normed)
            out = linear(f"{block}.mlp.fc2", inner * (1 + (inner / math.sqrt(2)).erf()) / 2)
        tokens = tokens + weights[f"{block}.ls2.gamma"] * out
    return norm("norm", tokens)[0]


def resampling(before: int, after: int, factor: float) -> Tensor:
    """Cubic convolution along an axis (Keys 1981, a = -0.75), pixels at their centres, borders repeated."""
    rows = torch.zeros(after, before, dtype=torch.float64)
    for new in range(after):
        place = (new + 0.5) / factor - 0.5
        for old in range(math.floor(place) - 1, math.floor(place) + 3):
            t = abs(place - old)
            share = (1.25 * t - 2.25) * t * t + 1 if t <= 1 else -0.75 * (((t - 5) * t + 8) * t - 4)
            rows[new, min(max(old, 0), before - 1)] += share
    return rows


def test_dinov2_at_its_own_size_keeps_its_positions() -> None:
    network = VisionTransformer(Shape(64, 1))
    network.load_state_dict(drawn(network.state_dict()))
    of_class, of_patches = network.positions((37, 37))
    assert torch.equal(torch.cat([of_class, of_patches.flatten(2).transpose(1, 2)], dim=1), network.pos_embed)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dinov2-vit-s-14", 22_056_576),
        ("dinov2-vit-b-14", 86_580_480),
        ("dinov2-vit-l-14", 304_368_640),
        ("dinov2-vit-g-14", 1_136_480_768),
    ],
)
def test_dinov2_has_the_published_size(name: str, count: int) -> None:
    with torch.device("meta"):
        network = VisionTransformer(SHAPES[name])
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.usefixtures("tiny")
def test_many_images_are_seen_in_chunks(dinov2_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = Pretrained(S, str(dinov2_file))
    image = images(3, 9, 9, count=5)
    whole = extractor.features(image)
    monkeypatch.setattr(pretrained, "CHUNK", 2)
    assert torch.allclose(extractor.features(image), whole, atol=1e-5)
    assert torch.allclose(extractor(image)[0], whole, atol=1e-5)


@pytest.mark.usefixtures("tiny")
def test_other_numbers_of_channels_are_refused(dinov2_file: Path) -> None:
    extractor = Pretrained(S, str(dinov2_file))
    with pytest.raises(UserError, match=r"1 or 3 channels \(grey or RGB\), and these have 4"):
        extractor.features(images(4, 8, 8))


def test_the_names_are_torch_fidelitys() -> None:
    theirs = {
        name for name, kind in FEATURE_EXTRACTORS_REGISTRY.items() if kind.__module__.startswith("torch_fidelity")
    }
    assert set(get_args(PretrainedName)) == theirs


def test_published_files_are_named_as_in_torch_hubs_cache() -> None:
    assert published_as("inception-v3-compat").file_name == "weights-inception-2015-12-05-6726825d.pth"
    assert published_as("inception-v3-compat").digest == "6726825d"
    assert published_as("vgg16").file_name == "vgg16-397923af.pth"
    clip = published_as("clip-vit-b-32")
    assert clip.url.endswith(f"{clip.digest}/ViT-B-32.pt")
    assert clip.file_name == f"clip-vit-b-32-{clip.digest}.pt"
    url = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_pretrain.pth"
    assert published_as("dinov2-vit-g-14").url == url


@pytest.mark.parametrize("name", ["inception-v3-compat", "clip-rn50", S])
def test_files_that_are_not_weights_are_named(name: PretrainedName, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "empty").touch()
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "other")
    torch.save(torch.zeros(3), tmp_path / "tensor")
    for file in ("noise", "empty", "other", "tensor"):
        said = refusal(name, tmp_path / file)
        assert said.startswith(f"fidelity.extractor.weights_path: {tmp_path / file} is not the weights of {name} (")
        assert said.endswith(f"; give the file published at {published_as(name).url}, or null to have it downloaded")
    said = refusal(name, tmp_path / "none")
    assert (
        f"{tmp_path / 'none'} cannot be read (No such file or directory); give the file published at https://" in said
    )
    assert f"{tmp_path} cannot be read (Is a directory)" in refusal(name, tmp_path)


class Trap:
    """What runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["inception-v3-compat", "vgg16", "clip-rn50", S])
def test_files_that_would_run_code_are_refused(name: PretrainedName, tmp_path: Path) -> None:
    torch.save({"fc.weight": Trap(tmp_path / "sprung")}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    for file in ("zip.pth", "plain.pth"):
        assert f"{file} is not the weights" in refusal(name, tmp_path / file)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.usefixtures("tiny")
def test_another_network_of_the_family_is_refused(tmp_path: Path, dinov2_file: Path) -> None:
    path = write_clip(tmp_path / "clip.pt", TINY_CLIP["clip-rn50"])
    assert "(it holds clip-rn50)" in refusal("clip-vit-b-32", path)
    assert "(it holds clip-rn50)" in refusal("clip-rn101", path)
    path = write_clip(path, ClipShape(64, 8, (1,), 32, 24))
    assert "(it holds ClipShape(channels=64, kernel=8" in refusal("clip-vit-b-32", path)
    assert "size mismatch for cls_token" in refusal("dinov2-vit-b-14", dinov2_file)
    assert "(it holds no blocks.0.mlp.w12.weight)" in refusal("dinov2-vit-g-14", dinov2_file)
    assert "TorchScript" in refusal("inception-v3-compat", path)


def test_a_failing_download_says_what_to_do(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    timeouts = []

    def fail(*_: object, **__: object) -> None:
        timeouts.append(socket.getdefaulttimeout())
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    for name in get_args(PretrainedName):
        url = published_as(name).url
        assert refusal(name, None) == (
            f"the weights of {name} could not be downloaded from {url} ([Errno -2] Name or service not known); "
            f"download {url.rpartition('/')[2]} elsewhere and give its path as fidelity.extractor.weights_path, "
            f"or put it at {hub / published_as(name).file_name}"
        )
    assert set(timeouts) == {published.PATIENCE}
    assert socket.getdefaulttimeout() is None
    assert capfd.readouterr() == ("", "")


def publish(monkeypatch: pytest.MonkeyPatch, url: str, digest: str) -> None:
    monkeypatch.setattr(pretrained, "published_as", lambda name: Published(url, "weights.pth", digest))


@pytest.mark.usefixtures("tiny")
def test_a_download_is_kept_and_checked(
    hub: Path, dinov2_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(monkeypatch, dinov2_file.as_uri(), "0000")
    assert "(invalid hash value (expected" in refusal(S, None)
    assert list(hub.iterdir()) == []
    publish(monkeypatch, dinov2_file.as_uri(), file_checksum(dinov2_file))
    first = Pretrained(S)
    assert [file.name for file in hub.iterdir()] == ["weights.pth"]
    assert first.checksum == file_checksum(dinov2_file)
    dinov2_file.unlink()
    assert torch.equal(Pretrained(S).features(images(1, 8, 8)), first.features(images(1, 8, 8)))
    (hub / "weights.pth").write_bytes(b"half of it")
    said = refusal(S, None)
    assert said.startswith(f"the downloaded file {hub / 'weights.pth'} is not the weights of {S} (")
    assert said.endswith("; delete it, and it is downloaded again")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that lets everybody in and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.usefixtures("hub")
def test_a_silent_server_is_not_waited_for(silent_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(published, "PATIENCE", 0.2)
    publish(monkeypatch, f"http://127.0.0.1:{silent_server}/weights.pth", "0000")
    assert "(timed out); download weights.pth elsewhere" in refusal(S, None)
