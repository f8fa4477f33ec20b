"""StyleGAN2 and R3GAN: the sizes of the references, layers against slow loops, and derivatives of second order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeVar

import pytest
import torch
from scipy.signal import upfirdn
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import conv2d, leaky_relu

from lightning_mtgan import distributed
from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.equalized import EqualizedConv2d, EqualizedLinear
from lightning_mtgan.networks.equalized_heads import EqualizedHead, EqualizedProjectionHead
from lightning_mtgan.networks.generators import Generator
from lightning_mtgan.networks.grouped_deviation import GroupedMinibatchDeviation
from lightning_mtgan.networks.heads import AdversarialHead
from lightning_mtgan.networks.mapping import MappingNetwork, normalized
from lightning_mtgan.networks.mixing import mixes_samples
from lightning_mtgan.networks.modulation import ModulatedConv2d, ModulatedUpConv2d, ToImage
from lightning_mtgan.networks.r3gan import R3GANBlock, R3GANGenerator, R3GANTrunk
from lightning_mtgan.networks.r3gan_heads import R3GANHead, R3GANProjectionHead
from lightning_mtgan.networks.resampling import Blur, Downsample, Upsample
from lightning_mtgan.networks.stylegan2 import StyleGAN2Generator
from lightning_mtgan.networks.stylegan2_trunk import PlainDownBlock, ResidualDownBlock, StyleGAN2Trunk
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.types import DataSpec

CONDITION = 5
Network = TypeVar("Network", bound=nn.Module)


def small_stylegan2(spec: DataSpec, condition_dim: int = CONDITION, noise: bool = True) -> StyleGAN2Generator:
    return StyleGAN2Generator(spec, condition_dim, 6, 7, num_mapping_layers=2, width=4, max_channels=16, noise=noise)


def small_r3gan(spec: DataSpec, condition_dim: int = CONDITION) -> R3GANGenerator:
    return R3GANGenerator(spec, condition_dim, 6, width=8, max_channels=16, channels_per_group=8)


def small_stylegan2_trunk(spec: DataSpec, group: int = 4) -> StyleGAN2Trunk:
    return StyleGAN2Trunk(spec, width=4, max_channels=16, num_features=12, deviation_group=group)


def plain_stylegan2_trunk(spec: DataSpec) -> StyleGAN2Trunk:
    return StyleGAN2Trunk(spec, 4, 16, num_features=12, block=PlainDownBlock, deviation_group=2)


def small_r3gan_trunk(spec: DataSpec) -> R3GANTrunk:
    return R3GANTrunk(spec, width=8, max_channels=16, channels_per_group=8)


GENERATORS: list[Callable[..., Generator]] = [small_stylegan2, small_r3gan]
TRUNKS: list[Callable[..., Trunk]] = [small_stylegan2_trunk, plain_stylegan2_trunk, small_r3gan_trunk]
HEADS: list[type[AdversarialHead]] = [EqualizedHead, EqualizedProjectionHead, R3GANHead, R3GANProjectionHead]


def bias_of(layer: nn.Module) -> Tensor:
    bias = layer.bias
    assert isinstance(bias, Tensor)
    return bias


def size_of(*networks: nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def awake(network: Network) -> Network:
    """In float64, with what starts at zero moved away from it."""
    torch.manual_seed(1)
    network.double()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    return network


def vectors(generator: Generator, count: int = 4) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    dtype = next(generator.parameters()).dtype
    return torch.randn(count, generator.latent_dim, dtype=dtype), torch.randn(count, CONDITION, dtype=dtype)


def dead(network: nn.Module, loss: Tensor) -> list[str]:
    names, parameters = zip(*network.named_parameters(), strict=True)
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [name for name, slope in zip(names, slopes, strict=True) if slope is None or not slope.any()]


# Sizes of the references


def test_stylegan2_has_the_parameters_of_configuration_f() -> None:
    with torch.device("meta"):
        spec = DataSpec(1024, 3)
        generator = StyleGAN2Generator(spec, 0)
        assert size_of(generator) == 30_370_060
        assert size_of(StyleGAN2Trunk(spec), EqualizedHead(512, 0)) == 29_012_513
    assert generator.latent_dim == 512 + 16 + 2 * sum(4**level for level in range(3, 11))  # noise is no parameter
    assert generator.num_styles == 18


def test_stylegan2_for_cifar_has_the_parameters_of_the_ada_reference() -> None:
    w = 512
    linear, conv = w * w + w, 9 * w * w + w
    layer, to_image = linear + conv + 1, linear + 3 * w + 3
    generator = 2 * linear + 16 * w + 7 * layer + 4 * to_image
    trunk = (3 * w + w) + 3 * 2 * conv + (9 * (w + 1) * w + w) + (16 * w * w + w)
    with torch.device("meta"):
        spec = DataSpec(32, 3)
        assert size_of(StyleGAN2Generator(spec, 0, num_mapping_layers=2)) == generator == 19_947_539
        network = StyleGAN2Trunk(spec, block=PlainDownBlock, deviation_group=32)
        assert size_of(network, EqualizedHead(w, 0)) == trunk + w + 1 == 20_720_641
        conditional = StyleGAN2Generator(spec, 10, num_mapping_layers=2)
        assert size_of(conditional) == generator + (10 * w + w) + w * w
        assert size_of(EqualizedProjectionHead(w, 10)) == linear + (10 * w + w) + 8 * linear


@pytest.mark.parametrize(
    ("size", "stages", "generator_size", "trunk_size"),
    [
        (32, [768] * 4, 20_732_160, 20_683_776),
        (64, [768] * 4 + [384], 22_429_824, 22_381_440),
        (256, [768] * 4 + [384, 192, 96], 23_057_952, 23_009_568),
    ],
)
def test_r3gan_has_the_parameters_of_its_definition(
    size: int, stages: list[int], generator_size: int, trunk_size: int
) -> None:
    blocks = 2 * sum(2 * w * w + 9 * 16 * 2 * w + 2 * w * w + 2 * (2 * w) for w in stages)  # 16 channels in a group
    changes = sum(a * b for a, b in pairwise(stages) if a != b)
    both = blocks + changes + 16 * stages[0] + 3 * stages[-1]
    with torch.device("meta"):
        spec = DataSpec(size, 3)
        trunk = R3GANTrunk(spec)
        assert size_of(R3GANGenerator(spec, 0)) == both + 64 * stages[0] == generator_size
        assert size_of(trunk, R3GANHead(trunk.num_features, 0)) == both + stages[0] == trunk_size
        # With classes, of which both embed the vector: 64 and 768 numbers.
        assert size_of(R3GANGenerator(spec, 10)) == generator_size + 10 * 64 + 64 * 768
        assert size_of(R3GANProjectionHead(768, 10)) == 768 * 768 + 10 * 768


# Shapes, types and layouts


@pytest.mark.parametrize(("size", "channels"), [(4, 1), (8, 3), (16, 1), (64, 3), (128, 1), (256, 3)])
def test_shapes_at_every_size(size: int, channels: int) -> None:
    spec = DataSpec(size, channels)
    with torch.device("meta"):
        for make in GENERATORS:
            for condition_dim in (0, CONDITION):
                generator = make(spec, condition_dim)
                image = generator(torch.zeros(4, generator.latent_dim), torch.zeros(4, condition_dim))
                assert image.shape == (4, channels, size, size)
        for make_trunk in TRUNKS:
            trunk = make_trunk(spec)
            features = trunk(torch.zeros(4, channels, size, size))
            assert features.shape == (4, trunk.num_features)


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize("make", GENERATORS)
def test_a_generator_runs_in_every_type_and_layout(make: Callable[..., Generator], size: int) -> None:
    generator = awake(make(DataSpec(size, 3)))
    latent, condition = vectors(generator)
    exact = generator(latent, condition)
    assert exact.dtype is torch.float64 and exact.std() > 0.05
    generator.float()
    latent, condition = latent.float(), condition.float()
    assert torch.allclose(generator(latent, condition).double(), exact, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = generator(latent, condition)
    rough.sum().backward()
    assert ((rough - exact).square().mean() / exact.square().mean()).sqrt() < 0.02
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
    generator.double().to(memory_format=torch.channels_last)
    assert torch.allclose(generator(latent.double(), condition.double()), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize("make", TRUNKS)
def test_a_trunk_runs_in_every_type_and_layout(make: Callable[..., Trunk], size: int) -> None:
    trunk = awake(make(DataSpec(size, 3)))
    image = torch.randn(4, 3, size, size, dtype=torch.float64)
    exact = trunk(image)
    trunk.float()
    assert torch.allclose(trunk(image.float()).double(), exact, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = trunk(image.float())
    rough.sum().backward()
    assert ((rough - exact).square().mean() / exact.square().mean()).sqrt() < 0.02
    trunk.double().to(memory_format=torch.channels_last)
    last = image.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(trunk(last), exact, rtol=1e-5, atol=1e-5)


# Layers


def test_an_equalized_layer_starts_alike_whatever_its_multiplier() -> None:
    torch.manual_seed(0)
    features = torch.randn(64, 300)
    for multiplier in (1.0, 0.01):
        layer = EqualizedLinear(300, 400, initial_bias=3.0, lr_multiplier=multiplier)
        assert layer.weight.std().item() * multiplier == pytest.approx(1.0, rel=0.01)
        assert layer(features).mean().item() == pytest.approx(3.0, abs=0.05)
        assert layer(features).std().item() == pytest.approx(1.0, rel=0.05)
        with torch.no_grad():  # a step of the same length moves the output by the multiplier
            before = layer(features)
            for parameter in layer.parameters():
                parameter.add_(1)
        moved = (layer(features) - before)[:, 0]
        expected = multiplier * (features.sum(1) / math.sqrt(300) + 1)
        assert torch.allclose(moved, expected, atol=1e-4)


def test_an_equalized_convolution_is_one_with_scaled_weights() -> None:
    layer = awake(EqualizedConv2d(3, 4, 3, stride=2, padding=0, gain=1.5))
    features = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    expected = conv2d(features, layer.weight / math.sqrt(27), layer.bias, stride=2) * 1.5
    assert torch.allclose(layer(features), expected)
    assert EqualizedConv2d(3, 4, 3, bias=False)(features.float()).shape == (2, 4, 7, 7)


def test_modulation_is_that_of_a_weight_for_each_image() -> None:
    layer = awake(ModulatedConv2d(3, 4, 3, 5))
    features, style = torch.randn(2, 3, 6, 6).double(), torch.randn(2, 5).double()
    for index in range(2):
        scale = layer.affine.weight @ style[index] / math.sqrt(5) + bias_of(layer.affine)
        weight = layer.weight / math.sqrt(27) * scale[None, :, None, None]
        for channel in range(4):
            weight[channel] = weight[channel] / (weight[channel].square().sum() + 1e-8).sqrt()
        alone = conv2d(features[index : index + 1], weight, padding=1)[0]
        assert torch.allclose(layer(features, style)[index], alone)


def test_modulated_upsampling_is_zeros_in_between_then_weights_then_filter() -> None:
    layer = awake(ModulatedUpConv2d(3, 4, 5))
    features, style = torch.randn(2, 3, 4, 4).double(), torch.randn(2, 5).double()
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]).double() / 4
    kernel = torch.outer(taps, taps).expand(4, 1, 4, 4)
    spaced = features.new_zeros(2, 3, 7, 7)
    spaced[:, :, ::2, ::2] = features
    for index in range(2):
        scale = layer.affine.weight @ style[index] / math.sqrt(5) + bias_of(layer.affine)
        weight = layer.weight * scale[None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        wide = conv2d(spaced[index : index + 1], weight.flip(2, 3), padding=2)
        expected = conv2d(wide, kernel, padding=1, groups=4)[0]
        assert expected.shape == (4, 8, 8)
        assert torch.allclose(layer(features, style)[index], expected, atol=1e-6)


def test_an_image_is_read_with_weights_of_its_own_that_are_not_demodulated() -> None:
    layer = awake(ToImage(6, 3, 5))
    features, style = torch.randn(2, 6, 4, 4).double(), torch.randn(2, 5).double()
    for index in range(2):
        scale = layer.affine.weight @ style[index] / math.sqrt(5) + bias_of(layer.affine)
        weight = layer.weight * scale / math.sqrt(6)
        expected = conv2d(features[index : index + 1], weight[:, :, None, None], layer.bias)[0]
        assert torch.allclose(layer(features, style)[index], expected)


def test_resampling_is_that_of_scipy() -> None:
    taps, image = torch.tensor([1.0, 3.0, 3.0, 1.0]).double() / 8, torch.randn(2, 3, 6, 8).double()

    def along_both(values: Tensor, one: Callable[[Tensor, int], Tensor]) -> Tensor:
        return one(one(values, 2), 3)

    def up(values: Tensor, axis: int) -> Tensor:
        full = torch.from_numpy(upfirdn(2 * taps.numpy(), values.numpy(), up=2, axis=axis))
        return full.narrow(axis, 1, 2 * values.shape[axis])

    def blurred(values: Tensor, axis: int) -> Tensor:
        return torch.from_numpy(upfirdn(taps.numpy(), values.numpy(), axis=axis))

    def down(values: Tensor, axis: int) -> Tensor:
        full = blurred(values, axis).narrow(axis, 2, values.shape[axis])
        return full.index_select(axis, torch.arange(0, values.shape[axis], 2))

    assert torch.allclose(Upsample().double()(image), along_both(image, up))
    assert torch.allclose(Downsample().double()(image), along_both(image, down))
    assert torch.allclose(Blur(3).double()(image), along_both(image, blurred))
    assert torch.allclose(Blur(2, 4.0).double()(image), 4 * along_both(image, blurred)[:, :, 1:-1, 1:-1])


def test_resampling_keeps_what_is_constant_and_the_sum_of_a_pixel() -> None:
    constant = torch.full((1, 2, 8, 8), 0.7)
    assert torch.allclose(Upsample()(constant)[:, :, 1:-1, 1:-1], torch.tensor(0.7))
    assert torch.allclose(Downsample()(constant)[:, :, 1:-1, 1:-1], torch.tensor(0.7))
    pixel = torch.zeros(1, 1, 8, 8)
    pixel[0, 0, 4, 3] = 1.0
    assert Upsample()(pixel).sum() == 4 and Downsample()(pixel).sum() == 0.25 and Blur(1)(pixel).sum() == 1


@pytest.mark.parametrize("layer", [Upsample(), Downsample(), Blur(1, 4.0), Blur(2)])
def test_resampling_has_derivatives_of_every_order(layer: nn.Module) -> None:
    image = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    curved = nn.Sequential(nn.Tanh(), layer.double(), nn.Tanh())
    assert gradcheck(curved, image) and gradgradcheck(curved, image)
    slopes = torch.func.vmap(lambda one: torch.func.grad(lambda x: curved(x[None]).sum())(one))(image.detach())
    assert torch.allclose(slopes, torch.autograd.grad(curved(image).sum(), image)[0])


# Deviation of groups


def slow_deviation(features: Tensor, size: int) -> Tensor:
    rows = []
    for first in range(0, len(features), size):
        group = features[first : first + size]
        total = 0.0
        for place in group.flatten(1).T:
            total += math.sqrt(((place - place.mean()) ** 2).mean().item() + 1e-8)
        rows += [total / group[0].numel()] * len(group)
    return torch.tensor(rows, dtype=features.dtype)


@pytest.mark.parametrize(("count", "size"), [(8, 4), (8, 2), (8, 8), (3, 4), (4, 1)])
def test_the_deviation_is_that_of_a_loop(count: int, size: int) -> None:
    features = torch.randn(count, 3, 2, 2, dtype=torch.float64)
    result = GroupedMinibatchDeviation(size)(features)
    assert torch.equal(result[:, :3], features)
    expected = slow_deviation(features, min(size, count))[:, None, None].expand(count, 2, 2)
    assert torch.allclose(result[:, 3], expected)


@pytest.mark.parametrize(("local", "size"), [(4, 4), (2, 4), (3, 2), (3, 6), (3, 8)])
def test_the_deviation_is_that_of_the_batch_of_all_ranks(
    monkeypatch: pytest.MonkeyPatch, local: int, size: int
) -> None:
    everyone = torch.randn(2 * local, 3, 2, 2, dtype=torch.float64)
    together = GroupedMinibatchDeviation(size)(everyone)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "gather", lambda rows: everyone)
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        mine = slice(rank * local, (rank + 1) * local)
        assert torch.equal(GroupedMinibatchDeviation(size)(everyone[mine]), together[mine])


def test_groups_that_are_not_whole_are_refused_and_others_have_second_derivatives() -> None:
    with pytest.raises(UserError, match=r"6 images .* group_size 4"):
        GroupedMinibatchDeviation(4)(torch.randn(6, 1, 2, 2))
    features = torch.randn(4, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(GroupedMinibatchDeviation(2), features) and gradgradcheck(GroupedMinibatchDeviation(2), features)


def test_only_groups_make_images_depend_on_each_other() -> None:
    image = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    for trunk, mixes in ((small_stylegan2_trunk(DataSpec(16, 3), 0), False), (TRUNKS[0](DataSpec(16, 3)), True)):
        trunk.double()
        assert mixes_samples(trunk) is mixes
        assert torch.allclose(trunk(image)[:1], trunk(image[:1])) is not mixes


# How networks start


def test_stylegan2_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2Generator(DataSpec(16, 3), CONDITION, 64, 64, 4, width=64, max_channels=64)
    for name, parameter in generator.named_parameters():
        if name.endswith("affine.bias"):
            assert (parameter == 1).all()
        elif name.endswith(("bias", "noise_strength")):
            assert not parameter.any()
        else:
            expected = 100 if name.startswith("mapping.layers") else 1
            assert parameter.std().item() == pytest.approx(expected, rel=0.15), name
    latent, condition = torch.randn(32, generator.latent_dim), torch.randn(32, CONDITION)
    style = generator.style(latent, condition)
    assert style.shape == (32, 6, 64) and (style == style[:, :1]).all()
    assert 0.5 < style.square().mean() < 2
    features = generator.first(generator.constant.expand(32, -1, -1, -1), style[:, 0], None)
    assert 0.7 < features.square().mean() < 1.4
    flat = torch.randn(64, 3, 1, 1).expand(-1, -1, 16, 16)  # of one colour each: the filter takes noise away
    assert 0.2 < StyleGAN2Trunk(DataSpec(16, 3), 64, 64)(flat).square().mean() < 2


def test_r3gan_starts_with_blocks_that_do_nothing() -> None:
    torch.manual_seed(0)
    block = R3GANBlock(32, num_blocks=8)
    gain = math.sqrt(2 / 1.04) * 8 ** (-1 / 4)
    assert block.widen.weight.std().item() == pytest.approx(gain / math.sqrt(32), rel=0.05)
    assert block.mix.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.05)
    assert not block.narrow.weight.any() and not bias_of(block.widen).any() and not bias_of(block.mix).any()
    features = torch.randn(2, 32, 4, 4)
    assert torch.equal(block(features), features)
    generator, trunk = R3GANGenerator(DataSpec(8, 3), 0, width=64), R3GANTrunk(DataSpec(8, 3), width=64)
    asleep = dead(generator, generator(torch.randn(4, 64), torch.zeros(4, 0)).square().sum())
    assert {name.split(".")[-2] for name in asleep} == {"widen", "mix"} and len(asleep) == 4 * 4
    flat = torch.randn(64, 3, 1, 1).expand(-1, -1, 8, 8)  # of one colour each: the filter takes noise away
    assert 0.4 < trunk(flat).square().mean() < 2
    with pytest.raises(UserError, match=r"width 12 .* channels_per_group"):
        R3GANTrunk(DataSpec(8, 3), width=12)


def test_a_block_of_r3gan_is_its_formula() -> None:
    block = awake(R3GANBlock(4, 2, channels_per_group=4))
    features = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    inner = leaky_relu(conv2d(features, block.widen.weight, block.widen.bias), 0.2)
    halves = [
        conv2d(inner[:, part], block.mix.weight[part], bias_of(block.mix)[part], padding=1)
        for part in (slice(0, 4), slice(4, 8))
    ]
    expected = features + conv2d(leaky_relu(torch.cat(halves, 1), 0.2), block.narrow.weight)
    assert torch.allclose(block(features), expected)


# What reaches what


@pytest.mark.parametrize("make", GENERATORS)
def test_a_generator_uses_all_of_its_parameters_its_latent_and_its_condition(make: Callable[..., Generator]) -> None:
    generator = awake(make(DataSpec(16, 3)))
    latent, condition = vectors(generator)
    latent.requires_grad_()
    condition.requires_grad_()
    image = generator(latent, condition)
    loss = (image * torch.randn_like(image)).sum()
    assert dead(generator, generator(latent, condition).square().sum()) == []
    for vector in (latent, condition):
        (slope,) = torch.autograd.grad(loss, vector, retain_graph=True)
        assert (slope != 0).all()
    assert not torch.allclose(image[:1], image[1:2])
    other = generator(latent, condition.roll(1, 0))
    assert (image - other).square().mean() > 1e-4


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("make", TRUNKS)
def test_a_trunk_and_its_head_use_all_of_their_parameters(
    make: Callable[..., Trunk], head: type[AdversarialHead]
) -> None:
    trunk = awake(make(DataSpec(16, 3)))
    whole = nn.ModuleDict({"trunk": trunk, "head": awake(head(trunk.num_features, CONDITION))})
    condition = torch.randn(4, CONDITION, dtype=torch.float64, requires_grad=True)
    image = torch.randn(4, 3, 16, 16).double()
    assert dead(whole, whole["head"](trunk(image), condition).square().sum()) == []
    logits = whole["head"](trunk(image), condition)
    (slope,) = torch.autograd.grad(logits.sum() + 0 * condition.sum(), condition)
    assert bool(slope.any()) is head.reads_condition


def test_noise_is_a_part_of_the_latent_that_only_its_strength_lets_in() -> None:
    generator = small_stylegan2(DataSpec(16, 3))
    latent, condition = vectors(generator)
    assert generator.latent_dim == 6 + 16 + 2 * 64 + 2 * 256
    other = torch.cat([latent[:, :6], torch.randn_like(latent[:, 6:])], dim=1)
    assert torch.equal(generator.style(latent, condition), generator.style(other, condition))
    assert torch.equal(generator(latent, condition), generator(other, condition))
    with torch.no_grad():
        generator.get_parameter("refine.1.noise_strength").fill_(0.5)
    last = torch.cat([latent[:, :-256], torch.randn(4, 256)], dim=1)
    changed = torch.cat([latent[:, :6], torch.randn_like(latent[:, 6:-256]), latent[:, -256:]], dim=1)
    assert torch.equal(generator(latent, condition), generator(changed, condition))
    assert not torch.allclose(generator(latent, condition), generator(last, condition))
    # A single number of the last map reaches the pixels around its own only: here that pixel itself.
    single = latent.clone()
    single[:, -256 + 16 * 5 + 9] += 1.0
    difference = (generator(single, condition) - generator(latent, condition)).abs().sum((0, 1))
    assert difference.nonzero().tolist() == [[5, 9]]
    quiet = small_stylegan2(DataSpec(16, 3), noise=False)
    assert quiet.latent_dim == 6 and size_of(quiet) == size_of(generator) - 5


def test_every_layer_reads_its_own_style() -> None:
    generator = awake(small_stylegan2(DataSpec(16, 3)))
    latent, condition = vectors(generator)
    style = generator.style(latent, condition)
    image = generator.render(style, latent)
    assert torch.equal(image, generator(latent, condition))
    (slope,) = torch.autograd.grad((image * torch.randn_like(image)).sum(), style)
    assert slope.shape == (4, 6, 7) and slope.abs().sum(2).min() > 0


def test_the_mapping_ignores_how_long_a_latent_is() -> None:
    mapping = awake(MappingNetwork(6, CONDITION, 8, 3))
    latent, condition = torch.randn(4, 6).double(), torch.randn(4, CONDITION).double()
    assert torch.allclose(mapping(latent, condition), mapping(7 * latent, condition), rtol=1e-5)
    assert torch.allclose(normalized(latent).square().mean(1), torch.ones(4).double())


def test_heads_compute_their_formulas() -> None:
    features, condition = torch.randn(3, 6).double(), torch.randn(3, CONDITION).double()
    plain = awake(EqualizedHead(6, CONDITION))
    expected = features @ plain.judge.weight[0] / math.sqrt(6) + bias_of(plain.judge)
    assert torch.allclose(plain(features, condition), expected)
    projection = awake(EqualizedProjectionHead(6, CONDITION, num_layers=2))
    mapped = projection.mapping(torch.zeros(3, 0), condition)
    inner = features @ projection.judge.weight.T / math.sqrt(6) + bias_of(projection.judge)
    assert torch.allclose(projection(features, condition), (inner * mapped).sum(1) / math.sqrt(6))
    bilinear = awake(R3GANProjectionHead(6, CONDITION))
    expected = ((features @ bilinear.judge.weight.T) * (condition @ bilinear.embed.weight.T)).sum(1)
    assert torch.allclose(bilinear(features, condition), expected)
    for head in (EqualizedProjectionHead, R3GANProjectionHead):
        with pytest.raises(UserError, match="there is none"):
            head(6, 0)


# Derivatives of second order


def agrees_with_differences(parameters: Iterable[nn.Parameter], penalty: Callable[[], Tensor]) -> bool:
    """Whether the slope of a penalty along a random direction is that of a finite difference."""
    moved = list(parameters)
    torch.manual_seed(3)
    directions = [torch.randn_like(parameter) for parameter in moved]
    slopes = torch.autograd.grad(penalty(), moved, allow_unused=True, materialize_grads=True)
    slope = torch.stack([(one * way).sum() for one, way in zip(slopes, directions, strict=True)]).sum()
    step, values = 1e-6, []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, direction in zip(moved, directions, strict=True):
                parameter.add_(direction, alpha=sign * step)
        values.append(penalty().detach())
    difference = (values[0] - values[1]) / (2 * step)
    return bool(slope.abs() > 0) and torch.allclose(slope, difference, rtol=1e-4)


@pytest.mark.parametrize("make", TRUNKS)
def test_r1_goes_through_a_trunk(make: Callable[..., Trunk]) -> None:
    trunk = awake(make(DataSpec(16, 3)))
    image = torch.randn(4, 3, 16, 16, dtype=torch.float64, requires_grad=True)

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(trunk(image).square().sum(), image, create_graph=True)
        return slope.square().sum()

    assert agrees_with_differences(trunk.parameters(), penalty)


def test_path_lengths_go_through_the_generator() -> None:
    generator = awake(small_stylegan2(DataSpec(16, 3)))
    latent, condition = vectors(generator)
    direction = torch.randn(4, 3, 16, 16, dtype=torch.float64)

    def penalty() -> Tensor:
        style = generator.style(latent, condition)
        image = generator.render(style, latent)
        (slope,) = torch.autograd.grad((image * direction).sum(), style, create_graph=True)
        return (slope.square().sum(2).mean(1).sqrt() - 1).square().mean()

    assert agrees_with_differences(generator.parameters(), penalty)


def test_blocks_halve_and_the_residual_one_adds_a_way_around() -> None:
    plain, residual = awake(PlainDownBlock(3, 5)), awake(ResidualDownBlock(3, 5))
    features = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    residual.load_state_dict(plain.state_dict() | {"skip.weight": residual.skip.weight})
    around = conv2d(Downsample().double()(features), residual.skip.weight) / math.sqrt(3)
    assert plain(features).shape == (2, 5, 4, 4)
    assert torch.allclose(residual(features), (plain(features) + around) * math.sqrt(0.5))
