from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.error import URLError

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d

from lightning_mtgan import distributed
from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.callbacks.restored_pictures import restored_sheet
from lightning_mtgan.corruptions import Corruption, Damaged
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.draws import Draws, seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import Abandoned, Jury, judging, restoration, similarity
from lightning_mtgan.evaluation.restoration import colour_error, psnr, restoration_figures, restored, ssim, to_bytes
from lightning_mtgan.evaluation.similarity import Similarity
from lightning_mtgan.games import Phase
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.pictures import to_picture
from lightning_mtgan.types import DataSpec

FINEST = 20 * math.log10(255 * 4)
How = Callable[[Damaged, Sequence[str]], Tensor]


class Dimming(Corruption):
    name = "brightening"

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        return Damaged(image / 2, torch.zeros_like(image[:, :1]))


class Hole(Corruption):
    """A part that is wiped out from a row on that chance decides; what is left is as it was."""

    name = "filling"

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        (share,) = chances.uniform(1)
        rows = torch.arange(image.shape[2])[:, None] / image.shape[2]
        known = (rows < per_image(share)).to(image).expand(-1, 1, -1, image.shape[3])
        return Damaged(image * known, known)


class Truths(IndexedImages):
    def __init__(self, count: int, *shape: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.image = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return {"image": self.image[indices], "targets": {"number": indices}}


class Restorer(ImageGame):
    def __init__(self, how: How, corruptions: Sequence[Corruption] | None = None) -> None:
        super().__init__(DataSpec(12, 3))
        self.players["generator"] = nn.Linear(1, 1)
        self.corruptions = {one.name: one for one in corruptions or (Dimming(), Hole())}
        self.how = how
        self.asked: list[tuple[str, ...]] = []

    def phases(self) -> Sequence[Phase]:
        return []

    def sampling_modules(self) -> Sequence[nn.Module]:
        return []

    def restore(self, damaged: Damaged, corruptions: Sequence[str]) -> Tensor:
        self.asked.append(tuple(corruptions))
        assert len(damaged.image) == len(damaged.known) == len(corruptions)
        return self.how(damaged, corruptions)


def as_it_is(damaged: Damaged, names: Sequence[str]) -> Tensor:
    return damaged.image


def brightened(damaged: Damaged, names: Sequence[str]) -> Tensor:
    is_dim = torch.tensor([name == "brightening" for name in names])
    return torch.where(per_image(is_dim), damaged.image * 2, damaged.image * damaged.known)


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    """Noise, and images that are it more or less."""
    generator = torch.Generator().manual_seed(2)
    truth = torch.randint(0, 256, shape, generator=generator)
    strength = torch.linspace(3, 90, shape[0])
    noise = torch.randn(shape, generator=generator) * per_image(strength)
    return (truth + noise).round().clamp(0, 255).to(torch.uint8), truth.to(torch.uint8)


def each(measure: Callable[[Any, Any], float], image: Tensor, truth: Tensor) -> Tensor:
    pairs = zip(image.numpy(), truth.numpy(), strict=True)
    return torch.tensor([measure(one, other) for one, other in pairs], dtype=torch.float64)


def test_psnr_is_scikit_images() -> None:
    image, truth = pair(4, 3, 10, 17)
    theirs = each(lambda one, other: peak_signal_noise_ratio(other, one, data_range=255), image, truth)
    torch.testing.assert_close(psnr(image, truth), theirs, rtol=1e-12, atol=0)


def test_psnr_stays_finite_and_never_falls_as_the_error_does() -> None:
    truth = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    image = truth.clone()
    image[1, 0, 0, 0], image[2, 0, 0, 0] = 1, 2  # mean square errors of 0, 1/16 and 1/4
    known = torch.tensor([FINEST, FINEST, 10 * math.log10(4 * 255**2)]).double()
    torch.testing.assert_close(psnr(image, truth), known)
    wide = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    assert psnr(wide.index_fill(3, torch.tensor([0]), 255), wide).item() == pytest.approx(10 * math.log10(8))


@pytest.mark.parametrize(
    ("size", "deviation"), [((24, 40), 1.5), ((11, 30), 1.5), ((40, 9), 1.2), ((8, 8), 0.9), ((3, 5), 0.3)]
)
@pytest.mark.parametrize("num_channels", [1, 3])
def test_ssim_is_scikit_images(size: tuple[int, int], deviation: float, num_channels: int) -> None:
    def theirs(one: Any, other: Any) -> float:
        return structural_similarity(
            one,
            other,
            channel_axis=0,
            gaussian_weights=True,
            sigma=deviation,
            use_sample_covariance=False,
            data_range=255,
        )

    image, truth = pair(3, num_channels, *size)
    torch.testing.assert_close(ssim(image, truth).double(), each(theirs, image, truth), rtol=0, atol=2e-5)
    torch.testing.assert_close(ssim(truth, truth), torch.ones(3))


def test_colour_error_is_scikit_images_and_blind_to_brightness() -> None:
    def theirs(one: Any, other: Any) -> float:
        gap = rgb2lab(one, channel_axis=0)[1:] - rgb2lab(other, channel_axis=0)[1:]
        return np.sqrt((gap**2).sum(0)).mean()

    image, truth = pair(3, 3, 9, 14)
    torch.testing.assert_close(colour_error(image, truth).double(), each(theirs, image, truth), rtol=1e-3, atol=0)
    grey, darker = truth[:, :1].expand(-1, 3, -1, -1), truth[:, :1].expand(-1, 3, -1, -1) // 2
    assert colour_error(grey, darker).max() < 0.05
    assert colour_error(truth, truth).max() == 0


def test_figures_are_means_of_each_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BATCH", 4)
    monkeypatch.setattr(restoration, "CHUNK", 3)
    images = Truths(11, 3, 12, 20)
    game = Restorer(brightened)
    figures = restoration_figures(game, images, 10, seed=5)
    assert figures is not None
    damaged: dict[str, list[Tensor]] = {name: [] for name in game.corruptions}
    for number, truth in enumerate(images.image[:10].split(4)):
        image = truth / 127.5 - 1
        for name, corruption in game.corruptions.items():
            draws = Draws(5, number, f"restoration/{name}")
            damaged[name].append(corruption(image, Chances.of(image, draws, "restoration")).image)
    for name, parts in damaged.items():
        left, back = (
            to_bytes(torch.cat(parts)),
            to_bytes(brightened(Damaged(torch.cat(parts), torch.ones(10, 1, 1, 1)), [name] * 10)),
        )
        truth = images.image[:10]
        errors = [max((one.double() - truth).square().mean().item(), 1 / 16) for one in (back, left)]
        pooled = [10 * math.log10(255**2 / error) for error in errors]
        for figure, value in zip(("psnr", "psnr_input", "psnr_gain"), (*pooled, pooled[0] - pooled[1]), strict=True):
            assert figures.pop(f"{figure}/{name}") == pytest.approx(value, rel=1e-6), figure
        known = {
            "psnr_mean": psnr(back, truth),
            "psnr_mean_input": psnr(left, truth),
            "ssim": ssim(back, truth),
            "colour_error": colour_error(back, truth),
            "colour_error_input": colour_error(left, truth),
        }
        for figure, rows in known.items():
            assert figures.pop(f"{figure}/{name}") == pytest.approx(rows.double().mean().item(), rel=1e-5), figure
    assert figures.keys() == {"psnr", "psnr_gain", "ssim"}


def test_a_perfect_restorer_and_one_that_does_nothing() -> None:
    images = Truths(6, 3, 8, 14)
    figures = restoration_figures(Restorer(brightened), images, 6, seed=0)
    assert figures is not None
    assert figures["psnr/brightening"] == pytest.approx(FINEST)
    assert figures["ssim/brightening"] == pytest.approx(1)
    assert figures["colour_error/brightening"] == 0 < figures["colour_error_input/brightening"]
    assert 0 < figures["psnr_gain/brightening"] == pytest.approx(FINEST - figures["psnr_input/brightening"])
    assert figures["psnr_gain/filling"] == 0 < figures["psnr/filling"] == figures["psnr_input/filling"] < 30
    assert figures["ssim/filling"] < 0.9
    for figure in ("psnr", "psnr_gain", "ssim"):
        both = (figures[f"{figure}/brightening"] + figures[f"{figure}/filling"]) / 2
        assert figures[figure] == pytest.approx(both)


def test_figures_are_a_function_of_the_seed_in_either_precision() -> None:
    images = Truths(5, 3, 12, 9)
    first = restoration_figures(Restorer(as_it_is), images, 5, seed=0)
    assert first == restoration_figures(Restorer(as_it_is), images, 5, seed=0)
    assert first == restoration_figures(Restorer(as_it_is).double(), images, 5, seed=0)
    other = restoration_figures(Restorer(as_it_is), images, 5, seed=1)
    assert first is not None
    assert other is not None
    assert first["psnr/filling"] != other["psnr/filling"]
    assert first["psnr/brightening"] == other["psnr/brightening"]


def test_two_ranks_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BATCH", 4)
    images = Truths(11, 1, 8, 12)
    alone = restoration_figures(Restorer(as_it_is), images, 100, seed=3)
    sent: list[Any] = []

    def found_by(rank: int) -> dict[str, float] | None:
        def gather_to_first(value: Any) -> list[Any] | None:
            sent.append(value)
            return sent[::-1] if rank == 0 else None

        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: 2)
        monkeypatch.setattr(distributed, "gather_to_first", gather_to_first)
        return restoration_figures(Restorer(as_it_is), images, 100, seed=3)

    assert found_by(1) is None
    assert found_by(0) == alone
    assert [len(batches) for batches in sent] == [1, 2]
    assert alone is not None
    assert not any(name.startswith(("colour", "lpips")) for name in alone)


def test_whoever_is_asked_to_leave_does() -> None:
    with pytest.raises(Abandoned):
        restoration_figures(Restorer(as_it_is), Truths(3, 1, 8, 8), 3, seed=0, leave=lambda: True)


def test_restored_images_take_the_place_of_generated_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (judging, restoration):
        monkeypatch.setattr(module, "BATCH", 5)
    monkeypatch.setattr(restoration, "CHUNK", 3)

    class Bytes:
        to_bytes = staticmethod(to_bytes)

    images = Truths(11, 3, 8, 12)
    game = Restorer(brightened)
    source = restored(game, Jury(cast(Any, Bytes()), None), images, seed=4)
    batches = [source(number, size) for number, size in enumerate((5, 5, 1))]
    assert sum(game.asked, ()) == ("brightening", "filling") * 5 + ("brightening",)
    image = torch.cat([image for image, _ in batches])
    assert image.dtype == torch.uint8
    assert torch.equal(torch.cat([targets["number"] for _, targets in batches]), torch.arange(11))
    assert torch.equal(image[::2], images.image[::2])  # perfectly restored
    shares = []
    for back, truth in zip(image[1::2], images.image[1::2], strict=True):
        is_left = (back == truth).all(2).all(0)
        num_left = int(is_left.int().cumprod(0).sum())
        assert (back[:, num_left:] == 128).all()  # 127.5, rounded as bytes are
        shares.append(num_left)
    assert len(set(shares)) > 2
    again = restored(game, Jury(cast(Any, Bytes()), None), images, seed=4)(1, 5)
    assert torch.equal(again[0], batches[1][0])


def test_a_sheet_shows_what_was_left_what_came_back_and_the_truth() -> None:
    images = Truths(2, 3, 32, 20).image
    game = Restorer(brightened)
    page = restored_sheet(game, images)
    height, width = 64 + 4, 40 + 4  # enlarged twice, with a frame
    assert page.height == 2 * height
    margin = page.width - 6 * width
    assert margin > 12
    for row, (name, corruption) in enumerate(game.corruptions.items()):
        image = images / 127.5 - 1
        draws = Draws(seed_of("restored pictures"), 0, f"restoration/{name}")
        damaged = corruption(image, Chances.of(image, draws, "restoration"))
        back = brightened(damaged, [name] * 2)
        for column in range(6):
            cell = (damaged.image, back, image)[column % 3][column // 3]
            left, top = margin + column * width + 2, row * height + 2
            shown = page.crop((left, top, left + 40, top + 64)).resize((20, 32), 0)
            assert shown.tobytes() == to_picture(cell).tobytes(), (name, column)
    assert min(page.crop((0, 0, margin, height)).convert("L").tobytes()) < 128  # a caption
    assert restored_sheet(game, images).tobytes() == page.tobytes()


def test_captions_name_the_corruption_and_its_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "lightning_mtgan.callbacks.restored_pictures.sheet",
        lambda image, num_columns, captions: said.extend((*captions, str(num_columns))),
    )
    images = Truths(3, 1, 9, 9)
    restored_sheet(Restorer(brightened), images.image)
    figures = restoration_figures(Restorer(brightened), images, 3, seed=0)
    assert figures is not None
    assert said == [f"brightening\n+{figures['psnr_gain/brightening']:.1f} dB", "filling\n+0.0 dB", "9"]


BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
WIDTHS = (64, 128, 256, 512, 512)
VGG_FILE, CHANNELS_FILE = "vgg16-397923af.pth", "weights-vgg16-lpips.pth"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Random weights of LPIPS's channels, and of VGG-16 as views of a few numbers, so that their file is small."""
    generator = torch.Generator().manual_seed(0)
    folder = tmp_path_factory.mktemp("lpips")
    weights: dict[str, Tensor] = {"classifier.6.bias": torch.zeros(1000)}
    before = 3
    for block, width in zip(BLOCKS, WIDTHS, strict=True):
        for layer in block:
            numbers = torch.randn(7 * width + 11 * before + 40, generator=generator) * math.sqrt(2 / 9 / before)
            weights[f"features.{layer}.weight"] = numbers.as_strided((width, before, 3, 3), (7, 11, 13, 3))
            weights[f"features.{layer}.bias"] = torch.randn(width, generator=generator) / 10
            before = width
    channels = {
        f"lin{block}.model.1.weight": torch.rand(1, width, 1, 1, generator=generator)
        for block, width in enumerate(WIDTHS)
    }
    torch.save(channels, folder / CHANNELS_FILE)
    torch.save(weights, folder / VGG_FILE)
    return folder / CHANNELS_FILE, folder / VGG_FILE


@pytest.fixture(scope="module")
def lpips(files: tuple[Path, Path]) -> Similarity:
    found = Similarity(*map(str, files))
    for parameter in found.parameters():
        parameter.data = parameter.contiguous()  # views of a few numbers are slow
    return found


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def slow_lpips(files: tuple[Path, Path], one: Tensor, other: Tensor) -> Tensor:
    channels, weights = (torch.load(file, weights_only=True) for file in files)
    weights = {name: weight.contiguous() for name, weight in weights.items()}
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    layers = [((image / 127.5 - 1) - shift[:, None, None]) / scale[:, None, None] for image in (one, other)]
    total = torch.zeros(len(one))
    for number, block in enumerate(BLOCKS):
        if number:
            layers = [max_pool2d(layer, 2) for layer in layers]
        for key in block:
            weight, bias = weights[f"features.{key}.weight"], weights[f"features.{key}.bias"]
            layers = [conv2d(layer, weight, bias, padding=1).relu() for layer in layers]
        unit = [layer / layer.norm(dim=1, keepdim=True).clamp(min=1e-10) for layer in layers]
        squares = (unit[0] - unit[1]).square() * channels[f"lin{number}.model.1.weight"]
        total += squares.sum(1).mean((1, 2))
    return total


def test_similarity_is_lpips_of_any_size(
    lpips: Similarity, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "CHUNK", 2)
    image, truth = pair(3, 3, 16, 18)
    found = lpips.distance(image, truth)
    torch.testing.assert_close(found, slow_lpips(files, image, truth), rtol=1e-4, atol=1e-6)
    assert found.shape == (3,)
    assert 0 < found[0] < found[2]
    assert lpips.distance(truth, truth).abs().max() == 0
    small, other = image[:, :, :6], truth[:, :, :6]
    large = [interpolate(one.float(), scale_factor=3, mode="bilinear") for one in (small, other)]
    torch.testing.assert_close(lpips.distance(small, other), slow_lpips(files, *large), rtol=1e-4, atol=1e-6)
    grey = [one[:, :1].expand(-1, 3, -1, -1) for one in (image, truth)]
    torch.testing.assert_close(lpips.distance(image[:, :1], truth[:, :1]), lpips.distance(*grey))
    with pytest.raises(UserError, match="these have 2"):
        lpips.distance(image[:, :2], truth[:, :2])


def test_lpips_is_measured_where_it_is(lpips: Similarity) -> None:
    images = Truths(2, 1, 16, 16)
    figures = restoration_figures(Restorer(brightened), images, 2, 0, lpips)
    assert figures is not None
    assert figures["lpips/brightening"] == 0 < figures["lpips/filling"]


def test_files_in_torch_hubs_cache_are_used(
    files: tuple[Path, Path], hub: Path, lpips: Similarity, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.mkdir(parents=True)
    for file in files:
        (hub / file.name).symlink_to(file)
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    state = torch.get_rng_state()
    found = Similarity()
    assert torch.equal(torch.get_rng_state(), state)
    assert found.checksum == lpips.checksum
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert not any(module.training for module in found.modules())


def test_missing_files_and_servers_are_one_sentence(
    files: tuple[Path, Path], tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(UserError, match=f"fidelity.similarity.weights, or put it at {hub / CHANNELS_FILE}") as caught:
        Similarity(None, str(files[1]))
    assert "Name or service not known" in str(caught.value)
    with pytest.raises(UserError, match=f"fidelity.similarity.network_weights, or put it at {hub / VGG_FILE}"):
        Similarity(str(files[0]), None)
    with pytest.raises(
        UserError, match=r"fidelity.similarity.weights: .*/gone is no file; give the one published at https"
    ):
        Similarity(str(tmp_path / "gone"), str(files[1]))


def test_what_is_downloaded_goes_to_torch_hubs_cache(
    files: tuple[Path, Path], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "URL_VGG16_LPIPS", files[0].as_uri())
    Similarity(None, str(files[1]))
    assert [file.name for file in hub.iterdir()] == [CHANNELS_FILE]


class Harm:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


def test_other_files_are_refused_and_no_code_in_them_runs(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"fidelity.similarity.network_weights: .* is not what LPIPS needs \(it holds no 0.weig"
    ):
        Similarity(str(files[0]), str(files[0]))
    with pytest.raises(
        UserError, match=r"fidelity.similarity.weights: .* is not what LPIPS needs \(it holds no lin0.model"
    ):
        Similarity(str(files[1]), str(files[1]))
    torch.save(Harm(), tmp_path / "harm.pth")
    with pytest.raises(UserError, match="it is damaged or holds more than tensors"):
        Similarity(str(tmp_path / "harm.pth"), str(files[1]))
    assert not (tmp_path / "harmed").exists()
