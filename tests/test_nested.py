"""Networks that enhance and recognise: one behind the other, or side by side."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks import ConvTrunk, StructuredTrunk, UNet
from lightning_mtgan.networks.joint_network import JointNetwork
from lightning_mtgan.networks.nested import Nested
from lightning_mtgan.networks.nested_network import NestedNetwork
from lightning_mtgan.networks.parallel_network import ParallelNetwork
from lightning_mtgan.networks.sharing import MTAN, CrossStitch, HardSharing, Separate, SoftSharing
from lightning_mtgan.types import DataSpec

SPEC = DataSpec(8, 1)
NETWORKS = {
    "nested": lambda: nested(),
    "gradient stopped": lambda: nested(passes_gradient=False),
    "hard sharing": lambda: parallel(HardSharing),
    "cross-stitch": lambda: parallel(CrossStitch),
    "attention": lambda: parallel(MTAN),
}


def lively(network: nn.Module) -> nn.Module:
    """What starts at zero hides what stands before it."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network


def nested(passes_gradient: bool = True) -> NestedNetwork:
    torch.manual_seed(0)
    network = NestedNetwork(
        SPEC,
        3,
        lambda spec, dim, encoder: UNet(spec, dim, encoder, width=4, num_halvings=1, num_blocks=1),
        lambda spec: ConvTrunk(spec, width=4, num_features=6),
        passes_gradient,
    )
    return lively(network)  # type: ignore[return-value]


def parallel(sharing: type, is_lively: bool = True) -> ParallelNetwork:
    torch.manual_seed(0)
    network = ParallelNetwork(SPEC, 3, sharing, width=4, num_features=6, num_halvings=2, num_blocks=1)
    return lively(network) if is_lively else network  # type: ignore[return-value]


@pytest.fixture(params=NETWORKS, name="network")
def _network(request: pytest.FixtureRequest) -> JointNetwork:
    return NETWORKS[request.param]()


def given(height: int = 8, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Images with some known pixels, which of them, and conditions."""
    generator = torch.Generator().manual_seed(1)
    image = 2 * torch.rand(5, 1, height, width, generator=generator) - 1
    known = (torch.rand(5, 1, height, width, generator=generator) < 0.3).float()
    return image * known, known, torch.randn(5, 3, generator=generator)


def test_the_second_network_reads_what_the_first_one_makes() -> None:
    double, square = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        double.weight.fill_(2.0)
        square.weight.fill_(5.0)
    for passes, reaches in ((True, 3.0 * 5.0), (False, None)):
        value = torch.full((1, 1), 3.0)
        made, read = Nested(double, square, passes)(value)
        assert made.item() == 6 and read.item() == 30
        (of_first,) = grad(read.sum(), [double.weight], allow_unused=True, retain_graph=True)
        assert (of_first.item() if of_first is not None else None) == reaches
        (of_second,) = grad(read.sum(), [square.weight])
        assert of_second.item() == 6
        (own,) = grad(made.sum(), [double.weight])
        assert own.item() == 3


def test_features_are_those_of_the_enhanced_image() -> None:
    network, (image, known, condition) = nested(), given()
    restored, features = network(image, known, condition)
    enhancer, recogniser = network.nested.first, network.nested.second
    assert torch.equal(restored, enhancer(image, known, condition))
    assert torch.equal(features, recogniser(restored))


@pytest.mark.parametrize("passes", [True, False])
def test_the_tasks_teach_the_enhancer_if_they_may(passes: bool) -> None:
    network = nested(passes)
    assert network.has_pivot == passes
    _, features = network(*given())
    parameters = list(network.nested.first.parameters())
    found = grad(features.square().sum(), parameters, allow_unused=True)
    assert all((one is not None) == passes for one in found)
    assert not passes or all(bool(one.any()) for one in found)


def test_shapes_and_the_image_alone(network: JointNetwork) -> None:
    restored, features = network(*given())
    assert restored.shape == (5, 1, 8, 8) and features.shape == (5, network.num_features) == (5, 6)
    assert torch.equal(network.enhance(*given()), restored)


def test_images_of_any_size_keep_what_is_known(network: JointNetwork) -> None:
    image, known, condition = given(7, 13)
    restored = network.enhance(image, known, condition)
    assert restored.shape == image.shape
    assert torch.equal(restored * known, image) and not torch.equal(restored * (1 - known), image)


def test_a_given_base_stands_for_filled_holes(network: JointNetwork) -> None:
    image, known, condition = given()
    base = torch.full_like(image, 0.5)
    assert not torch.equal(network.enhance(image, known, condition, base), network.enhance(image, known, condition))
    assert torch.equal(network(image, known, condition, base)[0], network.enhance(image, known, condition, base))


def test_images_do_not_depend_on_each_other(network: JointNetwork) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    whole, turned = network(*given()), network(*(one[order] for one in given()))
    for one, other in zip(whole, turned, strict=True):
        torch.testing.assert_close(one[order], other)


def test_what_to_restore_is_told(network: JointNetwork) -> None:
    image, known, condition = given()
    assert not torch.equal(network.enhance(image, known, condition), network.enhance(image, known, -condition))


def test_side_by_side_nothing_is_added_at_first() -> None:
    image, known, condition = given()
    base = torch.full_like(image, 0.5)
    restored = parallel(HardSharing, is_lively=False).enhance(image, known, condition, base)
    assert torch.equal(restored, torch.where(known >= 1, image, base))


@pytest.mark.parametrize(("sharing", "columns"), [(HardSharing, 1), (Separate, 2)])
def test_side_by_side_share_the_encoder_or_not(sharing: type, columns: int) -> None:
    network = parallel(sharing)
    encoder = list(network.sharing.parameters())
    restored, features = network(*given())
    by_task = grad(features.square().sum(), encoder, allow_unused=True, retain_graph=True)
    by_error = grad(restored.square().sum(), encoder, allow_unused=True)
    reached = [
        (one is not None and bool(one.any()), other is not None and bool(other.any()))
        for one, other in zip(by_task, by_error, strict=True)
    ]
    if columns == 1:
        assert all(one and other for one, other in reached)
    else:
        assert all(one != other for one, other in reached)
        assert sum(one for one, _ in reached) == sum(other for _, other in reached)
    assert len(encoder) == columns * len(list(parallel(HardSharing).sharing.parameters()))


def test_penalties_are_those_of_the_structure() -> None:
    network = parallel(SoftSharing)
    assert network.penalties().keys() == network.sharing.penalties().keys() == {"soft_sharing"}
    assert parallel(HardSharing).penalties() == nested().penalties() == {}


def test_copies_are_their_own(network: JointNetwork) -> None:
    twin = copy.deepcopy(network)
    before = network(*given())
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter += 0.1
    assert all(torch.equal(one, other) for one, other in zip(before, network(*given()), strict=True))
    assert not torch.equal(twin(*given())[0], before[0])


@pytest.mark.parametrize(
    ("name", "number", "least"),
    [("width", 0, 1), ("num_features", 0, 1), ("num_halvings", -1, 0), ("num_blocks", -1, 0)],
)
def test_numbers_out_of_range_are_one_sentence(name: str, number: int, least: int) -> None:
    with pytest.raises(UserError, match=rf"model\.game\.network\.{name} is {number}; use {least} or more"):
        ParallelNetwork(SPEC, 3, HardSharing, **{name: number})
    ParallelNetwork(SPEC, 3, HardSharing, **{"width": 2, name: least})


def test_a_recogniser_has_no_branches() -> None:
    with pytest.raises(UserError, match=r"recogniser is StructuredTrunk, whose branches .* use .*ConvTrunk"):
        NestedNetwork(SPEC, 3, UNet, lambda spec: StructuredTrunk(spec, HardSharing, width=4))
