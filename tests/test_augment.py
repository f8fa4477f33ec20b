"""Augmentations: values against naive references, two derivatives, exactness, and independence of ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.augment import (
    ADA,
    AdaptiveProbability,
    Augmentation,
    Blitting,
    BrightnessSaturationContrast,
    Colour,
    Cutout,
    DiffAugment,
    FixedProbability,
    Geometry,
    OccasionalCutout,
    PipePart,
    ScheduledProbability,
    Translation,
)
from lightning_mtgan.augment.chances import Chances, whole_number
from lightning_mtgan.augment.pipe_colour import hue_turning, luma_flipping, recoloured, saturating
from lightning_mtgan.augment.sampling import reflected, resample
from lightning_mtgan.data import DigitDomain, Digits, Photos, Shapes, StackedDigits
from lightning_mtgan.data.changes import ChangeName
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import Change, TaskKind

EVERYTHING: Sequence[PipePart] = (Blitting(), Geometry(), Colour(), OccasionalCutout())


def ada(p: float, *pipe: PipePart) -> ADA:
    return ADA(list(pipe or EVERYTHING), FixedProbability(p))


ALL: dict[str, Callable[[], Augmentation]] = {
    "colour": BrightnessSaturationContrast,
    "translation": Translation,
    "cutout": Cutout,
    "diff": DiffAugment,
    "ada": lambda: ada(0.7),
    "blitting": lambda: ada(1.0, Blitting()),
}
NOTHING: dict[str, Callable[[], Augmentation]] = {
    "colour": lambda: BrightnessSaturationContrast(0),
    "translation": lambda: Translation(0),
    "cutout": lambda: Cutout(0),
    "diff": lambda: DiffAugment([]),
    "all of diff": lambda: DiffAugment([BrightnessSaturationContrast(0), Translation(0), Cutout(0)]),
    "ada": lambda: ada(0.0),
    "empty ada": lambda: ADA([], FixedProbability(1.0)),
    "nothing switched on": lambda: ada(
        1.0, Blitting(0, 0, 0), Geometry(0, 0, 0, 0), Colour(0, 0, 0, 0, 0), OccasionalCutout(0)
    ),
}


def images(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform_shares(draws: Draws, purpose: str, count: int, num_images: int) -> list[list[float]]:
    """The uniform numbers that an augmentation gets, image by image."""
    numbers = Draws(draws.seed, draws.step).uniform(f"augment/{purpose}/uniform", num_images, count)
    return numbers.tolist()


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_the_identity_bit_by_bit(name: str, channels: int) -> None:
    image = images(6, channels, 7, 12)
    augment = NOTHING[name]()
    assert torch.equal(augment(image, Draws(1), "real"), image)
    p_is_0 = name == "ada"
    assert bool(augment.changes) == p_is_0  # p may rise again


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_colour_against_the_formulas(channels: int) -> None:
    image, draws = images(4, channels, 3, 5, dtype=torch.float64), Draws(2, 3)
    found = BrightnessSaturationContrast(0.5)(image, draws, "real")
    for index, (b, s, c) in enumerate(uniform_shares(draws, "real", 3, 4)):
        expected = image[index] + 0.5 * (b - 0.5)
        for row in range(3):
            for column in range(5):
                pixel = expected[:, row, column].clone()
                factor = 1 + 0.5 * (2 * s - 1)
                expected[:, row, column] = (pixel - pixel.mean()) * factor + pixel.mean()
        factor = 1 + 0.5 * (c - 0.5)
        expected = (expected - expected.mean()) * factor + expected.mean()
        torch.testing.assert_close(found[index], expected)
        torch.testing.assert_close(found[index].mean(), image[index].mean() + 0.5 * (b - 0.5))
    ranges = torch.tensor(uniform_shares(draws, "real", 3, 4))
    assert float(ranges.std()) > 0.1


def test_one_channel_has_no_saturation() -> None:
    image, draws = images(3, 1, 4, 4), Draws(2)
    wanted = image.clone()
    for index, (b, _, c) in enumerate(uniform_shares(draws, "real", 3, 3)):
        bright = image[index] + (b - 0.5)
        wanted[index] = bright + (c - 0.5) * (bright - bright.mean())
    torch.testing.assert_close(BrightnessSaturationContrast()(image, draws, "real"), wanted)


@pytest.mark.parametrize("ratio", [0.125, 0.3, 1.0])
def test_translation_against_a_loop(ratio: float) -> None:
    image, draws = images(8, 2, 6, 9), Draws(4)
    found = Translation(ratio)(image, draws, "fake")
    moves = set()
    for index, (down, across) in enumerate(uniform_shares(draws, "fake", 2, 8)):
        most = [int(6 * ratio + 0.5), int(9 * ratio + 0.5)]
        dy, dx = (int(share * (2 * m + 1)) - m for share, m in zip((down, across), most, strict=True))
        expected = torch.zeros(2, 6, 9)
        for y in range(6):
            for x in range(9):
                if 0 <= y + dy < 6 and 0 <= x + dx < 9:
                    expected[:, y + dy, x + dx] = image[index, :, y, x]
        assert torch.equal(found[index], expected)
        moves.add((dy, dx))
    assert len(moves) > 2


@pytest.mark.parametrize(("height", "width", "ratio"), [(8, 8, 0.5), (7, 9, 0.4), (6, 6, 1.0)])
def test_cutout_against_a_loop(height: int, width: int, ratio: float) -> None:
    image, draws = 5 + images(40, 2, height, width), Draws(5)
    found = Cutout(ratio)(image, draws, "real")
    sizes = [int(height * ratio + 0.5), int(width * ratio + 0.5)]
    hidden = torch.zeros(height, width)
    for index, where in enumerate(uniform_shares(draws, "real", 2, 40)):
        expected = image[index].clone()
        first = []
        for share, length, size in zip(where, (height, width), sizes, strict=True):
            places = length + 1 if size % 2 == 0 else length
            first.append(int(share * places) - size // 2)
        for y in range(max(first[0], 0), min(first[0] + sizes[0], height)):
            for x in range(max(first[1], 0), min(first[1] + sizes[1], width)):
                expected[:, y, x] = 0
        assert torch.equal(found[index], expected)
        hidden += found[index, 0] == 0
    assert hidden.min() > 0  # every pixel is hidden now and then


def test_the_parts_of_diff_augment_follow_each_other() -> None:
    image, draws = images(4, 3, 8, 8), Draws(6)
    parts = [BrightnessSaturationContrast(), Translation(), Cutout()]
    expected = image
    for index, part in enumerate(parts):
        expected = part(expected, draws, f"real/{index}")
    assert torch.equal(DiffAugment()(image, draws, "real"), expected)
    twice = DiffAugment([Translation(0.5), Translation(0.5)])(image, draws, "real")
    assert not torch.equal(twice, Translation(1.0)(image, draws, "real/0"))


def test_blitting_only_moves_pixels_onto_pixels() -> None:
    image = images(200, 1, 8, 8)
    flipped = ada(1.0, Blitting(1, 0, 0))(image, Draws(0), "real")
    is_flipped = (flipped != image).flatten(1).any(1)
    assert torch.equal(flipped[is_flipped], image[is_flipped].flip(3))
    assert 0.4 < is_flipped.float().mean() < 0.6

    turned = ada(1.0, Blitting(0, 1, 0))(image, Draws(0), "real")
    counts = torch.zeros(4)
    for before, after in zip(image, turned, strict=True):
        fits = [torch.equal(torch.rot90(before, k, (1, 2)), after) for k in range(4)]
        assert sum(fits) == 1
        counts[fits.index(True)] += 1
    assert counts.min() > 30

    moved = ada(1.0, Blitting(0, 0, 1))(image, Draws(0), "real")
    framed = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="reflect")
    seen = set()
    for before, after in zip(framed, moved, strict=True):
        windows = {(y, x): before[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)}
        (move,) = [move for move, window in windows.items() if torch.equal(window, after)]
        seen.add(move)
    assert len(seen) == 9


def test_blitting_stays_exact_beside_geometry() -> None:
    image = images(300, 3, 8, 8)
    both, alone = (ada(0.3, *pipe)(image, Draws(1), "real") for pipe in ([Blitting(), Geometry()], [Blitting()]))
    is_same = (both == alone).flatten(1).all(1)
    left_alone = (1 - 0.3) ** 4  # scaling, rotation, aspect, translation
    assert abs(float(is_same.float().mean()) - left_alone) < 0.08
    is_moved = (both != image).flatten(1).any(1)
    assert bool((is_same & is_moved).any())


@pytest.mark.parametrize("oversampling", [1, 2, 3])
def test_a_ramp_stays_a_ramp(oversampling: int) -> None:
    height, width = 32, 24
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    image = (0.3 * x - 0.2 * y + 1).expand(5, 1, -1, -1)
    angle, scale = torch.tensor(0.4).double(), 1.3
    cos, sin = angle.cos() / scale, angle.sin() / scale
    matrix = torch.tensor([[cos, -sin, 0.35], [sin, cos, -1.2], [0, 0, 1]]).double().expand(5, 3, 3)
    found = resample(image, matrix, oversampling)
    u, v = x - (width - 1) / 2, y - (height - 1) / 2
    from_x = cos * u - sin * v + 0.35 + (width - 1) / 2
    from_y = sin * u + cos * v - 1.2 + (height - 1) / 2
    inside = (from_x > 1) & (from_x < width - 2) & (from_y > 1) & (from_y < height - 2)
    assert inside.float().mean() > 0.5
    expected = (0.3 * from_x - 0.2 * from_y + 1).expand_as(found)
    torch.testing.assert_close(found[:, :, inside], expected[:, :, inside])


def test_resampling_against_a_loop() -> None:
    image = images(2, 2, 4, 5, dtype=torch.float64)
    matrix = torch.eye(3).double().repeat(2, 1, 1) + 0.7 * images(2, 3, 3, seed=1, dtype=torch.float64)
    matrix[:, 2] = torch.tensor([0.0, 0.0, 1.0])

    def at(place: int, length: int) -> int:
        while not 0 <= place < length:
            place = -place if place < 0 else 2 * (length - 1) - place
        return place

    found = resample(image, matrix, 2)
    for n in range(2):
        for row in range(4):
            for column in range(5):
                mean = torch.zeros(2).double()
                for dy in (-0.25, 0.25):
                    for dx in (-0.25, 0.25):
                        x, y, _ = (matrix[n] @ torch.tensor([column + dx - 2, row + dy - 1.5, 1]).double()).tolist()
                        x, y = x + 2, y + 1.5
                        left, top = math.floor(x), math.floor(y)
                        for i, wy in ((top, 1 - (y - top)), (top + 1, y - top)):
                            for j, wx in ((left, 1 - (x - left)), (left + 1, x - left)):
                                mean += image[n, :, at(i, 4), at(j, 5)] * wy * wx / 4
                torch.testing.assert_close(found[n, :, row, column], mean)


def test_reflection() -> None:
    places = torch.arange(-7, 9).float()
    assert reflected(places, 4).tolist() == [[0, 1, 2, 3, 2, 1][int(place) % 6] for place in places]
    assert reflected(places, 1).tolist() == [0] * 16
    assert reflected(places, 2).tolist() == [int(place) % 2 for place in places]


def test_geometry_follows_its_distribution() -> None:
    part, p, n = Geometry(), torch.tensor(0.5), 20_000
    chances = Chances(Draws(0), "geometry", n, torch.float64)

    def matrices(**shares: float) -> Tensor:
        off = dict.fromkeys(part.does, 0.0)
        return Geometry(**(off | shares)).matrix((64, 32), chances, p)

    scaled = matrices(scale=1.0)
    logs = -scaled[:, 0, 0].log2()
    changed = logs != 0
    assert abs(float(changed.double().mean()) - 0.5) < 0.02 and abs(float(logs[changed].std()) - 0.2) < 0.01
    torch.testing.assert_close(scaled[:, 0, 0], scaled[:, 1, 1])
    stretched = matrices(aspect=1.0)
    torch.testing.assert_close(stretched[:, 0, 0] * stretched[:, 1, 1], torch.ones(n).double())
    assert abs(float(stretched[:, 0, 0].log2()[stretched[:, 0, 0] != 1].std()) - 0.2) < 0.01
    turned = matrices(rotation=1.0)
    is_turned = turned[:, 0, 1] != 0
    assert abs(float(is_turned.double().mean()) - 0.5) < 0.02  # before or after or both: p in all
    torch.testing.assert_close(turned @ turned.mT, torch.eye(3).double().expand(n, 3, 3))
    moved = matrices(shift=1.0)
    x, y = (moved[:, axis, 2][moved[:, axis, 2] != 0] for axis in (0, 1))
    assert abs(float(x.std()) - 0.125 * 32) < 0.1 and abs(float(y.std()) - 0.125 * 64) < 0.2
    off = matrices()
    assert torch.equal(off, torch.eye(3).double().expand(n, 3, 3))


def test_maps_are_composed_in_the_order_of_the_paper() -> None:
    chances = Chances(Draws(0), "order", 50, torch.float64)
    whole = Geometry().matrix((16, 16), chances, torch.tensor(1.0))
    off = dict.fromkeys(Geometry.does, 0.0)
    one = {name: Geometry(**(off | {name: 1.0})).matrix((16, 16), chances, torch.tensor(1.0)) for name in off}
    _, last = (math.pi * (2 * share - 1) for share in chances.uniform(2))
    after = torch.zeros(50, 3, 3).double()
    after[:, 0, 0] = after[:, 1, 1] = last.cos()
    after[:, 1, 0] = last.sin()
    after[:, 0, 1], after[:, 2, 2] = -last.sin(), 1
    before = one["rotation"] @ after.mT  # both turn where p is 1
    torch.testing.assert_close(whole, one["scale"] @ before @ one["aspect"] @ after @ one["shift"])


def test_luma_flip_hue_and_saturation() -> None:
    image = images(5, 3, 4, 4, dtype=torch.float64)
    luma, grey = image.mean(1), image.mean(1, keepdim=True)
    flips = torch.ones(5, dtype=torch.bool)
    flip = luma_flipping(flips, 3, torch.float64)
    torch.testing.assert_close(recoloured(image, flip).mean(1), -luma)
    torch.testing.assert_close(recoloured(recoloured(image, flip), flip), image)
    angle = 2 * math.pi * torch.rand(5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    hue = hue_turning(angle, 3)
    torch.testing.assert_close(recoloured(image, hue).mean(1), luma)
    torch.testing.assert_close(recoloured(image, hue).square().sum(1), image.square().sum(1))
    torch.testing.assert_close(recoloured(recoloured(image, hue), hue_turning(-angle, 3)), image)
    third = hue_turning(torch.full((5,), 2 * math.pi / 3).double(), 3)
    torch.testing.assert_close(recoloured(image, third), image.roll(1, 1))  # red becomes green
    torch.testing.assert_close(
        recoloured(image, saturating(angle, 3)), grey + (1 + angle[:, None, None, None]) * (image - grey)
    )
    for matrix in (hue_turning(angle, 1), saturating(angle, 1)):
        assert torch.equal(matrix, torch.ones(5, 1, 1).double())


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_follows_its_distribution(channels: int) -> None:
    n = 8_000
    image = torch.tensor([0.5, -0.25, 0.1]).double()[:channels].view(1, channels, 1, 1).expand(n, -1, 1, 1)
    off = dict.fromkeys(Colour.does, 0.0)

    def change(name: str) -> Tensor:
        return ada(0.5, Colour(**(off | {name: 1.0})))(image, Draws(0), "real")[:, :, 0, 0]

    offset = change("brightness") - image[:, :, 0, 0]
    assert torch.equal(offset[:, 0] != 0, offset[:, -1] != 0)
    hit = offset[:, 0][offset[:, 0] != 0]
    assert abs(len(hit) / n - 0.5) < 0.02 and abs(float(hit.std()) - 0.2) < 0.01 and abs(float(hit.mean())) < 0.01
    factor = (change("contrast") / image[:, :, 0, 0]).log2()
    assert abs(float(factor[:, 0][factor[:, 0] != 0].std()) - 0.5) < 0.02
    luma = image[:, :, 0, 0].mean(1)
    flipped = change("luma_flip").mean(1) / luma
    assert abs(float((flipped < 0).double().mean()) - 0.25) < 0.02  # half of the half that is flipped or not
    torch.testing.assert_close(flipped.abs(), torch.ones(n).double())
    for name in ("hue", "saturation"):
        changed = change(name)
        torch.testing.assert_close(changed.mean(1), luma)
        share = float((changed != image[:, :, 0, 0]).any(1).double().mean())
        assert abs(share - (0.5 if channels == 3 else 0)) < 0.02


def test_all_colours_are_one_matrix_in_the_order_of_the_paper() -> None:
    image, off = images(20, 3, 2, 2, dtype=torch.float64), dict.fromkeys(Colour.does, 0.0)
    expected = image
    for name in Colour.does:
        expected = ada(1.0, Colour(**(off | {name: 1.0})))(expected, Draws(3), "fake")
    torch.testing.assert_close(ada(1.0, Colour())(image, Draws(3), "fake"), expected)
    with pytest.raises(UserError, match="Colour is for images of 1 or 3 channels, not 2"):
        ada(1.0, Colour())(images(2, 2, 4, 4), Draws(0), "real")
    assert ada(1.0, Blitting(), Geometry())(images(2, 7, 4, 4), Draws(0), "real").shape == (2, 7, 4, 4)


@pytest.mark.parametrize("p", [0.1, 0.6, 1.0])
def test_the_share_of_changed_images_is_p(p: float) -> None:
    image = 1 + images(4_000, 1, 4, 4).abs()
    for part in (Colour(1, 0, 0, 0, 0), OccasionalCutout()):
        changed = (ada(p, part)(image, Draws(8), "real") != image).flatten(1).any(1)
        assert abs(float(changed.float().mean()) - p) < 0.025
    half = ada(p, Colour(0.5, 0, 0, 0, 0))(image, Draws(8), "real")
    assert abs(float((half != image).flatten(1).any(1).float().mean()) - p / 2) < 0.025


@pytest.mark.parametrize("name", ALL)
def test_two_derivatives(name: str) -> None:
    augment = ALL[name]()
    image = images(2, 3, 4, 4, dtype=torch.float64).requires_grad_()

    def changed(image: Tensor) -> Tensor:
        return augment(image, Draws(3), "fake")

    assert torch.autograd.gradcheck(changed, (image,))
    assert torch.autograd.gradgradcheck(lambda image: changed(image).tanh(), (image,))
    changed(image).square().sum().backward()
    assert image.grad is not None and float(image.grad.abs().sum()) > 0
    torch.manual_seed(0)
    weight = torch.ones(3, requires_grad=True)
    judged = (changed(image) * weight.double()[:, None, None]).tanh().sum()
    (gradient,) = torch.autograd.grad(judged, image, create_graph=True)  # as R1 does
    gradient.square().sum().backward(inputs=[weight])
    assert weight.grad is not None and float(weight.grad.abs().min()) > 0


@pytest.mark.parametrize("name", ALL)
def test_changes_follow_draws_and_purpose_alone(name: str) -> None:
    image = images(1, 3, 8, 8).expand(12, -1, -1, -1).contiguous()
    augment, draws = ALL[name](), Draws(1, 2, "discriminator")
    before = torch.get_rng_state()
    changed = augment(image, draws, "real")
    assert torch.equal(augment(image, draws, "real"), changed)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(augment(image, draws, "fake"), changed)
    assert not torch.equal(augment(image, replace(draws, step=3), "real"), changed)
    assert not torch.equal(augment(image, draws.at("generator"), "real"), changed)
    assert len({tuple(one.flatten().tolist()) for one in changed}) > 4  # each image has its own


@pytest.mark.parametrize("name", ALL)
def test_ranks_and_micro_batches_change_the_same_images_alike(name: str) -> None:
    image, augment, draws = images(12, 3, 8, 8), ALL[name](), Draws(1, 2)
    whole = augment(image, draws, "real")
    for rank in range(2):
        own = augment(image.chunk(2)[rank], replace(draws, rank=rank, world_size=2), "real")
        torch.testing.assert_close(own, whole.chunk(2)[rank], rtol=1e-6, atol=1e-6)
        for part in range(3):  # rows of a micro-batch lie beside each other: parts first, then ranks
            some = slice((part * 2 + rank) * 2, (part * 2 + rank) * 2 + 2)
            own = augment(image[some], replace(draws, rank=rank, world_size=2).of_part(part, 3), "real")
            torch.testing.assert_close(own, whole[some], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_precision_decides_over_no_image(name: str) -> None:
    image, augment = images(16, 3, 8, 8), ALL[name]()
    single = augment(image, Draws(5), "real")
    double = augment(image.double(), Draws(5, dtype=torch.float64), "real")
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)
    assert torch.equal(augment(image, Draws(5, dtype=torch.bfloat16), "real"), single)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment(image, Draws(5), "real"), single)
        half = augment(image.bfloat16(), Draws(5), "real")
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), augment(image.bfloat16().float(), Draws(5), "real"), rtol=0.05, atol=0.05)


def test_parts_of_one_kind_are_independent() -> None:
    image, brightness = torch.zeros(50, 1, 2, 2), Colour(1, 0, 0, 0, 0)
    one, two = (ada(1.0, *[brightness] * count)(image, Draws(0), "real")[:, 0, 0, 0] for count in (1, 2))
    assert abs(float(torch.stack([one, two - one]).corrcoef()[0, 1])) < 0.4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_whole_numbers_stay_below_their_count(dtype: torch.dtype) -> None:
    nearly = torch.tensor([0.0, 0.5, 1 - 2**-24]).to(dtype)
    for count in range(1, 2_000):
        assert whole_number(nearly, count).tolist() == [0, count // 2, count - 1]


def test_the_least_number_decides_rightly() -> None:
    class Zeros(Draws):
        def uniform(self, purpose: str, num_images: int, *shape: int) -> Tensor:
            return torch.zeros(num_images, *shape)

    never, ever = Chances(Zeros(0), "", 3, torch.float32).happen(torch.tensor(0.0), torch.tensor(2**-24))
    assert never.tolist() == [False] * 3 and ever.tolist() == [True] * 3


CASES: list[tuple[Augmentation, set[Change]]] = [
    (DiffAugment(), {Change.COLOUR, Change.SHIFT, Change.CUTOUT}),
    (DiffAugment([Translation(), Cutout(0)]), {Change.SHIFT}),
    (DiffAugment([Cutout(), ada(1.0, Blitting())]), {Change.CUTOUT, Change.FLIP, Change.ROTATION, Change.SHIFT}),
    (ADA(), set(Change) - {Change.CUTOUT}),
    (ada(1.0), set(Change)),
    (ada(1.0, Blitting(x_flip=0, quarter_turns=0), Colour()), {Change.SHIFT, Change.COLOUR}),
    (ada(1.0, Blitting(shift=0), Geometry(rotation=0, shift=0)), {Change.FLIP, Change.ROTATION, Change.SCALE}),
    (ada(1.0, Geometry(scale=0, aspect=0)), {Change.ROTATION, Change.SHIFT}),
    (ada(1.0, Geometry(scale=0, rotation=0, shift=0)), {Change.SCALE}),
    (ada(1.0, Colour(0, 0, 0, 0.5, 0)), {Change.COLOUR}),
]


@pytest.mark.parametrize(("augment", "expected"), CASES)
def test_what_an_augmentation_says_of_itself(augment: Augmentation, expected: set[Change]) -> None:
    assert augment.changes == expected


def test_tasks_that_would_be_false_are_refused() -> None:
    digits = StackedDigits(num_images=8, tasks=("red", "ink")).spec.tasks
    with pytest.raises(UserError, match=r"ADA changes colour, flip, rotation, .* targets of task `red` false"):
        ADA().require_valid(digits)
    with pytest.raises(UserError, match=r"changes shift, .* targets of task `ink` false"):
        DiffAugment([Translation()]).require_valid(digits)
    DiffAugment([Translation(), Cutout()]).require_valid(digits[:1])
    colours = Shapes(num_images=8, tasks=("shape", "colour", "texture", "background")).spec.tasks
    with pytest.raises(UserError, match=r"changes colour, .* targets of task `colour` false"):
        ADA().require_valid(colours)
    ADA([Blitting(), Geometry()]).require_valid(colours)
    ADA().require_valid(Photos(num_images=8, image_size=16, tasks=("colour", "texture", "photograph")).spec.tasks)


def test_what_the_data_say_of_their_tasks() -> None:
    shapes = {
        t.name: t.spoiled_by for t in Shapes(num_images=8, tasks=("position", "size", "angle", "mask")).spec.tasks
    }
    assert shapes == {
        "position": {Change.SHIFT, Change.FLIP, Change.ROTATION, Change.SCALE},
        "size": {Change.SCALE},
        "angle": {Change.FLIP, Change.ROTATION, Change.SCALE},
        "mask": set(Change) - {Change.COLOUR},
    }
    for data in (Digits(), DigitDomain()):
        assert data.spec.tasks[0].spoiled_by == {Change.FLIP, Change.ROTATION}
    stacked = StackedDigits(num_images=8, tasks=("red", "even", "ink", "colour", "texture")).spec
    assert all(bool(task.spoiled_by) != (task.kind is TaskKind.CONSTRAINT) for task in stacked.tasks)
    assert set(get_args(ChangeName)) == {change.value for change in Change}


def naive(signs: Sequence[Sequence[float]], target: float, kimg: float, every: int, start: float) -> list[float]:
    """p after each step, one image after the other."""
    p, heard, track = start, [], []
    for step, some in enumerate(signs):
        heard += [0.0 if math.isnan(sign) else sign for sign in some]
        if (step + 1) % every == 0:
            gap = sum(heard) / len(heard) - target
            p += (gap > 0) * len(heard) / (kimg * 1000) - (gap < 0) * len(heard) / (kimg * 1000)
            p, heard = min(max(p, 0.0), 1.0), []
        track.append(p)
    return track


def many_signs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    wanted = [0.95] * 40 + [0.1] * 70 + [0.95] * 10  # far beyond 1, far below 0, up again
    signs = [(torch.rand(8, generator=generator) < share).float() * 2 - 1 for share in wanted]
    signs[5][2] = signs[60][0] = torch.nan
    signs[7][:] = torch.nan
    return signs


@pytest.mark.parametrize("every", [1, 3, 4])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_adaptive_probability_against_a_loop(every: int, parts: int) -> None:
    signs = many_signs()
    probability = AdaptiveProbability(0.6, kimg=0.2, every=every, start=0.3)
    found, restored = [], False
    for step, some in enumerate(signs):
        in_force = float(probability(Draws(0, step)))
        for part in range(parts):
            draws = Draws(0, step).of_part(part, parts)
            probability.hear(some.chunk(parts)[part], draws)
            assert float(probability(draws)) == in_force  # a step has one p
        found.append(float(probability(Draws(0, step + 1))))
        if step == 50:  # in the middle of an interval
            state = probability.state_dict()
            probability = AdaptiveProbability(0.6, kimg=0.2, every=every).double()
            probability.load_state_dict(state)
            restored = True
    expected = naive([some.tolist() for some in signs], 0.6, 0.2, every, 0.3)
    assert restored and max(expected) == 1 and min(expected) == 0 and 0 < expected[-1] < 1
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=0, atol=1e-6)


def test_adaptive_probability_counts_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = many_signs()
    alone = AdaptiveProbability(0.6, kimg=0.2, every=2)
    ranks = [AdaptiveProbability(0.6, kimg=0.2, every=2) for _ in range(2)]
    for step, some in enumerate(signs):
        alone.hear(some, Draws(0, step))
        halves = some.nan_to_num(0).chunk(2)
        everyone = torch.stack([torch.stack([half.sum(), torch.tensor(len(half))]) for half in halves]).sum(0).long()
        for rank, half in zip(ranks, halves, strict=True):
            own = torch.stack([half.sum().long(), torch.tensor(len(half))])

            def total(tensor: Tensor, own: Tensor = own, everyone: Tensor = everyone) -> Tensor:
                assert torch.equal(tensor, own)
                return everyone

            with monkeypatch.context() as patch:
                patch.setattr(distributed, "total", total)
                rank.hear(half, Draws(0, step))
        assert all(torch.equal(rank.images, alone.images) for rank in ranks)
    assert float(alone(Draws(0, len(signs)))) > 0


def test_the_probability_of_ada_follows_what_it_hears() -> None:
    image = 1 + images(64, 1, 8, 8).abs()
    pipe = ADA([Colour(1, 0, 0, 0, 0)], AdaptiveProbability(kimg=0.064, every=1))
    augment = DiffAugment([pipe])
    assert torch.equal(augment(image, Draws(0, 0), "real"), image)
    augment.hear(torch.ones(64), Draws(0, 0))
    assert not torch.equal(augment(image, Draws(0, 1), "real"), image)
    assert {"parts.0.probability.images", "parts.0.probability.heard"} == set(augment.state_dict())
    Translation().hear(torch.ones(4), Draws(0))  # has nothing to learn


def test_scheduled_and_fixed_probability() -> None:
    scheduled = ScheduledProbability(0.2, 0.6, 100)
    track = [float(scheduled(Draws(0, step))) for step in (0, 50, 100, 1_000)]
    assert track == pytest.approx([0.2, 0.4, 0.6, 0.6])
    quarter = 0.4 + 0.2 * math.cos(3 * math.pi / 4)
    assert float(scheduled(Draws(0, 25))) == pytest.approx(quarter)
    fixed = FixedProbability(0.25)(Draws(0, 7))
    assert fixed.shape == () and float(fixed) == 0.25
    assert not scheduled.state_dict()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BrightnessSaturationContrast(-1), "BrightnessSaturationContrast.strength is -1"),
        (lambda: Translation(1.5), "Translation.ratio is 1.5"),
        (lambda: Cutout(float("nan")), "Cutout.ratio is nan"),
        (lambda: Blitting(x_flip=2), "Blitting.x_flip is 2"),
        (lambda: Colour(hue=-0.1), "Colour.hue is -0.1"),
        (lambda: FixedProbability(1.1), "FixedProbability.p is 1.1"),
        (lambda: ScheduledProbability(0, 1, 0), "ScheduledProbability.num_steps is 0"),
        (lambda: ScheduledProbability(0, 2, 5), "ScheduledProbability.end is 2"),
        (lambda: AdaptiveProbability(target=2), "AdaptiveProbability.target is 2"),
        (lambda: AdaptiveProbability(kimg=0), "AdaptiveProbability.kimg is 0"),
        (lambda: AdaptiveProbability(every=0), "AdaptiveProbability.every is 0"),
        (lambda: AdaptiveProbability(start=-1), "AdaptiveProbability.start is -1"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
