from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.conv_encoder import ConvEncoder
from lightning_mtgan.networks.feature_wise import FeatureWise, FeatureWiseBlock
from lightning_mtgan.networks.filling import COARSER, FINEST, NUM_SWEEPS, ROUGHEST, filled
from lightning_mtgan.networks.image_translator import ImageTranslator
from lightning_mtgan.networks.patch_head import PatchHead
from lightning_mtgan.networks.patch_trunk import PatchTrunk
from lightning_mtgan.networks.residual_translator import ResidualTranslator
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.networks.unet import UNet
from lightning_mtgan.types import DataSpec

SPEC = DataSpec(16, 3)
CONDITION = 5
SIZES = [(16, 16), (33, 50), (5, 7), (1, 9), (1, 1)]
KINDS = [UNet, ResidualTranslator]
Kind = Callable[..., ImageTranslator]
Network = TypeVar("Network", bound=nn.Module)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def damaged(height: int = 16, width: int = 16, count: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images, the first with holes, of the second nothing known, the third whole; what is known; and conditions."""
    image = random(count, 3, height, width, seed=seed).tanh()
    known = (random(count, 1, height, width, seed=seed + 1) > 0).double()
    known[1], known[2] = 0, 1
    return image, known, random(count, CONDITION, seed=seed + 2)


def make(kind: Kind, condition_dim: int = CONDITION, **more: object) -> ImageTranslator:
    torch.manual_seed(0)
    return kind(SPEC, condition_dim, **{"width": 4, "num_blocks": 2, **more}).double()


def trained(network: Network) -> Network:
    """The network with all its parameters moved a little, as training does, so that none is zero."""
    moved = copy.deepcopy(network)
    for index, parameter in enumerate(moved.parameters()):
        parameter.data += 0.1 * random(*parameter.shape, seed=index).to(parameter.dtype)
    return moved


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for parameter in {p for module in modules for p in module.parameters()})


# What is filled in


def slow_bend(image: list[list[float]]) -> list[list[float]]:
    height, width = len(image), len(image[0])
    around = ((0, 1), (0, -1), (1, 0), (-1, 0))
    return [
        [
            sum(image[min(max(i + a, 0), height - 1)][min(max(j + b, 0), width - 1)] for a, b in around) / 4
            - image[i][j]
            for j in range(width)
        ]
        for i in range(height)
    ]


def slowly_filled(
    image: list[list[float]], known: list[list[float]], steps: tuple[int, float] = FINEST
) -> list[list[float]]:
    """One channel of one image, level by level and pixel by pixel."""
    height, width = len(image), len(image[0])
    if height == width == 1:
        return image
    coarse, weight = [], []
    for top in range(0, height, 2):
        coarse.append([0.0] * ((width + 1) // 2))
        weight.append([0.0] * ((width + 1) // 2))
        for left in range(0, width, 2):
            cells = [(i, j) for i in (top, top + 1) for j in (left, left + 1) if i < height and j < width]
            total = sum(known[i][j] for i, j in cells)
            weight[-1][left // 2] = min(total, 1.0)
            coarse[-1][left // 2] = sum(known[i][j] * image[i][j] for i, j in cells) / total if total else 0.0
    coarse = slowly_filled(coarse, weight, COARSER)

    def between(place: int, length: int) -> list[tuple[int, float]]:
        """The coarse cells around a fine one, a quarter of a cell off the middle of its own."""
        own, other = place // 2, place // 2 + (1 if place % 2 else -1)
        return [(own, 0.75), (min(max(other, 0), length - 1), 0.25)]

    guess = [
        [
            sum(u * v * coarse[a][b] for a, u in between(i, len(coarse)) for b, v in between(j, len(coarse[0])))
            for j in range(width)
        ]
        for i in range(height)
    ]
    guess = [[known[i][j] * image[i][j] + (1 - known[i][j]) * guess[i][j] for j in range(width)] for i in range(height)]
    for step in [*[-1.0] * NUM_SWEEPS, *slow_steps(*steps)]:
        bend = slow_bend(guess) if step < 0 else slow_bend(slow_bend(guess))
        guess = [[guess[i][j] - step * (1 - known[i][j]) * bend[i][j] for j in range(width)] for i in range(height)]
    return guess


def slow_steps(count: int, smoothest: float) -> list[float]:
    """The polynomial that the recurrence is, by its roots: Richardson's method, in an order that rounding spares."""
    middle, reach = (ROUGHEST + smoothest) / 2, (ROUGHEST - smoothest) / 2
    roots = [middle + reach * math.cos(math.pi * (2 * index + 1) / (2 * count)) for index in range(count)]
    return [1 / root for pair in zip(roots[: count // 2], roots[::-1], strict=False) for root in pair]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (1, 6), (9, 2)])
def test_filled_equals_pixel_by_pixel(height: int, width: int) -> None:
    image = random(2, 2, height, width)
    known = (random(2, 1, height, width, seed=1) > 0.5).double()
    known[:, :, 0, 0] = 1
    result = filled(image, known)
    for row in range(2):
        for channel in range(2):
            expected = slowly_filled(image[row, channel].tolist(), known[row, 0].tolist())
            torch.testing.assert_close(result[row, channel], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_is_known_and_images_of_which_nothing_is_stay_bit_by_bit(height: int, width: int) -> None:
    image, known, _ = damaged(height, width)
    known[0, :, 0, 0] = 1
    result = filled(image.float(), known.float())
    assert result.shape == image.shape
    assert result.dtype == torch.float32
    assert torch.equal(result * known, (image.float() * known))
    assert torch.equal(result[1:], image[1:].float())
    assert result.isfinite().all()


def test_what_a_hole_holds_does_not_matter() -> None:
    image, known, _ = damaged()
    other = torch.where(known > 0, image, torch.nan)
    assert torch.equal(filled(image, known)[0], filled(other, known)[0])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 50), (5, 7)])
def test_a_constant_image_stays_constant(height: int, width: int) -> None:
    known = (random(4, 1, height, width) > 0.7).double()
    known[:, :, 0, 0] = 1
    image = torch.full((4, 3, height, width), 0.3, dtype=torch.float64)
    torch.testing.assert_close(filled(image * known, known), image)


def test_a_ramp_is_filled_nearly_linearly() -> None:
    across = torch.linspace(-1, 1, 32, dtype=torch.float64)
    ramp = (across + 0.5 * across[:, None])[None, None] / 1.5
    known = torch.ones_like(ramp)
    known[:, :, 10:22, 9:21] = 0
    hole = known == 0
    result = filled(ramp * known, known)
    by_mean = (ramp[hole].mean() - ramp[hole]).abs().mean()
    assert (result - ramp)[hole].abs().mean() < 0.1 * by_mean
    assert (result - ramp).abs().max() < 0.04
    steps = result[0, 0].diff(dim=1)
    assert steps.min() > 0  # it rises everywhere, also across the border of the hole


def test_holes_of_one_image_do_not_touch_another() -> None:
    image, known, _ = damaged(33, 50)
    other_known = known.clone()
    other_known[0] = 1 - known[0]
    before, after = filled(image, known), filled(image * 2, other_known)
    assert not torch.equal(before[0], after[0])
    for row in range(3):
        torch.testing.assert_close(before[row], filled(image[row : row + 1], known[row : row + 1])[0])


def test_filling_can_be_differentiated() -> None:
    known = torch.tensor([[1.0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], dtype=torch.float64)[None, None]
    image = random(1, 1, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: filled(one, known), image)


# Encoder and modulation


def test_an_encoder_doubles_its_channels_and_halves_the_size() -> None:
    encoder = ConvEncoder(4, width=6, num_halvings=3)
    assert encoder.widths == (6, 12, 24, 48)
    assert encoder.multiple == 8
    maps = encoder(torch.randn(2, 4, 16, 40))
    assert [tuple(one.shape) for one in maps] == [(2, 6, 16, 40), (2, 12, 8, 20), (2, 24, 4, 10), (2, 48, 2, 5)]
    assert len(ConvEncoder(3, num_halvings=0)(torch.randn(1, 3, 5, 7))) == 1


@pytest.mark.parametrize(("arguments", "word"), [({"width": 0}, "width is 0"), ({"num_halvings": -1}, "num_halvings")])
def test_an_impossible_encoder_is_refused(arguments: dict[str, int], word: str) -> None:
    with pytest.raises(UserError, match=word):
        ConvEncoder(3, **arguments)


def test_modulation_scales_and_shifts_each_channel() -> None:
    layer = FeatureWise(4, CONDITION).double()
    features, condition = random(2, 4, 3, 5), random(2, CONDITION, seed=1)
    assert torch.equal(layer(features, condition), features)
    layer = trained(layer)
    assert layer.steer is not None
    numbers = condition @ layer.steer.weight.T + layer.steer.bias
    for row in range(2):
        for channel in range(4):
            expected = features[row, channel] * (1 + numbers[row, channel]) + numbers[row, 4 + channel]
            torch.testing.assert_close(layer(features, condition)[row, channel], expected)


def test_a_block_changes_nothing_at_first() -> None:
    features, condition = random(2, 4, 3, 5), random(2, CONDITION, seed=1)
    block = FeatureWiseBlock(4, CONDITION).double()
    assert torch.equal(block(features, condition), features)
    assert not torch.equal(trained(block)(features, condition), features)


def test_a_block_without_a_condition_has_no_modulation() -> None:
    block = FeatureWiseBlock(4, 0)
    assert count(block) == 2 * (4 * 4 * 9 + 4)
    assert block(torch.randn(2, 4, 3, 5), torch.zeros(2, 0)).shape == (2, 4, 3, 5)


# Translators


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_known_pixels_stay_bit_by_bit_at_any_size(kind: Kind, height: int, width: int) -> None:
    image, known, condition = (one.float() for one in damaged(height, width))
    network = trained(make(kind)).float()
    result = network(image, known, condition)
    assert result.shape == image.shape
    assert torch.equal(result[2], image[2])
    assert torch.equal(torch.where(known > 0, result, image), image)
    assert (result[1] != image[1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_at_first_the_base_comes_back(kind: Kind) -> None:
    image, known, condition = damaged(11, 14)
    assert torch.equal(make(kind)(image, known, condition), filled(image, known))


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_restored_independently(kind: Kind) -> None:
    image, known, condition = damaged(13, 18)
    network = trained(make(kind))
    together = network(image, known, condition)
    for row in range(3):
        alone = network(*(one[row : row + 1] for one in (image, known, condition)))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_mirrors_the_image(kind: Kind) -> None:
    image, known, condition = damaged(10, 13)
    network = trained(make(kind))
    padding = nn.ReflectionPad2d((0, 3, 0, 2))
    larger = padding(filled(image, known)) + network.residual(
        network.encoder(torch.cat([padding(filled(image, known)), padding(known)], dim=1)),
        condition,
    )
    restored = network(image, known, condition)
    torch.testing.assert_close(restored[1], larger[1, :, :10, :13])


@pytest.mark.parametrize("kind", KINDS)
def test_the_condition_reaches_the_image_once_it_is_trained(kind: Kind) -> None:
    image, known, condition = damaged()
    network = trained(make(kind))
    first, second = network(image, known, condition), network(image, known, -condition)
    assert ((first - second)[1].abs() > 1e-6).all()


def test_the_condition_steers_every_resolution_of_a_unet() -> None:
    network = trained(make(UNet, num_halvings=3))
    image, known, condition = damaged()
    before = network(image, known, condition)
    layers = [one for one in network.modules() if isinstance(one, FeatureWise)]
    assert sorted({one.steer.out_features // 2 for one in layers if one.steer is not None}) == [4, 8, 16, 32]
    for one in layers:
        assert one.steer is not None
        one.steer.weight.data += 1
        assert not torch.equal(before, network(image, known, condition))
        one.steer.weight.data -= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("condition_dim", [0, CONDITION])
def test_gradients_reach_all_parameters(kind: Kind, condition_dim: int) -> None:
    image, known, condition = damaged()
    network = trained(make(kind, condition_dim))
    network(image, known, condition[:, :condition_dim]).square().sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_step_moves_the_last_layer(kind: Kind) -> None:
    network = make(kind)
    (network(*damaged()) - 1).abs().mean().backward()
    assert network.to_image.weight.grad.abs().sum() > 0  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_encoder_is_one_instance(kind: Kind) -> None:
    trunk = PatchTrunk(SPEC, width=4).double()
    network = make(kind, encoder=trunk.encoder)
    own = make(kind)
    assert network.encoder is trunk.encoder
    assert count(network, trunk) == count(own) + count(trunk) - count(trunk.encoder)
    assert count(network) == count(own)
    image, known, condition = damaged()
    torch.testing.assert_close(network.maps(image, known), trunk.maps(image, known)[:-1])
    moved = trained(network)
    assert moved(image, known, condition).shape == image.shape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "of_trunk"), [("width", {"width": 8}), ("num_halvings", {"num_halvings": 3})])
def test_another_encoder_is_refused(kind: Kind, name: str, of_trunk: dict[str, int]) -> None:
    encoder = PatchTrunk(SPEC, **{"width": 4, **of_trunk}).encoder
    message = rf"model\.game\.generator\.{name} is \d, but model\.game\.trunk\.{name} is \d"
    with pytest.raises(UserError, match=message):
        make(kind, encoder=encoder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_translator_runs_in_8_bits(kind: Kind) -> None:
    image, known, condition = (one.float() for one in damaged(9, 12))
    network = trained(make(kind)).float()
    with torch.autocast("cpu", torch.bfloat16):
        result = network(image, known, condition)
        result.square().mean().backward()
    assert result.dtype == torch.float32
    assert torch.equal(result[2], image[2])
    torch.testing.assert_close(result, network(image, known, condition), atol=0.1, rtol=0.1)
    assert all(one.grad.isfinite().all() for one in network.parameters() if one.grad is not None)


def test_a_unet_learns_to_take_noise_away() -> None:
    network = make(UNet, width=8).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    across = torch.linspace(-1, 1, 16)
    nothing, condition = torch.zeros(16, 1, 16, 16), torch.zeros(16, CONDITION)
    losses = []
    for _ in range(40):
        slope = torch.rand(16, 3, 2, generator=generator)[..., None, None] - 0.5
        truth = slope[:, :, 0] * across + slope[:, :, 1] * across[:, None]
        noisy = truth + 0.2 * torch.randn(truth.shape, generator=generator)
        loss = (network(noisy, nothing, condition) - truth).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


# The discriminator


def test_a_patch_trunk_is_a_trunk_with_maps() -> None:
    trunk = PatchTrunk(SPEC, width=4, num_features=10)
    assert isinstance(trunk, Trunk)
    image = torch.randn(2, 3, 33, 50)
    maps = trunk.maps(image)
    assert [tuple(one.shape[1:]) for one in maps] == [(4, 33, 50), (8, 17, 25), (16, 9, 13), (16, 9, 13)]
    assert maps[-1].shape[1] == trunk.body_width == 16
    assert trunk(image).shape == (2, 10) == (2, trunk.num_features)
    assert torch.equal(trunk(image), trunk.features(maps))
    assert all(map(torch.equal, maps, trunk.maps(image, torch.ones(2, 1, 33, 50))))
    assert not torch.equal(maps[0], trunk.maps(image, torch.zeros(2, 1, 33, 50))[0])


def test_features_see_where_things_are() -> None:
    trunk = trained(PatchTrunk(SPEC, width=4).double())
    image = random(2, 3, 16, 16)
    turned = image.rot90(1, (2, 3))
    assert (trunk(image) - trunk(turned)).abs().max() > 1e-3


def test_a_patch_head_judges_each_place_by_both_images_and_the_condition() -> None:
    trunk, head = PatchTrunk(SPEC, width=4).double(), PatchHead(16, CONDITION).double()
    trunk, head = trained(trunk), trained(head)
    image, known, condition = damaged(33, 50)
    real, left = trunk.maps(image)[-1], trunk.maps(image * known, known)[-1]
    logits = head(real, left, condition)
    assert logits.shape == (3, 9, 13)
    for other in (head(left, real, condition), head(real, left, -condition), head(real, real, condition)):
        assert not torch.allclose(logits[0], other[0])
    torch.testing.assert_close(head(real[:1], left[:1], condition[:1]), logits[:1])
    far = image.clone()
    far[:, :, -1, -1] += 1
    moved = head(trunk.maps(far)[-1], left, condition)
    assert torch.equal(moved[:, 0, 0], logits[:, 0, 0])  # one corner is not in the patch of the other
    assert not torch.equal(moved[:, -1, -1], logits[:, -1, -1])


@pytest.mark.parametrize("condition_dim", [0, CONDITION])
def test_gradients_reach_all_of_the_discriminator(condition_dim: int) -> None:
    trunk, head = trained(PatchTrunk(SPEC, width=4)), trained(PatchHead(16, condition_dim))
    image, known, condition = (one.float() for one in damaged())
    maps = trunk.maps(image)
    logits = head(maps[-1], trunk.maps(image, known)[-1], condition[:, :condition_dim])
    (logits.square().sum() + trunk.features(maps).square().sum()).backward()
    parameters = [*trunk.parameters(), *head.parameters()]
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in parameters)


def test_a_penalty_on_the_gradient_of_patches_can_be_differentiated() -> None:
    trunk, head = trained(PatchTrunk(SPEC, width=2).double()), trained(PatchHead(8, CONDITION).double())
    image, known, condition = damaged()
    image.requires_grad_()
    logits = head(trunk.maps(image)[-1], trunk.maps(image.detach(), known)[-1], condition)
    (gradient,) = torch.autograd.grad(logits.mean((1, 2)).sum(), image, create_graph=True)
    gradient.square().sum().backward()
    weight = trunk.encoder.from_image.weight
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
