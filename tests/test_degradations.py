from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

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
    LowContrast,
    LowLight,
    Mixture,
    SuperResolution,
)
from lightning_mtgan.corruptions.eight_bits import of_eight_bits
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec

POINTWISE: list[Callable[..., Corruption]] = [LowLight, LowContrast, ColourCast]


def images(*shape: int) -> Tensor:
    """Of 256 levels, as data have them."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)) / 127.5 - 1


def chances(image: Tensor) -> Chances:
    return Chances(Draws(0), "corrupt/test", len(image), torch.float32)


def shares(count: int, num_images: int) -> Tensor:
    """The uniform numbers that a corruption gets, image by image."""
    return Draws(0).uniform("corrupt/test/uniform", num_images, count).double()


def level(value: float) -> int:
    return min(max(round(255 * value), 0), 255)


def levels(image: Tensor) -> Tensor:
    return ((image + 1) * 127.5).round().int()


def dimmed(value: float, channel: int, curve: float, light: float) -> float:
    return float((0.6 + 0.4 * light) * value ** (1.5 + 1.5 * curve))


def veiled(value: float, channel: int, share: float, grey: float) -> float:
    factor = 0.3 + 0.4 * share
    return factor * value + (1 - factor) * (0.3 + 0.4 * grey)


def cast(value: float, channel: int, *gains: float) -> float:
    found = [0.6 + 0.4 * gain for gain in gains]
    return value * found[channel] / max(found)


@pytest.mark.parametrize(
    "make, count, formula", [(LowLight, 2, dimmed), (LowContrast, 2, veiled), (ColourCast, 3, cast)]
)
def test_pixels_against_a_loop(make: Callable[[], Corruption], count: int, formula: Callable[..., float]) -> None:
    image = images(4, 3, 5, 7)
    found = make()(image, chances(image))
    for one, before, numbers in zip(levels(found.image), levels(image), shares(count, 4).tolist(), strict=True):
        for channel in range(3):
            for now, was in zip(one[channel].flatten().tolist(), before[channel].flatten().tolist(), strict=True):
                assert now == level(formula(was / 255, channel, *numbers))
    assert not found.known.any()


@pytest.mark.parametrize("make", [LowLight, LowContrast, ColourCast])
def test_what_is_left_is_a_file_and_keeps_the_order_of_levels(make: Callable[[], Corruption]) -> None:
    ramp = (torch.arange(256) / 127.5 - 1).view(1, 1, 16, 16).repeat(9, 3, 1, 1)
    found = make()(ramp, chances(ramp)).image
    assert torch.equal(found, of_eight_bits(found))
    assert (found.flatten(2).diff() >= 0).all()
    num_left = torch.tensor([one.unique().numel() for one in found.flatten(0, 1)])
    assert num_left.unique().numel() > 3  # each image has its own strength
    assert make is ColourCast or (num_left < 256).all()  # there is something that no map brings back


@pytest.mark.parametrize(
    "nothing", [LowLight((1, 1), (1, 1)), LowContrast((1, 1)), ColourCast((1, 1)), ColourCast((0.5, 0.5))]
)
def test_no_strength_changes_nothing_but_what_no_file_holds(nothing: Corruption) -> None:
    image = images(3, 3, 6, 5)
    assert torch.equal(nothing(image, chances(image)).image, image)
    between = torch.rand(3, 3, 6, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = nothing(between, chances(between)).image
    assert torch.equal(found, of_eight_bits(found))
    assert (found - between).abs().max() <= 1 / 255 + 1e-6


def test_a_cast_takes_no_brightness_from_one_channel() -> None:
    white = torch.ones(50, 3, 2, 2)
    found = ColourCast((0.2, 0.9))(white, chances(white)).image
    assert (found.amax(1) == 1).all()
    assert found.amin(1).min() < -0.2
    assert len(set(found.argmax(1).flatten().tolist())) == 3


def alike(one: Damaged, other: Damaged) -> bool:
    return torch.equal(one.image, other.image) and torch.equal(one.known, other.known)


@pytest.mark.parametrize(
    "part", [LowLight(), ColourCast(), Denoising(), Deblurring(), SuperResolution(), Colourisation()]
)
def test_one_certain_part_is_the_part_alone(part: Corruption) -> None:
    image, numbers = images(5, 3, 8, 10), chances(images(5, 3, 8, 10))
    alone = part(image, replace(numbers, purpose=f"corrupt/test/{part.name}"))
    assert alike(Degradations([part])(image, numbers), alone)
    half = image.to(torch.bfloat16)
    alone = part(half, replace(numbers, purpose=f"corrupt/test/{part.name}"))
    assert alike(Degradations([part])(half, numbers), alone)


def test_parts_happen_in_turn_each_by_its_own_chance() -> None:
    parts: list[Corruption] = [LowLight(probability=0.5), Deblurring(probability=0.25), Denoising(probability=0.75)]
    image, numbers = images(400, 3, 4, 4), chances(images(400, 3, 4, 4))
    found = Degradations(parts)(image, numbers)
    expected, happened = image, []
    for part in parts:
        (number,) = Draws(0).uniform(f"corrupt/test/{part.name}/happen", 400, 1).unbind(1)
        after = part(expected, replace(numbers, purpose=f"corrupt/test/{part.name}")).image
        expected = torch.where((number < part.probability)[:, None, None, None], after, expected)
        happened.append(number < part.probability)
    assert torch.equal(found.image, expected)
    assert not found.known.any() and found.known.shape == (400, 1, 4, 4)
    often = torch.stack(happened).double()
    assert (often.mean(1) - torch.tensor([0.5, 0.25, 0.75])).abs().max() < 0.07
    assert (often.corrcoef() - torch.eye(3)).abs().max() < 0.15
    spared = ~torch.stack(happened).any(0)
    assert 0 < spared.sum() < 100
    assert torch.equal((found.image == image).flatten(1).all(1), spared)  # bit for bit


def test_another_part_changes_nothing_about_the_first() -> None:
    image, numbers = images(30, 3, 4, 4), chances(images(30, 3, 4, 4))
    alone = Degradations([LowContrast(probability=0.5)])(image, numbers).image
    both = Degradations([LowContrast(probability=0.5), Denoising(probability=0.5)])(image, numbers).image
    is_noisy = Draws(0).uniform("corrupt/test/denoising/happen", 30, 1)[:, 0] < 0.5
    assert torch.equal(both[~is_noisy], alone[~is_noisy])
    assert not (both == alone).flatten(1).all(1)[is_noisy].any()


@pytest.mark.parametrize("make", [*POINTWISE, lambda: poor()])
def test_batch_mates_ranks_and_micro_batches_change_no_image(make: Callable[[], Corruption]) -> None:
    mixture, image, draws = Mixture([make(), SuperResolution()]), images(16, 3, 6, 6), Draws(5, 7, "generator")
    whole, index = mixture(image, draws)
    assert 0 < index.sum() < 16
    other = image.clone()
    other[1:] = other[1:].flip(0)
    torch.testing.assert_close(mixture(other, draws)[0].image[0], whole.image[0], rtol=0, atol=0)
    for part in range(2):
        for rank in range(2):
            rows = slice(4 * (2 * part + rank), 4 * (2 * part + rank) + 4)
            mine = replace(draws, rank=rank, world_size=2).of_part(part, 2)
            assert alike(mixture(image[rows], mine)[0], whole[rows])


def poor() -> Degradations:
    return Degradations(
        [LowLight(probability=0.5), ColourCast(probability=0.5), Denoising(), Deblurring(probability=0.5)]
    )


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: LowLight((0.5, 2.0)), "LowLight.gamma"),
        (lambda: LowLight((3.0, 2.0)), "LowLight.gamma"),
        (lambda: LowLight(scale=(0.0, 1.0)), "LowLight.scale"),
        (lambda: LowLight(scale=(0.5, 1.1)), "LowLight.scale"),
        (lambda: LowContrast((0.0, 0.5)), "LowContrast.factor"),
        (lambda: LowContrast((0.5, 1.5)), "LowContrast.factor"),
        (lambda: LowContrast(veil=(-0.1, 0.5)), "LowContrast.veil"),
        (lambda: LowContrast(veil=(0.1, 1.5)), "LowContrast.veil"),
        (lambda: ColourCast((0.0, 1.0)), "ColourCast.gain"),
        (lambda: ColourCast((0.5, 1.2)), "ColourCast.gain"),
        (lambda: ColourCast().require_fitting(DataSpec(16, 1)), "ColourCast needs images of 3 channels"),
        (lambda: Degradations([]), "Degradations.parts is empty"),
        (lambda: Degradations([Denoising(), LowLight(), Denoising()]), "twice (denoising, low_light, denoising)"),
        (lambda: Degradations([LowLight(), BoxInpainting()]), "has BoxInpainting, whose images keep known pixels"),
        (lambda: Degradations([FreeFormInpainting()]), "has FreeFormInpainting"),
        (lambda: Degradations([LowLight(probability=1.5)]), "LowLight.probability is 1.5 in Degradations.parts"),
        (lambda: Degradations([LowLight()], probability=0), "Degradations.probability"),
        (lambda: poor().require_fitting(DataSpec(16, 1)), "ColourCast needs images of 3 channels"),
        (lambda: Degradations([SuperResolution(3)]).require_fitting(DataSpec(16, 3)), "SuperResolution.factor"),
    ],
)
def test_mistakes_are_named(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert words in str(caught.value)


def test_fitting_data_are_taken() -> None:
    poor().require_fitting(DataSpec(16, 3))
    for make in (LowLight, LowContrast):
        make().require_fitting(DataSpec(16, 1))
