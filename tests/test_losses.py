from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lightning_mtgan import vital_signs
from lightning_mtgan.losses import (
    AdversarialLoss,
    Hinge,
    NonSaturating,
    RelativisticPairing,
    data_to_data_cross_entropy,
    squared_gradient_norms,
)

REAL, FAKE = torch.tensor([1.0, -0.5]), torch.tensor([0.25, 2.0])


def sp(t: float) -> float:
    return math.log1p(math.exp(t))


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (RelativisticPairing(), (sp(-0.75) + sp(2.5)) / 2, (sp(0.75) + sp(-2.5)) / 2),
        (NonSaturating(), (sp(-1) + sp(0.5)) / 2 + (sp(0.25) + sp(2)) / 2, (sp(-0.25) + sp(-2)) / 2),
        (Hinge(), (0 + 1.5) / 2 + (1.25 + 3) / 2, -(0.25 + 2) / 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AdversarialLoss) else "",
)
def test_values_by_hand(loss: AdversarialLoss, discriminator: float, generator: float) -> None:
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("loss", [RelativisticPairing(), NonSaturating(), Hinge()])
def test_players_pull_the_fake_logit_in_opposite_directions(loss: AdversarialLoss) -> None:
    fake = torch.zeros(4, requires_grad=True)
    real = torch.zeros(4)
    (down,) = torch.autograd.grad(loss.discriminator(real, fake), fake)
    (up,) = torch.autograd.grad(loss.generator(real, fake), fake)
    assert (down > 0).all()
    assert (up < 0).all()


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
    assert vital_signs.sign_of_real(logits, torch.full((4,), 1.5), compares=False).tolist() == [0.5, 1.0]
    assert vital_signs.sign_of_real(logits, torch.full((4,), 1.5), compares=True).tolist() == [0.0, 1.0]
