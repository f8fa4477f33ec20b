from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import (
    BigGANGenerator,
    BigGANTrunk,
    ConditionalBatchNorm,
    DCGANGenerator,
    DCGANTrunk,
    Generator,
    GlobalBatchNorm,
    SelfAttention,
    SNGANGenerator,
    SNGANTrunk,
    SpectralProjectionHead,
    SpectralUnconditionalHead,
    UnconditionalHead,
    mixes_samples,
    spectral,
)
from lightning_mtgan.networks.attention import unchanged
from lightning_mtgan.networks.conditional_normalization import UnconditionalBatchNorm
from lightning_mtgan.networks.residual_blocks import DiscriminatorBlock, GeneratorBlock
from lightning_mtgan.types import DataSpec

Pair = tuple[Any, Any]  # generator and trunk; their constructors have arguments of their own
PAIRS: list[Pair] = [
    (DCGANGenerator, DCGANTrunk),
    (SNGANGenerator, SNGANTrunk),
    (BigGANGenerator, BigGANTrunk),
]
CONDITION = 5


def make(pair: Pair, image_size: int = 16, condition_dim: int = CONDITION, **more: int) -> Pair:
    torch.manual_seed(0)
    spec = DataSpec(image_size, 3)
    attention = {} if pair[0] is DCGANGenerator else more
    return pair[0](spec, condition_dim, width=4, **attention), pair[1](spec, width=4, **attention)


def inputs(generator: Generator, num_images: int = 4, condition_dim: int = CONDITION) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    kind = next(generator.parameters()).dtype
    latent = torch.randn(num_images, generator.latent_dim, generator=random, dtype=torch.float64)
    condition = torch.randn(num_images, condition_dim, generator=random, dtype=torch.float64)
    return latent.to(kind), condition.to(kind)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def normalised(network: nn.Module) -> dict[str, nn.Module]:
    return {name: layer for name, layer in network.named_modules() if torch.nn.utils.parametrize.is_parametrized(layer)}


def largest(layer: nn.Module) -> Tensor:
    return torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)  # type: ignore[operator, union-attr]


def test_dcgan_has_as_many_parameters_as_the_pytorch_example() -> None:
    with torch.device("meta"):
        spec = DataSpec(64, 3)
        generator, trunk = DCGANGenerator(spec, 0), DCGANTrunk(spec)
        head = UnconditionalHead(trunk.num_features, 0)
    assert count(generator) == 3_576_704
    assert count(trunk, head) == 2_765_568 + 1  # the example's last layer has no bias


# 32 pixels as mimicry says; 64 and 128 added up by hand from its layers. Generator at 64: 2,113,536 for the start,
# blocks 7,606,784 + 1,902,848 + 476,288 + 119,360, normalisation 128, last layer 1,731; at 128 one block of
# 19,930,112 more. Discriminator at 64: 38,976 + 119,104 + 475,776 + 1,901,824 + 7,604,736 and 1,025; at 128 one of
# 18,876,416 more.
@pytest.mark.parametrize(
    ("image_size", "of_generator", "of_discriminator"),
    [(32, 4_276_739, 1_053_825), (64, 12_220_675, 10_141_441), (128, 32_150_787, 29_017_857)],
)
def test_sngan_has_as_many_parameters_as_mimicry(image_size: int, of_generator: int, of_discriminator: int) -> None:
    with torch.device("meta"):
        spec = DataSpec(image_size, 3)
        generator, trunk = SNGANGenerator(spec, 0), SNGANTrunk(spec)
        head = SpectralUnconditionalHead(trunk.num_features, 0)
    assert count(generator) == of_generator
    assert count(trunk, head) == of_discriminator


def test_biggan_has_as_many_parameters_as_compare_gan() -> None:
    with torch.device("meta"):
        spec = DataSpec(128, 3)
        generator, trunk = BigGANGenerator(spec, condition_dim=128), BigGANTrunk(spec)
    assert generator.latent_dim == 120
    assert count(generator) == 70_433_988 - 1000 * 128  # its table of 1000 classes is our TaskEmbedding
    assert count(trunk) == 87_982_370 - 1000 * 1536 - (1536 + 1)  # its projection and its last layer are our head


@pytest.mark.parametrize(("image_size", "num_channels"), [(8, 1), (8, 3), (16, 3), (32, 1), (32, 3), (64, 3), (128, 3)])
@pytest.mark.parametrize("pair", PAIRS)
def test_sizes(pair: Pair, image_size: int, num_channels: int) -> None:
    spec, condition_dim = DataSpec(image_size, num_channels), 0 if num_channels == 1 else CONDITION
    generator = pair[0](spec, condition_dim, width=1).eval()
    trunk = pair[1](spec, width=1).eval()
    with torch.no_grad():
        image = generator(*inputs(generator, 2, condition_dim))
        features = trunk(image)
    assert image.shape == (2, num_channels, image_size, image_size)
    assert image.abs().max() <= 1
    assert features.shape == (2, trunk.num_features)
    assert features.isfinite().all()


@pytest.mark.parametrize(("generator", "trunk"), PAIRS)
def test_256_pixels(generator: Any, trunk: Any) -> None:
    spec, more = DataSpec(256, 3), {"attention_at": 32} if generator is BigGANGenerator else {}
    network = generator(spec, 0, width=1, **more).eval()
    with torch.no_grad():
        image = network(*inputs(network, 1, 0))
        assert image.shape == (1, 3, 256, 256)
        assert trunk(spec, width=1).eval()(image).isfinite().all()


@pytest.mark.parametrize("pair", PAIRS)
def test_sizes_that_do_not_exist_are_refused(pair: Pair) -> None:
    for make_network in (lambda spec: pair[0](spec, 0), pair[1]):
        with pytest.raises(UserError, match="image_size is 24"):
            make_network(DataSpec(24, 3))
    if pair[0] is DCGANGenerator:
        with pytest.raises(UserError, match="image_size is 4"):
            DCGANTrunk(DataSpec(4, 3))
    if pair[0] is BigGANGenerator:
        with pytest.raises(UserError, match="image_size is 512"):
            BigGANTrunk(DataSpec(512, 3))


def test_dcgan_starts_as_published() -> None:
    generator, trunk = DCGANGenerator(DataSpec(32, 3), 0), DCGANTrunk(DataSpec(32, 3))
    for network in (generator, trunk):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                deviation = 0.02 / math.sqrt(2 * layer.weight.numel())  # of a standard deviation of so many numbers
                assert layer.weight.std().item() == pytest.approx(0.02, abs=5 * deviation)
                assert abs(layer.weight.mean().item()) < 5 * 0.02 / math.sqrt(layer.weight.numel())
        gains = torch.cat([layer.weight for layer in network.modules() if isinstance(layer, GlobalBatchNorm)])
        assert gains.mean().item() == pytest.approx(1.0, abs=5 * 0.02 / math.sqrt(len(gains)))
        assert gains.std().item() == pytest.approx(0.02, rel=0.2)


def test_sngan_starts_as_published() -> None:
    torch.manual_seed(0)
    spec = DataSpec(16, 3)
    for network in (SNGANGenerator(spec, 0, width=32, attention_at=8), SNGANTrunk(spec, width=32, attention_at=8)):
        for name, layer in network.named_modules():
            if not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            last = name.rsplit(".", 1)[-1]
            gain = math.sqrt(2) if last in ("grow", "refine", "first", "second") else 1.0
            is_bounded = name in normalised(network)
            assert is_bounded == isinstance(network, SNGANTrunk)
            weight = layer.get_parameter("parametrizations.weight.original" if is_bounded else "weight").detach()
            area = weight[0, 0].numel()
            bound = gain * math.sqrt(6 / (area * (weight.shape[0] + weight.shape[1])))
            assert weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
            assert layer.bias is None or not layer.bias.any()


def test_biggan_starts_orthogonal_and_bounds_every_layer() -> None:
    spec = DataSpec(16, 3)
    for network in (
        BigGANGenerator(spec, CONDITION, width=4, attention_at=8),
        BigGANTrunk(spec, width=4, attention_at=8),
    ):
        bounded = normalised(network)
        for name, layer in network.named_modules():
            assert (name in bounded) == isinstance(layer, nn.Conv2d | nn.Linear)
        for layer in bounded.values():
            weight = layer.get_parameter("parametrizations.weight.original").detach().flatten(1)
            weight = weight if len(weight) <= weight.shape[1] else weight.T
            torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("pair", PAIRS)
def test_latent_and_condition_change_the_image(pair: Pair) -> None:
    generator, _ = make(pair)
    latent, condition = inputs(generator)
    image = generator.eval()(latent, condition)
    assert (generator(latent, -condition) - image).abs().amax((1, 2, 3)).min() > 1e-4
    latent.requires_grad_()
    (gradient,) = torch.autograd.grad(generator(latent, condition).square().sum(), latent)
    assert (gradient != 0).all()  # the part of every block, where there are parts


@pytest.mark.parametrize("attention_at", [None, 8])
@pytest.mark.parametrize("pair", PAIRS)
def test_every_parameter_learns(pair: Pair, attention_at: int | None) -> None:
    more = {} if attention_at is None else {"attention_at": attention_at}
    generator, trunk = (network.double() for network in make(pair, **more))
    for layer in [*generator.modules(), *trunk.modules()]:
        if isinstance(layer, SelfAttention):
            layer.gamma.data.fill_(0.5)  # at 0, where it starts, the layers within have no gradient
    head = SpectralProjectionHead(trunk.num_features, CONDITION).double()
    latent, condition = inputs(generator)
    head(trunk(generator(latent, condition)), condition).square().sum().backward()
    gradients = {
        name: parameter.grad
        for part, network in {"generator": generator, "trunk": trunk, "head": head}.items()
        for name, parameter in network.named_parameters(prefix=part)
    }
    # A later batch normalisation takes a constant away; nothing but attention is in between.
    idle = {name for name in gradients if name.startswith("generator.blocks") and name.endswith(".bias")}
    idle = {name for name in idle if "normalize" not in name}
    small = {name for name, gradient in gradients.items() if gradient is None or gradient.abs().max() < 1e-9}
    assert small == (idle if attention_at is None else small & idle)


@pytest.mark.parametrize("pair", PAIRS[1:])
def test_layers_are_bounded_by_one(pair: Pair) -> None:
    generator, trunk = make(pair, attention_at=8)
    head = SpectralProjectionHead(trunk.num_features, CONDITION)
    layers = [*normalised(generator).values(), *normalised(trunk).values(), *normalised(head).values()]
    assert len(normalised(trunk)) == sum(isinstance(layer, nn.Conv2d) for layer in trunk.modules())
    for layer in layers:
        layer.get_parameter("parametrizations.weight.original").data.mul_(3).add_(0.01)
        for _ in range(300):
            layer.weight  # noqa: B018  # one step of power iteration
        assert largest(layer).item() == pytest.approx(1.0, abs=1e-3)


def test_spectral_norm() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3)
    with torch.no_grad():
        layer.weight[0] *= 4  # far from the second singular value: a few steps are enough
    original = layer.weight.detach().clone()
    assert spectral(layer) is layer
    for _ in range(5):
        layer.weight  # noqa: B018
    wanted = original / torch.linalg.matrix_norm(original.flatten(1), 2)
    torch.testing.assert_close(layer.weight, wanted, rtol=1e-4, atol=0)
    steps: list[bool] = []  # on a GPU autocast would round the power iteration, on a CPU it happens not to
    (norm,) = (part for part in layer.modules() if type(part).__name__ == "_SpectralNorm")
    norm.register_forward_pre_hook(lambda *_: steps.append(torch.is_autocast_enabled("cpu")))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.weight.dtype == torch.float32
        assert steps == [False]
        torch.testing.assert_close(layer.weight, wanted, rtol=1e-6, atol=1e-7)
        assert layer(torch.randn(1, 8, 4, 4)).dtype == torch.bfloat16

    layer.weight = wanted * 7
    torch.testing.assert_close(layer.get_parameter("parametrizations.weight.original"), wanted * 7)
    torch.testing.assert_close(layer.weight, wanted, rtol=1e-4, atol=0)


def test_spectral_norm_is_copied_stored_and_still_in_evaluation() -> None:
    torch.manual_seed(0)
    layer = spectral(nn.Linear(6, 4))

    def state() -> dict[str, Tensor]:
        return {name: value.clone() for name, value in layer.state_dict().items()}

    twin, other = copy.deepcopy(layer), spectral(nn.Linear(6, 4))
    other.load_state_dict(layer.state_dict())
    image = torch.randn(2, 6)
    for _ in range(2):
        assert layer(image).equal(twin(image))
        assert not layer(image).equal(other(image))  # one step further
        other(image)
        twin(image)
        assert layer(image).equal(other(image))
        twin(image)

    layer.eval()
    before = state()
    layer(image)
    assert all(value.equal(before[name]) for name, value in state().items())
    layer.train()
    layer(image)
    assert not all(value.equal(before[name]) for name, value in state().items())
    assert layer.double()(image.double()).dtype == torch.float64


@pytest.mark.parametrize("pair", PAIRS)
def test_a_penalty_on_gradients_equals_a_numeric_gradient(pair: Pair) -> None:
    _, trunk = make(pair, attention_at=8)
    trunk.double().eval()  # power iteration would move between both measurements
    for layer in trunk.modules():
        if isinstance(layer, SelfAttention):
            layer.gamma.data.fill_(0.5)
        elif isinstance(layer, GlobalBatchNorm):
            layer.train()
    image = torch.randn(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)

    def penalty() -> Tensor:
        (gradient,) = torch.autograd.grad(trunk(image).sin().sum(), image, create_graph=True)
        return gradient.square().sum()

    parameters = list(trunk.parameters())
    directions = [torch.randn_like(parameter) for parameter in parameters]
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True)
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)

    def moved(step: float) -> Tensor:
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data.add_(direction, alpha=step)
        value = penalty().detach()
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data.sub_(direction, alpha=step)
        return value

    step = 1e-7
    assert ((moved(step) - moved(-step)) / (2 * step)).item() == pytest.approx(float(slope), rel=1e-4)


def test_conditional_batch_norm_equals_a_naive_one() -> None:
    torch.manual_seed(0)
    normalize = ConditionalBatchNorm(3, 2).double()
    assert [name for name, _ in normalize.named_parameters()] == ["gain.weight", "bias.weight"]
    for layer in (normalize.gain, normalize.bias):
        layer.get_parameter("weight").data.normal_()
    features, condition = torch.randn(4, 3, 2, 2).double(), torch.randn(4, 2).double()
    result = normalize(features, condition)
    gain, bias = normalize.gain.get_parameter("weight"), normalize.bias.get_parameter("weight")
    for channel in range(3):
        mean = features[:, channel].sum() / 16
        variance = (features[:, channel] - mean).square().sum() / 16
        for image in range(4):
            one = 1 + sum(gain[channel, i] * condition[image, i] for i in range(2))
            two = sum(bias[channel, i] * condition[image, i] for i in range(2))
            wanted = one * (features[image, channel] - mean) / (variance + 1e-5).sqrt() + two
            torch.testing.assert_close(result[image, channel], wanted)
        torch.testing.assert_close(normalize.running_mean[channel], 0.1 * mean)
        torch.testing.assert_close(normalize.running_var[channel], 0.9 + 0.1 * variance * 16 / 15)

    with torch.no_grad():
        still = copy.deepcopy(normalize).eval()(features, condition)
        centred = (features - normalize.running_mean.view(1, 3, 1, 1)) / (normalize.running_var + 1e-5).sqrt().view(
            1, 3, 1, 1
        )
        wanted = (1 + condition @ gain.T)[:, :, None, None] * centred + (condition @ bias.T)[:, :, None, None]
    torch.testing.assert_close(still, wanted)
    leaves = features.requires_grad_(), condition.requires_grad_()
    assert torch.autograd.gradcheck(normalize, leaves)
    assert torch.autograd.gradgradcheck(normalize, leaves)
    assert mixes_samples(normalize)


def test_attention_changes_nothing_at_first_and_equals_a_naive_one_later() -> None:
    torch.manual_seed(0)
    attend = SelfAttention(16).double()
    features = torch.randn(2, 16, 4, 6).double()
    assert attend(features).equal(features)

    attend.gamma.data.fill_(0.7)
    result = attend(features)

    def at(layer: nn.Module, maps: Tensor) -> Tensor:
        return torch.einsum("oc,nchw->nohw", layer.get_parameter("weight").flatten(1), maps)

    theta = at(attend.theta, features)
    phi, g = (max_pool2d(at(layer, features), 2).flatten(2) for layer in (attend.phi, attend.g))
    for row in range(4):
        for column in range(6):
            likeness = torch.einsum("nc,ncp->np", theta[:, :, row, column], phi).exp()
            seen = torch.einsum("np,ncp->nc", likeness / likeness.sum(1, keepdim=True), g)
            added = seen @ attend.o.get_parameter("weight").flatten(1).T
            wanted = features[:, :, row, column] + 0.7 * added
            torch.testing.assert_close(result[:, :, row, column], wanted)


def test_attention_is_where_it_was_asked_for() -> None:
    spec = DataSpec(32, 3)
    for network in (SNGANGenerator(spec, 0, width=4, attention_at=16), BigGANTrunk(spec, width=1, attention_at=16)):
        sizes: list[torch.Size] = []
        (attend,) = (layer for layer in network.modules() if isinstance(layer, SelfAttention))
        attend.register_forward_hook(lambda layer, given, result, sizes=sizes: sizes.append(result.shape[2:]))
        network(*(inputs(network, 2, 0) if isinstance(network, Generator) else [torch.randn(2, 3, 32, 32)]))
        assert sizes == [(16, 16)]
    for attention_at, wanted in ((None, 1), (0, 0)):
        published = BigGANGenerator(DataSpec(128, 3), 0, width=1, attention_at=attention_at)
        assert sum(isinstance(layer, SelfAttention) for layer in published.modules()) == wanted
    with pytest.raises(UserError, match="attention_at is 64, but the features of this network have 8, 16, 32"):
        SNGANGenerator(spec, 0, width=4, attention_at=64)


def test_blocks_equal_their_layers_in_the_order_of_the_paper() -> None:
    torch.manual_seed(0)
    features, condition = torch.randn(2, 3, 4, 4).double(), torch.zeros(2, 0).double()
    grow = GeneratorBlock(3, 5, UnconditionalBatchNorm, unchanged, unchanged).double()

    def double(maps: Tensor) -> Tensor:
        return maps.repeat_interleave(2, 2).repeat_interleave(2, 3)

    hidden = grow.grow(double(relu(grow.normalize_input(features, condition))))
    hidden = grow.refine(relu(grow.normalize_hidden(hidden, condition)))
    torch.testing.assert_close(grow(features, condition), hidden + grow.shortcut(double(features)))
    assert double(features).equal(interpolate(features, scale_factor=2.0))

    for halves, reads_image in ((True, True), (True, False), (False, False)):
        shrink = DiscriminatorBlock(3, 5, 4, unchanged, unchanged, halves, reads_image).double()
        hidden = shrink.second(relu(shrink.first(features if reads_image else relu(features))))
        whole = hidden + shrink.shortcut(features)
        torch.testing.assert_close(shrink(features), avg_pool2d(whole, 2) if halves else whole)
    same = DiscriminatorBlock(3, 3, 3, unchanged, unchanged, False, False)
    assert isinstance(same.shortcut, nn.Identity)


@pytest.mark.parametrize("pair", PAIRS[1:])
def test_features_are_sums_over_places(pair: Pair) -> None:
    _, trunk = make(pair)
    maps: list[Tensor] = []
    trunk.blocks[-1].register_forward_hook(lambda layer, given, result: maps.append(result))
    features = trunk(torch.randn(2, 3, 16, 16))
    assert maps[0].shape[2:] == (4, 4)
    torch.testing.assert_close(features, maps[0].clamp(min=0).flatten(2).sum(2))


@pytest.mark.parametrize("pair", PAIRS)
def test_evaluation_judges_each_image_by_itself(pair: Pair) -> None:
    networks = make(pair, attention_at=8)
    generator, trunk = (network.double() for network in networks)
    latent, condition = inputs(generator)
    trunk(generator(latent, condition))  # running averages and singular vectors move once
    generator.eval()
    trunk.eval()
    with torch.inference_mode():
        together = trunk(generator(latent, condition))
        alone = torch.cat([trunk(generator(latent[i : i + 1], condition[i : i + 1])) for i in range(len(latent))])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_layout_in_memory_changes_nothing(pair: Pair) -> None:
    def play(layout: torch.memory_format) -> list[Tensor]:
        generator, trunk = (network.double().to(memory_format=layout) for network in make(pair, attention_at=8))
        image = generator(*inputs(generator))
        features = trunk(image.contiguous(memory_format=layout))
        features.square().sum().backward()
        parameters = [*generator.parameters(), *trunk.parameters()]
        return [image, features, *(p.grad for p in parameters if p.grad is not None)]

    for one, other in zip(play(torch.contiguous_format), play(torch.channels_last), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("pair", PAIRS)
def test_mixed_precision_is_near_full_precision(pair: Pair) -> None:
    def play(enabled: bool) -> tuple[Tensor, Tensor]:
        generator, trunk = make(pair, attention_at=8)
        latent, condition = inputs(generator, 8)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            image = generator(latent, condition)
            features = trunk(image)
        features.float().square().mean().backward()
        gradients = [parameter.grad for parameter in trunk.parameters() if parameter.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
        return image.detach().float(), features.detach().float()

    for one, other in zip(play(True), play(False), strict=True):
        assert (one - other).norm() < 0.05 * other.norm()


def test_spectral_heads() -> None:
    torch.manual_seed(0)
    features, condition = torch.randn(4, 6).double(), torch.randn(4, 3).double()
    head = SpectralProjectionHead(6, 3).double().eval()
    judge, project = head.head.judge, head.head.project
    for layer in (judge, project):
        assert largest(layer).item() == pytest.approx(1.0, abs=1e-2)
    judge.bias.data.fill_(0.3)
    unit = condition / condition.norm(dim=1, keepdim=True)
    wanted = features @ judge.weight[0] + 0.3 + torch.einsum("nf,fc,nc->n", features, project.weight, unit)
    bound = features.norm(dim=1) + (features @ judge.weight[0]).abs() + 0.3
    assert (head(features, 100 * condition).abs() <= bound + 1e-6).all()  # long conditions say no more
    torch.testing.assert_close(head(features, condition), wanted)

    plain = SpectralUnconditionalHead(6, 3).double().eval()
    assert plain.head.judge.weight.norm().item() == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(plain(features, condition), features @ plain.head.judge.weight[0])
    assert SpectralProjectionHead.reads_condition and not SpectralUnconditionalHead.reads_condition
    with pytest.raises(UserError, match="SpectralUnconditionalHead"):
        SpectralProjectionHead(6, 0)


def test_a_latent_that_cannot_be_cut_is_refused() -> None:
    assert BigGANGenerator(DataSpec(32, 3), 0, width=1).latent_dim == 80
    with pytest.raises(UserError, match=r"latent_dim is 50, .* 4 equal parts; use a multiple of 4"):
        BigGANGenerator(DataSpec(32, 3), 0, latent_dim=50, width=1)


def test_dcgan_without_normalisation_judges_each_image_by_itself() -> None:
    trunk = DCGANTrunk(DataSpec(16, 3), width=4, normalization=None)
    image = torch.randn(3, 3, 16, 16)
    assert not mixes_samples(trunk)
    torch.testing.assert_close(trunk(image), torch.cat([trunk(one[None]) for one in image]))
    assert all(layer.bias is not None for layer in trunk.shrink)
