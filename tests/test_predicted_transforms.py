"""PredictedTransforms: neutral at first, within range always, and learned by gradients."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import interpolate

from lightning_mtgan.corruptions import Damaged, Denoising
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTS4GAN
from lightning_mtgan.losses import NonSaturating
from lightning_mtgan.networks import ConvEncoder, PatchTrunk, filled
from lightning_mtgan.networks.predicted_transforms import PredictedTransforms
from lightning_mtgan.transforms import Adjustable, Contrast, Gamma, Saturation, UnsharpMask, WhiteBalance
from lightning_mtgan.types import DataSpec

ORDER: Sequence[type[Adjustable]] = (Gamma, Contrast, WhiteBalance, Saturation, UnsharpMask)


def network(channels: int = 3, dim: int = 4, scale: float = 0.0, **arguments: object) -> PredictedTransforms:
    torch.manual_seed(0)
    made = PredictedTransforms(DataSpec(16, channels), dim, width=4, **arguments)  # type: ignore[arg-type]
    if scale:
        torch.nn.init.normal_(made.head.last.weight, std=scale)
        torch.nn.init.constant_(made.head.last.bias, 0.5)  # away from the end of WhiteBalance that changes nothing
    return made


def images(*shape: int, seed: int = 0) -> Tensor:
    """Smooth, from black to white."""
    coarse = torch.rand(*shape[:2], 4, 5, generator=torch.Generator().manual_seed(seed)) * 1.9 - 0.95
    return interpolate(coarse, shape[2:], mode="bilinear", align_corners=True)


def nothing(image: Tensor) -> Tensor:
    return image.new_zeros(len(image), 1, *image.shape[2:])


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 1, 5, 7), (1, 3, 1, 1), (1, 3, 90, 130)])
def test_at_first_it_changes_nothing(shape: tuple[int, ...]) -> None:
    image = images(*shape)
    made = network(shape[1])(image, nothing(image), torch.randn(shape[0], 4))
    torch.testing.assert_close(made, image, rtol=0, atol=2e-6)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_transforms_by_predicted_amounts_in_their_order(scale: float) -> None:
    image, condition, net = images(6, 3, 12, 13), torch.randn(6, 4), network(scale=scale)
    amounts, made = net.amounts(image, condition), image
    for kind, amount in zip(ORDER, amounts.unbind(1), strict=True):
        assert amount.amin() >= kind.least and amount.amax() <= kind.most and (amount.std() > 0 or scale > 1)
        made = torch.cat([kind(float(one))(row[None]) for row, one in zip(made, amount, strict=True)])
    torch.testing.assert_close(net(image, nothing(image), condition), made)
    assert (made - image).abs().amax() > 0.1


def test_images_and_conditions_matter_each_to_its_own() -> None:
    image, condition, net = images(3, 3, 12, 13), torch.randn(3, 4), network(scale=0.1)
    whole = net(image, nothing(image), condition)
    torch.testing.assert_close(net(image[1:2], nothing(image[1:2]), condition[1:2]), whole[1:2])
    same = image[:1].expand(3, -1, -1, -1)
    by_condition = net.amounts(same, condition)
    by_image = net.amounts(image, condition[:1].expand(3, -1))
    assert by_condition.std(0).amin() > 0.001 and by_image.std(0).amin() > 0.001
    assert network(dim=0, scale=0.3).amounts(image, condition[:, :0]).shape == (3, 5)


@pytest.mark.parametrize("factor", [2, 5])
def test_amounts_hardly_depend_on_the_size(factor: int) -> None:
    image, condition, net = images(2, 3, 48, 64), torch.randn(2, 4), network(scale=0.3)
    large = image.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    torch.testing.assert_close(net.amounts(large, condition), net.amounts(image, condition))
    smooth = interpolate(image, scale_factor=factor, mode="bilinear")
    torch.testing.assert_close(net.amounts(smooth, condition), net.amounts(image, condition), rtol=0, atol=0.02)


def test_known_pixels_stay_and_holes_are_filled_first() -> None:
    image, condition, net = images(2, 3, 12, 13), torch.randn(2, 4), network(scale=1.0)
    known = torch.ones(2, 1, 12, 13)
    known[:, :, 3:8, 2:9] = 0
    made, base = net(image * known, known, condition), filled(image * known, known)
    is_known = known.expand_as(image) >= 1
    assert torch.equal(made[is_known], image[is_known]) and not torch.allclose(made, base, atol=0.01)
    assert torch.equal(net(image * known, known, condition, base), made)
    assert torch.allclose(network()(image * known, known, condition), base, atol=2e-6)


def test_gradients_against_finite_differences() -> None:
    net = network(dim=1, scale=0.1, transforms=[Gamma(), UnsharpMask()]).double()
    torch.nn.init.zeros_(net.head.last.bias)
    image = (0.3 * images(2, 3, 3, 4) - 0.2).double()
    condition = torch.randn(2, 1, dtype=torch.float64, requires_grad=True)
    assert (net(image, nothing(image), condition).abs() < 0.99).all()

    def changed(condition: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(net, {"head.last.bias": bias}, (image, nothing(image), condition))

    assert gradcheck(changed, (condition, net.head.last.bias))


@pytest.mark.parametrize("start", [-0.5, 3.0])
def test_an_amount_comes_back_from_beyond_its_ends(start: float) -> None:
    net = network(transforms=[WhiteBalance()])
    torch.nn.init.constant_(net.head.last.bias, start)
    image, condition = images(2, 3, 4, 5) * torch.tensor([0.5, 0.7, 0.4])[:, None, None] - 0.2, torch.zeros(2, 4)
    truth = WhiteBalance(0.8)(image)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(50):
        optimizer.zero_grad()
        (net(image, nothing(image), condition) - truth).square().mean().mul(100).backward()
        optimizer.step()
    torch.testing.assert_close(net.amounts(image, condition), torch.full((2, 1), 0.8), rtol=0, atol=0.1)


def test_beyond_an_end_no_gradient_leads_further() -> None:
    net = network(transforms=[WhiteBalance()])
    for start, sign in ((-0.5, 1.0), (5.0, -1.0)):
        torch.nn.init.constant_(net.head.last.bias, start)
        for wanted, passes in ((sign, False), (-sign, True)):
            net.zero_grad()
            (wanted * net.amounts(images(2, 3, 8, 8), torch.zeros(2, 4))).sum().backward()
            assert net.head.last.bias.grad is not None and bool(net.head.last.bias.grad.any()) == passes


def game(**changes: object) -> MTS4GAN:
    torch.manual_seed(0)
    parts: dict[str, object] = {
        "spec": DataSpec(16, 3),
        "corruptions": [Denoising()],
        "generator": lambda spec, dim, encoder: PredictedTransforms(spec, dim, encoder, width=4),
        "trunk": lambda spec: PatchTrunk(spec, width=4, num_features=8),
        "adversarial": NonSaturating(),
        "embedding_dim": 4,
    }
    return MTS4GAN(**{**parts, **changes})  # type: ignore[arg-type]


def test_a_game_trains_it() -> None:
    one = game()
    one.check()
    image = images(4, 3, 16, 16)
    for phase in one.phases():
        losses = phase.losses({"image": image, "targets": {}, "draws": Draws(1)}).losses
        torch.stack(list(losses.values())).sum().backward()
    last = one.generator.head.last  # type: ignore[union-attr]
    assert last.weight.grad is not None and (last.weight.grad.abs().amax(1) > 0).all()
    restored = one.restore(Damaged(image, nothing(image)), ["denoising"] * 4)
    assert restored.shape == image.shape and one.generator.margin is None and one.generator.encoder is None


def test_wrong_arguments() -> None:
    with pytest.raises(UserError, match=r"PredictedTransforms has no encoder to share; set model.game.shares_encoder"):
        game(shares_encoder=True)
    with pytest.raises(UserError, match="no encoder to share"):
        PredictedTransforms(DataSpec(16, 3), 4, ConvEncoder(4))
    with pytest.raises(UserError, match=r"model.game.generator.transforms is empty"):
        network(transforms=[])
