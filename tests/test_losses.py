from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lightning_mtgan import vital_signs
from lightning_mtgan.losses import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    Wasserstein,
    data_to_data_cross_entropy,
    squared_gradient_norms,
)

LOSSES: list[AdversarialLoss] = [
    Hinge(),
    LeastSquares(),
    Minimax(),
    NonSaturating(),
    RelativisticAverage(),
    RelativisticAverageLeastSquares(),
    RelativisticPairing(),
    Wasserstein(),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
REAL, FAKE = torch.tensor([1.0, -0.5]), torch.tensor([0.25, 2.0])


def sp(t: float) -> float:
    return math.log1p(math.exp(t))


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (RelativisticPairing(), (sp(-0.75) + sp(2.5)) / 2, (sp(0.75) + sp(-2.5)) / 2),
        (NonSaturating(), (sp(-1) + sp(0.5)) / 2 + (sp(0.25) + sp(2)) / 2, (sp(-0.25) + sp(-2)) / 2),
        (Minimax(), (sp(-1) + sp(0.5)) / 2 + (sp(0.25) + sp(2)) / 2, -(sp(0.25) + sp(2)) / 2),
        (Hinge(), (0 + 1.5) / 2 + (1.25 + 3) / 2, -(0.25 + 2) / 2),
        (LeastSquares(), (0 + 1.5**2) / 4 + (0.25**2 + 2**2) / 4, (0.75**2 + 1**2) / 4),
        (Wasserstein(), 1.125 - 0.25, -1.125),
        (
            RelativisticAverage(),
            (sp(1.125 - 1) + sp(1.125 + 0.5)) / 2 + (sp(0.25 - 0.25) + sp(2 - 0.25)) / 2,
            (sp(0.25 - 0.25) + sp(0.25 - 2)) / 2 + (sp(1 - 1.125) + sp(-0.5 - 1.125)) / 2,
        ),
        (
            RelativisticAverageLeastSquares(),
            ((1 - 1.125 - 1) ** 2 + (-0.5 - 1.125 - 1) ** 2) / 2 + (0**2 + 1.75**2) / 2,
            ((0 - 1) ** 2 + (1.75 - 1) ** 2) / 2 + ((1 - 1.125) ** 2 + (-0.5 - 1.125) ** 2) / 2,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AdversarialLoss) else "",
)
def test_values_by_hand(loss: AdversarialLoss, discriminator: float, generator: float) -> None:
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(generator, rel=1e-6)


@every_loss
def test_players_pull_the_fake_logit_in_opposite_directions(loss: AdversarialLoss) -> None:
    fake = torch.full((4,), 0.25, requires_grad=True)
    real = torch.full((4,), 0.25)
    (down,) = torch.autograd.grad(loss.discriminator(real, fake), fake)
    (up,) = torch.autograd.grad(loss.generator(real, fake), fake)
    assert (down > 0).all()
    assert (up < 0).all()


@every_loss
def test_gradients_equal_numeric_ones(loss: AdversarialLoss) -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 5, generator=generator, dtype=torch.float64).mul(2).requires_grad_(True).unbind()
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (real, fake))
    if not isinstance(loss, Hinge | Wasserstein):  # they are linear almost everywhere
        assert torch.autograd.gradgradcheck(loss.discriminator, (real, fake))


@every_loss
def test_only_those_that_compare_read_real_logits_for_the_generator(loss: AdversarialLoss) -> None:
    one, other = loss.generator(REAL, FAKE), loss.generator(REAL + torch.tensor([0.0, 1.0]), FAKE)
    assert (one != other) == loss.compares_with_real
    if not loss.compares_with_real:
        assert loss.generator(None, FAKE) == one


@every_loss
def test_half_precision_is_near_and_double_stays_double(loss: AdversarialLoss) -> None:
    for side in (loss.discriminator, loss.generator):
        exact = side(REAL.double(), FAKE.double())
        assert exact.dtype == torch.float64
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert float(side(REAL.bfloat16(), FAKE.bfloat16())) == pytest.approx(float(exact), rel=0.02)


UNDECIDED: dict[type[AdversarialLoss], float] = {LeastSquares: 0.5}
"""The logit of a discriminator that cannot tell; 0 for all others, and any logit would do for some."""


@every_loss
@pytest.mark.parametrize("is_optimal", [True, False])
def test_a_constant_discriminator_of_equal_distributions_is_an_equilibrium(
    loss: AdversarialLoss, is_optimal: bool
) -> None:
    """Where the generator is perfect and the discriminator undecided, neither player has anything to gain."""
    undecided = UNDECIDED.get(type(loss), 0.0) + (0.0 if is_optimal else 2.0)
    weight = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    bias = torch.full((), undecided, dtype=torch.float64, requires_grad=True)
    image = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fake_image = image.clone().requires_grad_(True)
    real, fake = image @ weight + bias, fake_image @ weight + bias
    (taught,) = torch.autograd.grad(loss.generator(real, fake), fake_image, retain_graph=True)
    assert (taught == 0).all()  # exactly: what does not look at the image teaches nothing
    gradients = torch.autograd.grad(loss.discriminator(real, fake), (weight, bias))
    is_still = all(bool(gradient.abs().max() < 1e-12) for gradient in gradients)
    any_logit_will_do = loss.compares_with_real or isinstance(loss, Wasserstein)
    assert is_still == (is_optimal or any_logit_will_do)


P, Q = torch.tensor([0.5, 0.25, 0.25, 0.0]), torch.tensor([0.125, 0.25, 0.5, 0.125])
"""Real and generated images that can only be one of four."""


def kl(p: Tensor, q: Tensor) -> float:
    return float(torch.xlogy(p, p / q).nansum())


@pytest.mark.parametrize(
    ("loss", "best", "value"),
    [  # what the papers prove of the best discriminator
        (Minimax(), (P / Q).log().clamp(min=-40), 2 * math.log(2) - kl(P, (P + Q) / 2) - kl(Q, (P + Q) / 2)),
        (NonSaturating(), (P / Q).log().clamp(min=-40), 2 * math.log(2) - kl(P, (P + Q) / 2) - kl(Q, (P + Q) / 2)),
        (LeastSquares(), P / (P + Q), float((P * Q / (P + Q)).sum() / 2)),
        (Hinge(), (P - Q).sign(), 2 * float(torch.minimum(P, Q).sum())),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AdversarialLoss) else "",
)
def test_the_best_discriminator_is_that_of_the_theory(loss: AdversarialLoss, best: Tensor, value: float) -> None:
    real, fake = (torch.arange(4).repeat_interleave((8 * p).long()) for p in (P, Q))
    logits = best.double()
    lowest = loss.discriminator(logits[real], logits[fake])
    assert lowest.item() == pytest.approx(value, rel=1e-6)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        other = logits + torch.randn(logits.shape, generator=generator, dtype=torch.float64)
        assert loss.discriminator(other[real], other[fake]) >= lowest - 1e-9


def test_least_squares_of_differences_are_best_at_half_a_unit_and_no_spread() -> None:
    real, fake = torch.full((3,), 3.5, requires_grad=True), torch.full((3,), 3.0, requires_grad=True)
    loss = RelativisticAverageLeastSquares().discriminator(real, fake)
    assert loss == 0.5
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(loss, (real, fake)))


def test_minimax_and_non_saturating_pull_alike_and_differ_where_the_discriminator_is_sure() -> None:
    fake = torch.linspace(-6, 6, 7, dtype=torch.float64, requires_grad=True)
    losses = [loss.generator(None, fake) for loss in (Minimax(), NonSaturating())]
    saturating, other = (torch.autograd.grad(loss, fake)[0] for loss in losses)
    assert (saturating < 0).all() and (other < 0).all()
    assert torch.allclose(other / saturating, torch.sigmoid(-fake) / torch.sigmoid(fake))


@pytest.mark.parametrize("loss", [Minimax(), Wasserstein()], ids=lambda loss: type(loss).__name__)
def test_what_one_player_wins_the_other_loses(loss: AdversarialLoss) -> None:
    fake = FAKE.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss.discriminator(REAL, fake) + loss.generator(REAL, fake), fake)
    assert (gradient == 0).all()


@every_loss
def test_who_compares_does_not_see_a_constant_added_to_all_logits(loss: AdversarialLoss) -> None:
    shift = 2.0  # adds without rounding
    same = loss.discriminator(REAL + shift, FAKE + shift) == loss.discriminator(REAL, FAKE)
    assert same == (loss.compares_with_real or isinstance(loss, Wasserstein))
    if loss.compares_with_real:
        assert loss.generator(REAL + shift, FAKE + shift) == loss.generator(REAL, FAKE)
    if isinstance(loss, Wasserstein):  # its value moves, its gradient does not
        assert loss.generator(None, FAKE + shift) == loss.generator(None, FAKE) - shift


def test_targets_of_one_and_minus_one_are_another_unit_of_the_same_loss() -> None:
    """RaLSGAN with the targets of Jolicoeur-Martineau (1, -1) equals that of EnlightenGAN (1, 0) at half the logits."""
    loss = RelativisticAverageLeastSquares()

    def with_symmetric_targets(one: Tensor, other: Tensor) -> Tensor:
        return (one - other.mean() - 1).square().mean() + (other - one.mean() + 1).square().mean()

    sides: list[tuple[Callable[..., Tensor], Tensor]] = [
        (loss.discriminator, with_symmetric_targets(REAL, FAKE)),
        (loss.generator, with_symmetric_targets(FAKE, REAL)),
    ]
    for side, expected in sides:
        assert 4 * side(REAL / 2, FAKE / 2) - 2 == pytest.approx(float(expected), rel=1e-6)


def test_penalty_equals_a_numeric_gradient() -> None:
    torch.manual_seed(0)
    weight = torch.randn(12, dtype=torch.float64)

    def judge(image: Tensor) -> Tensor:
        return (image.flatten(1) @ weight).sin() + image.flatten(1).pow(3).sum(1)

    image = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    norms = squared_gradient_norms(judge(image), image)
    step = 1e-6
    for index in range(2):
        total = 0.0
        for place in range(12):
            shift = torch.zeros(12, dtype=torch.float64)
            shift[place] = step
            shift = shift.view(1, 3, 2, 2)
            one = image[index : index + 1].detach()
            total += ((judge(one + shift) - judge(one - shift)) / (2 * step)).item() ** 2
        assert norms[index].item() == pytest.approx(total / 2, rel=1e-6)
    assert norms.requires_grad


def test_data_to_data_cross_entropy_equals_a_naive_reference() -> None:
    torch.manual_seed(0)
    f = normalize(torch.randn(6, 5), dim=1)
    v = normalize(torch.randn(3, 5), dim=1)
    y = torch.tensor([0, 1, 2, 0, 1, 1])
    margin, temperature = 0.9, 0.5
    total = 0.0
    for i in range(6):
        up = math.exp(min(float(f[i] @ v[y[i]]) - margin, 0) / temperature)
        down = sum(math.exp(max(float(f[i] @ f[j]) - (1 - margin), 0) / temperature) for j in range(6) if y[j] != y[i])
        total += -math.log(up / (up + down))
    assert data_to_data_cross_entropy(f, v, y, margin, temperature).item() == pytest.approx(total / 6, rel=1e-5)


def test_vital_signs_by_hand() -> None:
    torch.manual_seed(0)
    real, fake, condition = torch.randn(12, 4), torch.randn(12, 4) * 0.5, torch.randint(3, (12,))
    sums = vital_signs.distance_within(real, fake, condition)
    for rows, total in ((fake, sums[0]), (real, sums[1])):
        naive = sum(
            float((rows[i] - rows[j]).norm()) for i in range(12) for j in range(i) if condition[i] == condition[j]
        )
        assert float(total) == pytest.approx(naive, rel=1e-4)
    assert vital_signs.margin(real[:, 0], fake[:, 0])[0] == pytest.approx(float((real - fake)[:, 0].mean()), rel=1e-5)
    logits = torch.tensor([1.0, 2.0, -1.0, 3.0])
    fake = torch.full((4,), 1.5)
    for loss, expected in ((Hinge(), 0.5), (RelativisticPairing(), 0.0), (Wasserstein(), 0.0), (LeastSquares(), 0.5)):
        assert vital_signs.sign_of_real(loss.belief(logits, fake)).tolist() == [expected, 1.0]
    assert LeastSquares().belief(torch.tensor([0.4]), fake[:1]).item() < 0  # nearer to the target of fakes
