"""Transforms: values against naive references, gradients, strips against whole images, and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.enhance import equalize_clahe
from scipy.ndimage import gaussian_filter1d
from skimage import data
from torch import Tensor
from torch.autograd import gradcheck

from lightning_mtgan.augment import RandomTransforms
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.transforms import (
    CLAHE,
    METHODS,
    Adjustable,
    AutoContrast,
    Contrast,
    Gamma,
    HistogramEqualisation,
    Pipeline,
    Saturation,
    Strip,
    Transform,
    UnsharpMask,
    WhiteBalance,
    named,
    read,
    write,
)
from lightning_mtgan.transforms.histogram import levels
from lightning_mtgan.transforms.strips import strips, worked
from lightning_mtgan.types import Change

KINDS: list[type[Adjustable]] = [Contrast, Gamma, Saturation, UnsharpMask, WhiteBalance]
ALL: dict[str, Callable[[], Transform]] = {
    "contrast": lambda: Contrast(1.7),
    "gamma": lambda: Gamma(0.4),
    "saturation": lambda: Saturation(0.3),
    "unsharp": lambda: UnsharpMask(1.5, sigma=0.8),
    "white_balance": lambda: WhiteBalance(0.7),
    "equalise": HistogramEqualisation,
    "clahe": lambda: CLAHE(3.0, 3),
    "auto_contrast": lambda: AutoContrast(0.05),
    "pipeline": lambda: Pipeline(
        [Gamma(0.6), CLAHE(), UnsharpMask(0.5), Contrast(1.2), AutoContrast(0.03), WhiteBalance(), UnsharpMask(-0.4)]
    ),
}


def pixels_of(*shape: int, seed: int = 0) -> Tensor:
    """Darker than middle grey, with a cast of colour, smooth but for some noise; uint8."""
    generator = torch.Generator().manual_seed(seed)
    slope = torch.linspace(20, 150, shape[-1]) + torch.linspace(0, 40, shape[-2])[:, None]
    colour = torch.linspace(0.6, 1.1, shape[-3])[:, None, None]
    return (slope * colour + 25 * torch.rand(shape, generator=generator)).round().clamp(0, 255).byte()


def images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return pixels_of(*shape, seed=seed).to(dtype) / 127.5 - 1


def luma(pixels: np.ndarray) -> np.ndarray:
    """Levels of 8 bits, half a level rounded up, in whole numbers; (C, H, W) to (H, W)."""
    if len(pixels) == 1:
        return pixels[0].astype(int)
    red, green, blue = pixels.astype(int)
    return (299 * red + 587 * green + 114 * blue + 500) // 1000


def in_strips(strip: Strip, image: Tensor, height: int, margin: int) -> Tensor:
    """An image (1, C, H, W) worked on so many rows at a time."""
    parts = []
    for start in range(0, image.shape[2], height):
        first, last = max(0, start - margin), start + height + margin
        parts.append(strip(image[:, :, first:last], first)[:, :, start - first :][:, :, :height])
    return torch.cat(parts, dim=2)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 1, 5, 7), (1, 3, 1, 1), (1, 1, 2, 1), (2, 3, 33, 20)])
def test_range_shape_and_type(name: str, shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float64):
        noise = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        for image in (noise.clamp(-1, 1), torch.full_like(noise, -1), torch.ones_like(noise)):
            before, made = image.clone(), ALL[name]()(image)
            assert made.shape == image.shape and made.dtype == dtype and torch.equal(image, before)
            assert made.isfinite().all() and made.abs().amax() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_neutral_changes_nothing_and_all_else_something(kind: type[Adjustable], channels: int) -> None:
    image = images(2, channels, 9, 8)
    torch.testing.assert_close(kind(kind.neutral)(image), image, rtol=0, atol=1e-6)
    ends = [kind(end)(image) for end in (kind.least, kind.most) if end != kind.neutral]
    is_colour = kind in (Saturation, WhiteBalance)
    assert all(torch.equal(end, image) == (is_colour and channels == 1) for end in ends)


@pytest.mark.parametrize("name", ALL)
def test_images_are_independent(name: str) -> None:
    batch = torch.stack([*images(2, 3, 12, 10), *(0.3 * images(1, 3, 12, 10, seed=5))])
    for index in range(3):
        torch.testing.assert_close(ALL[name]()(batch)[index], ALL[name]()(batch[index : index + 1])[0])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(1, 9), (5, 7), (61, 38)])
@pytest.mark.parametrize("channels", [1, 3])
def test_strips_are_the_whole(name: str, size: tuple[int, int], channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = pixels_of(channels, *size)
    transform = ALL[name]()
    whole = transform(pixels[None].float() / 127.5 - 1)
    monkeypatch.setattr("lightning_mtgan.transforms.strips.AT_A_TIME", 5 * size[1])
    assert len(list(strips(pixels))) == -(-size[0] // 5)
    before = pixels.clone()
    strip = transform.look(pixels)
    for height in (3, 7, 61):
        made = in_strips(strip, before[None].float() / 127.5 - 1, height, transform.margin)
        torch.testing.assert_close(made, whole, rtol=0, atol=1e-5)
    assert torch.equal(pixels, before)
    assert torch.equal(worked(pixels, strip, transform.margin), ((whole[0] + 1) * 127.5).round().byte())


def test_without_its_margin_a_strip_is_not_the_whole() -> None:
    image = images(1, 1, 30, 8)
    whole = UnsharpMask(2.0)(image)
    strip = UnsharpMask(2.0).look(pixels_of(1, 1, 30, 8)[0])
    assert (in_strips(strip, image, 10, UnsharpMask(2.0).margin - 3) - whole).abs().amax() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_against_finite_differences(kind: type[Adjustable]) -> None:
    image = 0.4 * images(2, 3, 4, 5, dtype=torch.float64) + 0.1
    middle = (kind.least + kind.neutral) / 2 if kind is not WhiteBalance else 0.6
    amount = torch.tensor([middle, 1.1 * kind.neutral + 0.1], dtype=torch.float64)
    made = kind(kind.neutral).adjusted(image, amount)
    assert made.abs().amax() < 0.99  # clamped nowhere, where differences would be one-sided
    assert gradcheck(kind(kind.neutral).adjusted, (image.requires_grad_(), amount.requires_grad_()))


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_has_its_own_amount(kind: type[Adjustable]) -> None:
    image = images(2, 3, 6, 5)
    both = kind(kind.neutral).adjusted(image, torch.tensor([kind.most, kind.neutral]))
    torch.testing.assert_close(both[:1], kind(kind.most)(image[:1]))
    torch.testing.assert_close(both[1:], image[1:], rtol=0, atol=1e-6)


def test_gamma_at_black() -> None:
    image = torch.tensor([-1.0, -1 + 1e-6]).view(1, 1, 1, 2).requires_grad_()
    amount = torch.tensor([0.25], requires_grad=True)
    made = Gamma(1.0).adjusted(image, amount)
    made.sum().backward()
    assert made[0, 0, 0, 0] == -1 and image.grad is not None and amount.grad is not None
    assert 1 < image.grad[0, 0, 0, 1] < 100 and image.grad[0, 0, 0, 0] <= image.grad[0, 0, 0, 1]
    assert amount.grad.isfinite().all() and amount.grad.abs() > 0


@pytest.mark.parametrize("amount", [0.25, 0.7, 2.2])
def test_gamma_of_every_level(amount: float) -> None:
    value = torch.arange(256, dtype=torch.float64).view(1, 1, 16, 16) / 255
    torch.testing.assert_close(Gamma(amount)(2 * value - 1), 2 * value**amount - 1)


def test_contrast_and_saturation_against_loops() -> None:
    image = 0.3 * images(1, 3, 3, 4, dtype=torch.float64)
    grey = [
        [float(r) * 0.299 + float(g) * 0.587 + float(b) * 0.114 for r, g, b in row] for row in image[0].movedim(0, 2)
    ]
    mean = sum(map(sum, grey)) / 12
    spread, coloured = Contrast(1.5)(image), Saturation(1.5)(image)
    for row in range(3):
        for column in range(4):
            for channel in range(3):
                x = float(image[0, channel, row, column])
                assert float(spread[0, channel, row, column]) == pytest.approx(mean + 1.5 * (x - mean))
                y = grey[row][column]
                assert float(coloured[0, channel, row, column]) == pytest.approx(y + 1.5 * (x - y))


def test_white_balance_makes_the_world_grey() -> None:
    image = images(2, 3, 8, 9, dtype=torch.float64).mul(0.5).sub(0.3)
    mean, half, whole = (one.mean((2, 3)) for one in (image, WhiteBalance(0.5)(image), WhiteBalance(1.0)(image)))
    assert (mean.amax(1) - mean.amin(1)).amin() > 0.1
    torch.testing.assert_close(whole, mean.mean(1, keepdim=True).expand(-1, 3))
    torch.testing.assert_close(half, (mean + whole) / 2)
    lacking = torch.full((1, 3, 2, 2), 0.5)
    lacking[:, 2] = -1
    assert WhiteBalance(1.0)(lacking)[0, 2].amax() == -1


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.7])
def test_unsharp_mask_against_scipy(sigma: float) -> None:
    image = 0.3 * images(1, 3, 12, 13, dtype=torch.float64)
    blurred = image.numpy()
    for axis in (2, 3):
        blurred = gaussian_filter1d(blurred, sigma, axis, mode="mirror", radius=int(np.ceil(3 * sigma)))
    torch.testing.assert_close(UnsharpMask(0.8, sigma)(image), image + 0.8 * (image - torch.from_numpy(blurred)))
    torch.testing.assert_close(UnsharpMask(-1.0, sigma)(image), torch.from_numpy(blurred))


@pytest.mark.parametrize("channels", [1, 3])
def test_equalisation_against_its_formula(channels: int) -> None:
    pixels = pixels_of(channels, 13, 11)
    level = luma(pixels.numpy())
    table = [round(255 * int((level <= k).sum()) / level.size) for k in range(256)]
    wanted = np.clip(pixels.numpy() + np.vectorize(lambda k: table[k] - k)(level), 0, 255)
    made = HistogramEqualisation()(pixels[None].float() / 127.5 - 1)
    torch.testing.assert_close((made[0] + 1) * 127.5, torch.from_numpy(wanted).float(), rtol=0, atol=1e-4)


def test_levels_of_all_kinds_of_colours() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 300, 300), generator=generator, dtype=torch.uint8)
    wanted = torch.from_numpy(luma(pixels.numpy()))[None]
    assert ((299 * pixels[0].int() + 587 * pixels[1].int() + 114 * pixels[2].int()) % 1000 == 500).any()
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(levels(pixels[None].to(dtype) / 127.5 - 1), wanted)


def test_equalisation_spreads_levels_evenly() -> None:
    made = HistogramEqualisation()(torch.from_numpy(data.camera())[None, None, ::4, ::4].float() / 127.5 - 1)
    shares = torch.histc((made + 1) * 127.5, 8, 0, 256) / made.numel()
    assert (shares - 1 / 8).abs().amax() < 0.03


def naive_clahe(grey: np.ndarray, clip_limit: float, grid: int) -> np.ndarray:
    """Levels (H, W) to what they become, pixel by pixel."""
    height, width = grey.shape
    rows, columns = min(grid, height), min(grid, width)
    tables = np.zeros((rows, columns, 256))
    for row in range(rows):
        for column in range(columns):
            own = [
                grey[i, j]
                for i in range(height)
                for j in range(width)
                if i * rows // height == row and j * columns // width == column
            ]
            histogram = np.bincount(own, minlength=256).astype(float)
            limit = clip_limit * len(own) / 256
            excess = sum(max(0.0, count - limit) for count in histogram)
            histogram = np.array([min(count, limit) + excess / 256 for count in histogram])
            tables[row, column] = [255 * histogram[: k + 1].sum() / len(own) for k in range(256)]
    made = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            u = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
            v = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            for row in range(rows):
                for column in range(columns):
                    share = max(0, 1 - abs(u - row)) * max(0, 1 - abs(v - column))
                    made[i, j] += share * tables[row, column, grey[i, j]]
    return made


@pytest.mark.parametrize(("size", "grid"), [((14, 17), 3), ((5, 7), 8), ((12, 12), 1)])
def test_clahe_against_loops(size: tuple[int, int], grid: int) -> None:
    pixels = pixels_of(3, *size)
    level = luma(pixels.numpy())
    wanted = np.clip(pixels.numpy() + naive_clahe(level, 2.5, grid) - level, 0, 255)
    made = CLAHE(2.5, grid)(pixels[None].float() / 127.5 - 1)
    torch.testing.assert_close((made[0] + 1) * 127.5, torch.from_numpy(wanted).float(), rtol=0, atol=1e-3)


def test_clahe_agrees_with_kornia() -> None:
    """To 2 levels: it rounds its tables, and gives the remainders of what is cut off to the lowest levels."""
    grey = torch.from_numpy(data.camera())[None, None].float() / 255
    wanted, made = equalize_clahe(grey, 3.0, (4, 4)) * 255, (CLAHE(3.0, 4)(2 * grey - 1) + 1) * 127.5
    assert (made - wanted).abs().mean() < 0.5
    assert (made - wanted).abs().amax() < 2
    assert (wanted - 255 * grey).abs().mean() > 10


def test_clahe_limits_contrast() -> None:
    pixels = pixels_of(1, 64, 64)[None].float() / 127.5 - 1
    spreads = [float(CLAHE(limit, 2)(pixels).std()) for limit in (1.0, 2.0, 4.0, 1000.0)]
    assert spreads == sorted(spreads) and spreads[-1] > 1.2 * spreads[0]
    assert spreads[0] == pytest.approx(float(pixels.std()), rel=0.15)


@pytest.mark.parametrize("kind", [HistogramEqualisation, CLAHE])
def test_changed_luminance_keeps_the_colour(kind: Callable[[], Transform]) -> None:
    image = images(1, 3, 32, 32)
    made = kind()(image)
    inside = (made.abs() < 1).all(1)
    assert inside.float().mean() > 0.7 and (made - image).abs().mean() > 0.03
    for one, other in ((0, 1), (1, 2)):
        before, after = (each[:, one] - each[:, other] for each in (image, made))
        torch.testing.assert_close(after[inside], before[inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize("low", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("channels", [1, 3])
def test_auto_contrast_against_sorting(low: float, channels: int) -> None:
    pixels = pixels_of(channels, 19, 17)
    ordered = np.sort(luma(pixels.numpy()), axis=None)
    black, white = (float(end[int(low * ordered.size)]) for end in (ordered, ordered[::-1]))
    wanted = ((pixels.double() - black) / (white - black)).clamp(0, 1)
    made = AutoContrast(low)(pixels[None].double() / 127.5 - 1)
    torch.testing.assert_close((made[0] + 1) / 2, wanted)
    flat = torch.full((1, channels, 4, 4), 0.25)
    assert torch.equal(AutoContrast(low)(flat), flat)


def test_pipeline_is_one_after_the_other() -> None:
    image = images(2, 3, 10, 9)
    first = Gamma(0.5)(image)
    wanted = UnsharpMask(1.0)(((first + 1) * 127.5).round() / 127.5 - 1)
    assert torch.equal(Pipeline([Gamma(0.5), UnsharpMask(1.0)])(image), wanted)
    assert not torch.allclose(Pipeline([UnsharpMask(1.0), Gamma(0.5)])(image), wanted, atol=0.01)
    assert Pipeline([UnsharpMask(1.0), Gamma(0.5), UnsharpMask(1.0, 2.0)]).margin == 9


def test_a_gradient_goes_through_a_pipeline() -> None:
    image = 0.3 * images(1, 3, 6, 5)
    alone, within = image.clone().requires_grad_(), image.clone().requires_grad_()
    made = Pipeline([Gamma(1.0), Saturation(1.5), Contrast(1.0)])(within)
    made.square().sum().backward()
    (2 * made.detach() * Saturation(1.5)(alone)).sum().backward()
    assert alone.grad is not None and within.grad is not None and alone.grad.abs().amax() > 0.1
    torch.testing.assert_close(within.grad, alone.grad)


@pytest.mark.parametrize("name", ALL)
def test_files_bring_transforms_back(name: str, tmp_path: Path) -> None:
    image, path = images(1, 3, 16, 17), tmp_path / "new" / "mine.yaml"
    write(ALL[name](), path)
    again = read(path)
    assert type(again) is type(ALL[name]()) and again.name == name
    assert torch.equal(again(image), ALL[name]()(image))
    assert not torch.equal(again(image), METHODS[name]()(image)) or name == "equalise"
    assert [file.name for file in path.parent.iterdir()] == ["mine.yaml"]


class Darker(Transform):
    """What a person may add, in a file of his own."""

    name = "darker"

    def __init__(self, by: float, way: str = "plain", after: Transform | None = None) -> None:
        self.by, self.way, self.after = by, way, after

    def __call__(self, image: Tensor) -> Tensor:
        return (image - self.by).clamp(-1, 1)

    def look(self, pixels: Tensor) -> Strip:
        return lambda rows, first: self(rows)


def test_files_name_classes_of_others(tmp_path: Path) -> None:
    write(Pipeline([Darker(0.5, "mine", Gamma(0.3)), Darker(0.25)]), tmp_path / "a.yaml")
    again = read(tmp_path / "a.yaml")
    assert isinstance(again, Pipeline)
    one, other = again.transforms
    assert isinstance(one, Darker) and isinstance(other, Darker) and isinstance(one.after, Gamma)
    assert (one.by, one.way, one.after.amount, other.by, other.way, other.after) == (
        0.5,
        "mine",
        0.3,
        0.25,
        "plain",
        None,
    )


def test_methods() -> None:
    assert list(METHODS) == list(ALL) and all(named(name).name == name for name in METHODS)
    for name in METHODS:
        image = images(1, 3, 20, 20)
        assert (named(name)(image) - image).abs().amax() > 0.05
    with pytest.raises(
        UserError, match=r"--method claheh is unknown; use contrast, .*pipeline, or the path of a .yaml"
    ):
        named("claheh")


def test_a_method_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.YML").write_text("class_path: CLAHE\ninit_args:\n  clip_limit: 3\n")
    made = named(str(tmp_path / "mine.YML"))
    assert isinstance(made, CLAHE) and made.clip_limit == 3 and made.grid == 8
    with pytest.raises(UserError, match=r"none\.yaml cannot be read"):
        named(str(tmp_path / "none.yaml"))


PIPELINE = "class_path: lightning_mtgan.transforms.Pipeline\ninit_args:\n  transforms: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b", "says no transform; write class_path: CLAHE"),
        ("class_path: 3", "says no transform"),
        ("- CLAHE", "holds no keys"),
        ("class_path: [", "is not valid YAML"),
        ("class_path: CLAE", "class_path CLAE is no transform"),
        ("class_path: os.system\ninit_args: {command: ls}", "class_path os.system is no transform"),
        ("class_path: nowhere.Gamma", "class_path nowhere.Gamma is no transform"),
        ("class_path: ..Gamma", "is no transform"),
        ("class_path: Transform", "class_path Transform is no transform"),
        ("class_path: Gamma\namount: 1", "key amount is unknown; write arguments of the class under init_args"),
        ("class_path: Gamma\ninit_args: [1]", r"init_args of Gamma is \[1\]"),
        ("class_path: Gamma\ninit_args: {amuont: 1}", "Gamma has no argument amuont; it has amount"),
        ("class_path: equalise", "class_path equalise is no transform"),
        ("class_path: HistogramEqualisation\ninit_args: {x: 1}", "no argument x; it has none"),
        ("class_path: Gamma\ninit_args: {amount: much}", "Gamma.amount is 'much'; give a number"),
        ("class_path: Gamma\ninit_args: {amount: true}", "Gamma.amount is True; give a number"),
        ("class_path: Gamma\ninit_args: {amount: 9}", "Gamma.amount is 9; use 0.25 to 4, 1 for none"),
        ("class_path: CLAHE\ninit_args: {grid: 1.5}", "CLAHE.grid is 1.5; give a whole number"),
        (PIPELINE + "[]", "Pipeline.transforms is empty"),
        (PIPELINE + "3", "Pipeline.transforms is 3; give a list of transforms, each with its class_path"),
        (PIPELINE + "[CLAHE]", r"Pipeline.transforms is \['CLAHE'\]; give a list of transforms"),
        (PIPELINE + "[{class_path: Gamma, init_args: {amount: -1}}]", "Gamma.amount is -1"),
    ],
)
def test_mistakes_in_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as refused:
        named(str(path))
    assert "mine.yaml" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Contrast(-0.1), "Contrast.amount is -0.1; use 0 to 4, 1 for none"),
        (lambda: Gamma(float("nan")), "Gamma.amount is nan"),
        (lambda: Saturation(4.5), "Saturation.amount is 4.5; use 0 to 4"),
        (lambda: WhiteBalance(1.1), "WhiteBalance.amount is 1.1; use 0 to 1, 0 for none"),
        (lambda: UnsharpMask(5.0), "UnsharpMask.amount is 5.0; use -1 to 4, 0 for none"),
        (lambda: UnsharpMask(1.0, sigma=0.0), "UnsharpMask.sigma is 0.0"),
        (lambda: CLAHE(0.5), "CLAHE.clip_limit is 0.5"),
        (lambda: CLAHE(2.0, 0), "CLAHE.grid is 0"),
        (lambda: AutoContrast(0.5), "AutoContrast.low is 0.5"),
    ],
)
def test_arguments_out_of_range(make: Callable[[], Transform], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_random_transforms_draw_an_amount_for_each_image() -> None:
    draws, image = Draws(3), 0.3 * images(1, 3, 6, 5).repeat(64, 1, 1, 1)
    augment = RandomTransforms([Contrast(2.0), UnsharpMask(-1.0)])
    made = augment(image, draws, "real")
    shares = draws.uniform("augment/real/uniform", 64, 2)
    wanted = UnsharpMask(0.0).adjusted(Contrast(1.0).adjusted(image, 1 + shares[:, 0]), -shares[:, 1])
    torch.testing.assert_close(made, wanted)
    assert torch.equal(made, augment(image, draws, "real")) and not torch.equal(made, augment(image, draws, "fake"))
    halves = [augment(image[:32], Draws(3, rank=rank, world_size=2), "real") for rank in (0, 1)]
    torch.testing.assert_close(torch.cat(halves), made)
    assert augment.changes == {Change.COLOUR}


def test_random_transforms_by_neutral_amounts_are_the_identity() -> None:
    image = images(3, 3, 6, 5)
    augment = RandomTransforms([kind(kind.neutral) for kind in KINDS])
    torch.testing.assert_close(augment(image, Draws(1), "real"), image, rtol=0, atol=1e-6)
    assert not augment.changes and torch.equal(RandomTransforms([])(image, Draws(1), "real"), image)


def test_random_transforms_have_two_derivatives() -> None:
    image = (0.3 * images(2, 3, 4, 4, dtype=torch.float64)).requires_grad_()
    augment = RandomTransforms([Gamma(0.5), Contrast(1.5), WhiteBalance(1.0), Saturation(1.5), UnsharpMask(0.5)])
    (slope,) = torch.autograd.grad(augment(image, Draws(1), "real").square().sum(), image, create_graph=True)
    slope.square().sum().backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.abs().amax() > 0
