"""Corruptions: values against naive references, exact masks, and independence of ranks."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from kornia.color import rgb_to_grayscale
from PIL import Image
from skimage import data
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions import (
    BoxInpainting,
    ColourCast,
    Colourisation,
    Corruption,
    Damaged,
    Deblurring,
    Degradations,
    Denoising,
    FreeFormInpainting,
    JPEGRestoration,
    LowContrast,
    LowLight,
    Mixture,
    SuperResolution,
)
from lightning_mtgan.corruptions.jpeg import compressed
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


def poor() -> Degradations:
    return Degradations([LowLight(probability=0.5), Deblurring(probability=0.3), Denoising()])


ALL: list[Callable[..., Corruption]] = [
    Colourisation,
    BoxInpainting,
    FreeFormInpainting,
    Denoising,
    SuperResolution,
    Deblurring,
    JPEGRestoration,
    LowLight,
    LowContrast,
    ColourCast,
    poor,
]
NAMES = [
    "colourisation",
    "box_inpainting",
    "free_form_inpainting",
    "denoising",
    "super_resolution",
    "deblurring",
    "jpeg_restoration",
    "low_light",
    "low_contrast",
    "colour_cast",
    "enhancement",
]
COLOURED: list[Callable[..., Corruption]] = [Colourisation, ColourCast]
HOLES: list[Callable[..., Corruption]] = [BoxInpainting, FreeFormInpainting]


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Of 256 levels, as data have them."""
    levels = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    return levels.to(dtype) / 127.5 - 1


def photo(height: int, width: int) -> Tensor:
    """A part of a photograph, uint8 (height, width, 3)."""
    return torch.from_numpy(data.astronaut()[20 : 20 + height, 150 : 150 + width].copy())


def chances(image: Tensor, seed: int = 0) -> Chances:
    return Chances(Draws(seed), "corrupt/test", len(image), torch.promote_types(image.dtype, torch.float32))


def shares(count: int, num_images: int) -> list[list[float]]:
    """The uniform numbers that a corruption gets, image by image."""
    return Draws(0).uniform("corrupt/test/uniform", num_images, count).tolist()


def everything() -> Mixture:
    return Mixture([cls() for cls in ALL])


def same(one: Damaged, other: Damaged) -> bool:
    return torch.equal(one.image, other.image) and torch.equal(one.known, other.known)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("size", [(16, 16), (20, 33), (1, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_comes_back_is_an_image(cls: Callable[..., Corruption], size: tuple[int, int], dtype: torch.dtype) -> None:
    image = images(5, 3, *size, dtype=dtype)
    before = image.clone()
    found = cls()(image, chances(image))
    assert torch.equal(image, before)
    assert found.image.shape == image.shape and found.known.shape == (5, 1, *size)
    assert found.image.dtype == found.known.dtype == dtype
    assert found.image.abs().max() <= 1 and ((found.known == 0) | (found.known == 1)).all()
    assert cls not in HOLES or torch.equal(found.image, image * found.known)
    assert cls in HOLES or not found.known.any()
    again = cls()(image, chances(image))
    assert same(found, again)


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls not in COLOURED])
def test_grey_images_stay_grey(cls: Callable[..., Corruption]) -> None:
    image = images(3, 1, 20, 33)
    found = cls()(image, chances(image))
    assert found.image.shape == image.shape and not torch.equal(found.image, image)


@pytest.mark.parametrize("cls", ALL)
def test_autocast_and_precision_decide_over_nothing(cls: Callable[..., Corruption]) -> None:
    image = photo(20, 33).permute(2, 0, 1)[None].repeat(4, 1, 1, 1) / 127.5 - 1
    plain = cls()(image, chances(image))
    with torch.autocast("cpu", torch.bfloat16):
        assert same(plain, cls()(image, chances(image)))
    wide = cls()(image.double(), chances(image.double()))
    torch.testing.assert_close(plain.image, wide.image.float(), atol=2e-6, rtol=0)
    assert torch.equal(plain.known, wide.known.float())


class NoWaiting(TorchDispatchMode):
    """Refuses what would wait for a device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select")
        indices = args[1] if func.overloadpacket.__name__ in ("index", "index_put_") else ()
        assert all(index is None or index.dtype != torch.bool for index in indices)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("cls", ALL)
def test_nothing_waits_for_the_device(cls: Callable[..., Corruption]) -> None:
    image = images(3, 3, 20, 33)
    numbers = chances(image)
    with NoWaiting():
        cls()(image, numbers)
        with pytest.raises(AssertionError):
            image.max().item()


def test_colourisation_is_the_luminance() -> None:
    image = images(3, 3, 20, 33)
    found = Colourisation()(image, chances(image)).image
    torch.testing.assert_close(found, (rgb_to_grayscale((image + 1) / 2) * 2 - 1).expand(-1, 3, -1, -1))
    red, green, blue = image.unbind(1)
    torch.testing.assert_close(found[:, 1], 0.299 * red + 0.587 * green + 0.114 * blue)
    assert torch.equal(found[:, 0], found[:, 2])


@pytest.mark.parametrize("height, width", [(20, 33), (16, 16), (3, 2)])
def test_boxes_against_a_loop(height: int, width: int) -> None:
    image = images(60, 3, height, width)
    found = BoxInpainting((0.2, 0.6))(image, chances(image))
    ever = torch.zeros(height, width)
    for index, (tall, wide, down, across) in enumerate(shares(4, 60)):
        sides = [max(1, round((0.2 + 0.4 * s) * n)) for s, n in ((tall, height), (wide, width))]
        top, left = int(down * (height - sides[0] + 1)), int(across * (width - sides[1] + 1))
        expected = torch.ones(1, height, width)
        expected[:, top : top + sides[0], left : left + sides[1]] = 0
        assert torch.equal(found.known[index], expected)
        assert int((expected == 0).sum()) == sides[0] * sides[1]
        ever += 1 - expected[0]
    assert ever.sum(0).min() > 0 and ever.sum(1).min() > 0  # up to all edges
    if height > 3:
        assert found.known.flatten(1).sum(1).unique().numel() > 10


def test_a_box_of_one_size_may_be_all() -> None:
    image = images(3, 1, 5, 7)
    assert not BoxInpainting((1.0, 1.0))(image, chances(image)).known.any()
    half = BoxInpainting((0.5, 0.5))(images(9, 1, 8, 12), chances(images(9, 1, 8, 12)))
    assert ((1 - half.known).sum((1, 2, 3)) == 4 * 6).all()


@pytest.mark.parametrize("height, width", [(20, 33), (24, 24)])
def test_strokes_against_a_loop(height: int, width: int) -> None:
    image = images(3, 1, height, width, dtype=torch.float64)
    found = FreeFormInpainting(2, (0.05, 0.2))(image, chances(image)).known
    for index, numbers in enumerate(shares(2 * 11, 3)):
        expected = torch.ones(height, width).double()
        for stroke in (numbers[:11], numbers[11:]):
            radius = max(1, (0.05 + 0.15 * stroke[0]) * min(height, width)) / 2
            y, x, angle = float(int(stroke[1] * height)), float(int(stroke[2] * width)), 2 * math.pi * stroke[3]
            rest = [0.5, *stroke[4:]]  # the first part has no turn
            for turn, extent in zip(rest[::2], rest[1::2], strict=True):
                angle += 2 * math.pi / 3 * (2 * turn - 1)
                length = 0.25 * math.sqrt(height**2 + width**2) * extent
                dy, dx = length * math.sin(angle), length * math.cos(angle)
                for row in range(height):
                    for column in range(width):
                        along = ((row - y) * dy + (column - x) * dx) / (dy**2 + dx**2)
                        along = min(max(along, 0), 1)
                        if math.hypot(row - y - along * dy, column - x - along * dx) <= radius:
                            expected[row, column] = 0
                y, x = y + dy, x + dx
        assert torch.equal(found[index, 0], expected)


def test_strokes_cover_what_is_documented() -> None:
    image = torch.zeros(1000, 1, 32, 32)
    lost = 1 - FreeFormInpainting()(image, chances(image)).known.flatten(1).mean(1)
    assert abs(float(lost.mean()) - 0.10) < 0.005
    low, high = lost.quantile(torch.tensor([0.05, 0.95])).tolist()
    assert abs(low - 0.05) < 0.01 and abs(high - 0.16) < 0.01
    thin = FreeFormInpainting(1, (0.001, 0.001))(image, chances(image)).known
    assert (thin == 0).flatten(1).any(1).all()  # even the thinnest takes a pixel


def test_noise_has_the_strength_of_its_image() -> None:
    image = torch.zeros(300, 3, 24, 24)
    noise = Denoising((15, 35))(image, chances(image)).image * 127.5
    wanted = torch.tensor([15 + 20 * share for (share,) in shares(1, 300)])
    found = noise.flatten(1).std(1)
    assert (found / wanted - 1).abs().max() < 0.1 and abs(float((found / wanted).mean()) - 1) < 0.005
    assert wanted.min() < 16 and wanted.max() > 34
    assert abs(float(noise.mean())) < 0.1
    pixels = noise.flatten(1) / wanted[:, None]
    assert abs(float((pixels[:-1] * pixels[1:]).mean())) < 0.01  # other noise on the next image
    exact = Denoising((0, 0))(images(2, 3, 8, 8), chances(images(2, 3, 8, 8)))
    assert torch.equal(exact.image, images(2, 3, 8, 8))


def cubic(distance: float) -> float:
    """Keys' kernel at a = -0.75, torch's."""
    d, a = abs(distance), -0.75
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def enlarged(small: np.ndarray, factor: int) -> np.ndarray:
    for axis in (0, 1):
        length = small.shape[axis]
        matrix = np.zeros((factor * length, length))
        for place in range(factor * length):
            centre = (place + 0.5) / factor - 0.5
            for tap in range(math.floor(centre) - 1, math.floor(centre) + 3):
                matrix[place, min(max(tap, 0), length - 1)] += cubic(centre - tap)
        small = np.moveaxis(np.tensordot(matrix, small, (1, axis)), 0, axis)
    return np.clip(small, -1, 1)


@pytest.mark.parametrize("height, width, factor", [(12, 18, 2), (9, 6, 3), (7, 9, 4), (1, 5, 4)])
def test_super_resolution_against_a_loop(height: int, width: int, factor: int) -> None:
    image = images(2, 1, height, width, dtype=torch.float64)
    found = SuperResolution(factor)(image, chances(image)).image
    for one, expected in zip(image[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        more = [(0, -n % factor) for n in (height, width)]
        framed = np.pad(one, more, mode="reflect") if min(height, width) > 1 else np.pad(one, more, mode="symmetric")
        if min(height, width) == 1:
            framed = np.pad(np.pad(one, (more[0], (0, 0)), mode="edge"), ((0, 0), more[1]), mode="reflect")
        small = np.array(
            [
                [framed[y : y + factor, x : x + factor].mean() for x in range(0, framed.shape[1], factor)]
                for y in range(0, framed.shape[0], factor)
            ]
        )
        np.testing.assert_allclose(enlarged(small, factor)[:height, :width], expected, atol=1e-12)


@pytest.mark.parametrize("height, width", [(12, 17), (3, 9)])
def test_blur_against_a_loop(height: int, width: int) -> None:
    image = images(3, 2, height, width, dtype=torch.float64)
    found = Deblurring((0.5, 1.5), noise=0)(image, chances(image)).image
    reach = [min(5, n - 1) for n in (height, width)]
    for index, (share,) in enumerate(shares(1, 3)):
        sigma = 0.5 + share
        weights = [np.exp(-(np.arange(-r, r + 1) ** 2) / (2 * sigma**2)) for r in reach]
        kernel = np.outer(weights[0] / weights[0].sum(), weights[1] / weights[1].sum())
        framed = np.pad(image[index].numpy(), [(0, 0), *((r, r) for r in reach)], mode="reflect")
        expected = np.zeros((2, height, width))
        for y in range(height):
            for x in range(width):
                window = framed[:, y : y + len(kernel), x : x + kernel.shape[1]]
                expected[:, y, x] = (window * kernel).sum((1, 2))
        np.testing.assert_allclose(found[index].numpy(), expected, atol=1e-7)  # shares are of 24 bits, sigma is not


def test_sensor_noise_comes_after_the_blur() -> None:
    image = torch.zeros(50, 3, 16, 16)
    noise = Deblurring(noise=2.0)(image, chances(image)).image * 127.5
    assert abs(float(noise.std()) - 2) < 0.03
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean()
    assert abs(float(neighbours)) < 0.1  # nothing has smoothed it


@pytest.mark.parametrize("height, width", [(96, 96), (83, 70)])
@pytest.mark.parametrize("mode, tolerance", [("RGB", 0.75), ("L", 0.35)])
def test_jpeg_against_real_files(height: int, width: int, mode: str, tolerance: float) -> None:
    picture = Image.fromarray(photo(height, width).numpy()).convert(mode)
    truth = np.array(picture)
    image = torch.from_numpy(truth.reshape(height, width, -1)).permute(2, 0, 1)[None]
    errors = []
    for quality in (10, 25, 40, 60, 90):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        wanted = np.array(Image.open(file)).reshape(height, width, -1).astype(float)
        found = compressed(image.float(), torch.tensor([float(quality)]))
        levels = found[0].permute(1, 2, 0).numpy()
        assert np.abs(levels - wanted).mean() < tolerance
        error, its = (np.abs(a - truth.reshape(wanted.shape)).mean() for a in (levels, wanted))
        assert abs(error / its - 1) < 0.03  # as much is lost as in the file
        assert np.array_equal(levels, levels.round()) and levels.min() >= 0 and levels.max() <= 255
        errors.append(error)
    assert errors == sorted(errors, reverse=True)


def test_each_image_has_its_own_quality() -> None:
    image = (photo(64, 48).permute(2, 0, 1)[None] / 127.5 - 1).repeat(12, 1, 1, 1)
    found = JPEGRestoration((10, 90))(image, chances(image)).image
    quality = torch.tensor([10 + 80 * share for (share,) in shares(1, 12)])
    torch.testing.assert_close((found + 1) * 127.5, compressed((image + 1) * 127.5, quality))
    error = (found - image).abs().flatten(1).mean(1)
    ordered = error[quality.argsort()]
    assert (ordered.diff() < 0.05 * ordered[0]).all() and ordered[0] > 2 * ordered[-1]


def test_flat_and_white_images_survive_jpeg() -> None:
    flat = torch.tensor([0.0, 255.0, 128.0]).view(3, 1, 1, 1).expand(3, 3, 9, 20)
    assert torch.equal(compressed(flat, torch.tensor([100.0, 100.0, 10.0])), flat)


def test_probabilities_are_obeyed() -> None:
    mixture = Mixture([Denoising(probability=2), Deblurring(probability=0.5), Colourisation(probability=1.5)])
    index = mixture.assignment(Draws(3), 10_000)
    assert index.dtype == torch.int64 and index.device.type == "cpu"
    shares = index.bincount(minlength=3) / 10_000
    assert (shares - torch.tensor([0.5, 0.125, 0.375])).abs().max() < 0.02
    assert torch.equal(index, mixture.assignment(replace(Draws(3), dtype=torch.bfloat16, device="meta"), 10_000))
    assert not Mixture([Denoising()]).assignment(Draws(3), 50).any()


def test_every_image_is_damaged_by_its_own_corruption() -> None:
    mixture, image, draws = everything(), images(80, 3, 20, 33), Draws(1, 2, "generator")
    found, index = mixture(image, draws)
    assert mixture.names == tuple(NAMES) and set(index.tolist()) == set(range(len(ALL)))
    assert torch.equal(index, mixture.assignment(draws, 80))
    for kind, name in enumerate(mixture.names):
        whole = mixture.apart(image, draws, name)
        rows = (index == kind).nonzero()[:, 0]
        torch.testing.assert_close(found.image[rows], whole.image[rows], atol=1e-6, rtol=0)
        assert torch.equal(found.known[rows], whole.known[rows])


@pytest.mark.parametrize("ranks, parts", [(2, 1), (1, 2), (2, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ranks_and_micro_batches_equal_one_process(ranks: int, parts: int, dtype: torch.dtype) -> None:
    mixture, image = everything(), images(48, 3, 20, 33, dtype=dtype)
    whole, index = mixture(image, Draws(5, 7, "generator", dtype=dtype))
    alone = mixture.apart(image, Draws(5, 7, "generator", dtype=dtype), "denoising")
    size = 48 // ranks // parts
    for part in range(parts):
        for rank in range(ranks):
            first = (part * ranks + rank) * size
            rows = slice(first, first + size)
            draws = Draws(5, 7, "generator", rank, ranks, dtype=dtype).of_part(part, parts)
            found, its = mixture(image[rows], draws)
            assert torch.equal(its, index[rows])
            assert same(found, whole[rows])
            assert same(mixture.apart(image[rows], draws, "denoising"), alone[rows])


@pytest.mark.parametrize("name", NAMES)
def test_same_draws_same_bits_and_other_steps_other_ones(name: str) -> None:
    mixture, image = everything(), images(6, 3, 20, 33)
    found = mixture.apart(image, Draws(5, 7), name)
    torch.manual_seed(0)
    assert same(found, mixture.apart(image, Draws(5, 7), name))
    for other in (Draws(5, 8), Draws(6, 7), Draws(5, 7, "discriminator")):
        fixed = name in ("colourisation", "super_resolution")
        assert same(found, mixture.apart(image, other, name)) == fixed
    assert not torch.equal(mixture.assignment(Draws(5, 7), 50), mixture.assignment(Draws(5, 8), 50))


def test_the_mixture_wants_no_gradients_and_spares_its_input() -> None:
    image = images(20, 3, 16, 16).requires_grad_()
    before = image.detach().clone()
    found, _ = everything()(image, Draws(0))
    assert not found.image.requires_grad and torch.equal(image, before)


def test_images_of_a_person() -> None:
    opaque = torch.ones(2, 1, 5, 7)
    for cls in ALL[3:4] + ALL[5:]:
        image = images(2, 3, 5, 7)
        found = cls().prepared(image, opaque)
        assert torch.equal(found.image, image) and found.known.shape == (2, 1, 5, 7) and not found.known.any()
    for channels in (1, 3):
        image = images(2, channels, 5, 7)
        grey = Colourisation().prepared(image, opaque)
        wanted = rgb_to_grayscale(image) if channels == 3 else image
        torch.testing.assert_close(grey.image, wanted.expand(2, 3, 5, 7))
        assert not grey.known.any() and grey.known.shape == (2, 1, 5, 7)
    image = images(1, 3, 5, 7, dtype=torch.float64)
    large = SuperResolution(4).prepared(image, opaque[:1])
    assert large.image.shape == (1, 3, 20, 28) and large.known.shape == (1, 1, 20, 28) and not large.known.any()
    np.testing.assert_allclose(large.image[0, 1].numpy(), enlarged(image[0, 1].numpy(), 4), atol=1e-12)
    opaque[:, :, 1:3, 2:6] = 0
    for cls in HOLES:
        image = images(2, 3, 5, 7)
        found = cls().prepared(image, opaque)
        assert torch.equal(found.known, opaque) and torch.equal(found.image, image * opaque)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: BoxInpainting((0.0, 0.5)), "BoxInpainting.size"),
        (lambda: BoxInpainting((0.5, 1.1)), "BoxInpainting.size"),
        (lambda: BoxInpainting((0.5, 0.25)), "BoxInpainting.size"),
        (lambda: FreeFormInpainting(0), "FreeFormInpainting.strokes"),
        (lambda: FreeFormInpainting(3, (0.0, 0.1)), "FreeFormInpainting.thickness"),
        (lambda: Denoising((-1.0, 3.0)), "Denoising.sigma"),
        (lambda: Denoising((1.0, math.nan)), "Denoising.sigma"),
        (lambda: Denoising((1.0, 256.0)), "Denoising.sigma"),
        (lambda: SuperResolution(1), "SuperResolution.factor"),
        (lambda: Deblurring((0.0, 1.0)), "Deblurring.sigma"),
        (lambda: Deblurring((1.0, math.inf)), "Deblurring.sigma"),
        (lambda: Deblurring(noise=-1), "Deblurring.noise"),
        (lambda: JPEGRestoration((0.0, 40.0)), "JPEGRestoration.quality"),
        (lambda: JPEGRestoration((10.0, 101.0)), "JPEGRestoration.quality"),
        (lambda: Denoising(probability=0), "Denoising.probability"),
        (lambda: Mixture([]), "model.game.corruptions"),
        (lambda: Mixture([Denoising(), Deblurring(), Denoising((1.0, 2.0))]), "denoising, deblurring, denoising"),
        (lambda: Colourisation().require_fitting(DataSpec(16, 1)), "3 channels"),
        (lambda: JPEGRestoration().require_fitting(DataSpec(16, 2)), "1 or 3 channels"),
        (lambda: SuperResolution(3).require_fitting(DataSpec(16, 3)), "SuperResolution.factor"),
    ],
)
def test_mistakes_are_named(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError, match=words.replace(".", r"\.")):
        make()


def test_fitting_data_are_taken() -> None:
    for cls in ALL:
        cls().require_fitting(DataSpec(16, 3))
    for cls in ALL:
        if cls not in COLOURED:
            cls().require_fitting(DataSpec(16, 1))


def test_draws_on_the_host() -> None:
    draws = Draws(3, 4, "d", 1, 2, "meta", torch.float64, 0, 2)
    assert draws.on_host() == replace(draws, device="cpu")
    assert torch.equal(
        draws.on_host().uniform("x", 3), Draws(3, 4, "d", 1, 2, part=0, parts=2).uniform("x", 3).double()
    )
