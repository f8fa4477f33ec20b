"""Balancers that weigh by the losses' values or their gradients' lengths, against slow references."""

from __future__ import annotations

import io
import json
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchjd import scalarization as torchjd

from lightning_mtgan import distributed
from lightning_mtgan.balancing.adaptive import AdaptiveBalancer
from lightning_mtgan.balancing.adaptive_weight import AdaptiveWeight
from lightning_mtgan.balancing.dynamic_weight_average import DynamicWeightAverage
from lightning_mtgan.balancing.famo import FAMO
from lightning_mtgan.balancing.grad_norm import GradNorm
from lightning_mtgan.balancing.hypervolume import Hypervolume
from lightning_mtgan.balancing.impartial_losses import ImpartialLosses
from lightning_mtgan.balancing.scalarized import Scalarized
from lightning_mtgan.balancing.uncertainty_weighting import UncertaintyWeighting
from lightning_mtgan.cli import main
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import Phase
from lightning_mtgan.types import Terms
from tests.conftest import SMALL, Train, farthest, weights

LAMBDAS = {"near": 1.0, "wide": 0.3, "size": 2.0, "penalty": 0.1}
GIVEN: dict[str, float | None] = {**LAMBDAS}
TRUE, FALSE = torch.tensor(True), torch.tensor(False)
Make = Callable[[], AdaptiveBalancer]


class Toy:
    """Images x = W z of 8 latents; ``near`` and ``wide`` go through x, ``size`` and ``penalty`` do not."""

    def __init__(self) -> None:
        start = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        self.parameter = nn.Parameter(start)

    def terms(self, step: int, images: slice = slice(None)) -> Terms:
        z = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(100 + step))[images]
        x = z @ self.parameter.T
        losses = {
            "near": (x - 1).square().sum(1).mean(),
            "penalty": self.parameter.abs().sum(),
            "wide": (x + torch.tensor([3.0, 0.0, -2.0])).square().sum(1).mean(),
            "size": self.parameter.square().sum() / 4,
        }
        return Terms(losses, (x,), frozenset({"penalty"}), step=step, seed=1000 + step)

    def play(self, balancer: AdaptiveBalancer, steps: range, bad: int | None = None) -> list[list[float]]:
        """Take steps, and return the factors of each."""
        seen = []
        for step in steps:
            balancer.begin()
            self.parameter.grad = None
            balancer.backward(self.terms(step), [self.parameter])
            balancer.settle(TRUE if step == bad else FALSE)
            if step != bad:
                seen.append([float(balancer.in_use[name]) / LAMBDAS[name] for name in ("near", "wide", "size")])
                self.move(self.parameter.grad)
        return seen

    def move(self, gradient: Tensor | None) -> None:
        assert gradient is not None
        with torch.no_grad():
            self.parameter.sub_(0.02 * gradient)

    def weighted(self, step: int) -> tuple[Tensor, Terms]:
        """λ_i L_i of those that are balanced, with their graph."""
        terms = self.terms(step)
        return torch.stack([terms.losses[name] * LAMBDAS[name] for name in ("near", "wide", "size")]), terms


Reference = Callable[[Toy, int], list[float]]
"""The factors of a step, by the book; it may remember."""


def adam(start: float, lr: float, decay: float = 0.0) -> tuple[Tensor, torch.optim.Adam]:
    vector = torch.full((3,), start, dtype=torch.float64, requires_grad=True)
    return vector, torch.optim.Adam([vector], lr=lr, weight_decay=decay)


def by_uncertainty() -> Reference:
    s, optimizer = adam(0.0, 0.05)

    def step(toy: Toy, number: int) -> list[float]:
        values = toy.weighted(number)[0].detach()
        found = [0.5 * math.exp(-one) for one in s.tolist()]
        optimizer.zero_grad()
        sum(0.5 * torch.exp(-one) * value + 0.5 * one for one, value in zip(s, values, strict=True)).backward()
        optimizer.step()
        return found

    return step


def by_impartiality() -> Reference:
    s, optimizer = adam(0.0, 0.05)

    def step(toy: Toy, number: int) -> list[float]:
        values = toy.weighted(number)[0].detach()
        found = [math.exp(one) for one in s.tolist()]
        optimizer.zero_grad()
        (s.exp() * values - s).sum().backward()
        optimizer.step()
        return found

    return step


def by_descent() -> Reference:
    history: list[list[float]] = []

    def step(toy: Toy, number: int) -> list[float]:
        done = len(history) // 3
        found = [1.0, 1.0, 1.0]
        if done >= 2:
            last, before = (
                [sum(row[i] for row in history[3 * k : 3 * k + 3]) / 3 for i in range(3)] for k in (done - 1, done - 2)
            )
            powers = [math.exp(one / other / 0.5) for one, other in zip(last, before, strict=True)]
            found = [3 * power / sum(powers) for power in powers]
        history.append(toy.weighted(number)[0].tolist())
        return found

    return step


def by_volume() -> Reference:
    def step(toy: Toy, number: int) -> list[float]:
        losses = toy.weighted(number)[0].detach()
        bound = 1.1 * max(losses.tolist())
        losses.requires_grad_()
        (-(bound - losses).log().sum()).backward()
        assert losses.grad is not None
        return (losses.grad * 3 / losses.grad.sum()).tolist()

    return step


def by_relative_rate() -> Reference:
    logits, optimizer = adam(0.0, 0.1, decay=0.01)
    before: list[Tensor] = []

    def step(toy: Toy, number: int) -> list[float]:
        values = toy.weighted(number)[0].detach()
        if before:
            optimizer.zero_grad()
            (logits.softmax(0) * (before[-1].log() - values.log())).sum().backward()
            optimizer.step()
        before.append(values)
        z = logits.detach().softmax(0).tolist()
        shares = [one / float(value) for one, value in zip(z, values, strict=True)]
        return [3 * share / sum(shares) for share in shares]

    return step


def lengths_at_images(toy: Toy, number: int) -> list[float]:
    """|g_i| at x of those that reach it, each by a backward pass of its own."""
    found = []
    for index in range(2):
        losses, terms = toy.weighted(number)
        found.append(float(torch.autograd.grad(losses[index], terms.pivot[0])[0].norm()))
    return found


def by_norms() -> Reference:
    w = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.05)
    first: list[float] = []

    def step(toy: Toy, number: int) -> list[float]:
        values, lengths = toy.weighted(number)[0][:2].tolist(), lengths_at_images(toy, number)
        if not first:
            first.extend(values)
        shares = [value / start for value, start in zip(values, first, strict=True)]
        mean = sum(one * length for one, length in zip(w.tolist(), lengths, strict=True)) / 2
        targets = [mean * (share / (sum(shares) / 2)) ** 1.5 for share in shares]
        found = [*w.tolist(), 1.0]
        optimizer.zero_grad()
        sum((w[i] * lengths[i] - targets[i]).abs() for i in range(2)).backward()
        optimizer.step()
        with torch.no_grad():
            w.mul_(2 / w.sum())
        return found

    return step


def by_length() -> Reference:
    def step(toy: Toy, number: int) -> list[float]:
        near, wide = lengths_at_images(toy, number)
        return [min(0.7 * wide / (near + 1e-4), 1e4), 1.0, 1.0]

    return step


def by_smooth_maximum() -> Reference:
    def step(toy: Toy, number: int) -> list[float]:
        values = toy.weighted(number)[0].tolist()
        powers = [math.exp((value - max(values)) / 3 / 0.5) for value in values]
        return [power / sum(powers) / 3 for power in powers]

    return step


def by_chance() -> Reference:
    def step(toy: Toy, number: int) -> list[float]:
        torch.manual_seed(1000 + number)
        return torch.randn(3, dtype=torch.float64).softmax(0).tolist()

    return step


def by_product() -> Reference:
    def step(toy: Toy, number: int) -> list[float]:
        values = toy.weighted(number)[0].tolist()
        return [math.prod(values) ** (1 / 3) / (3 * value) for value in values]

    return step


METHODS: dict[str, tuple[Make, Callable[[], Reference]]] = {
    "uncertainty": (lambda: UncertaintyWeighting(GIVEN, lr=0.05), by_uncertainty),
    "impartial": (lambda: ImpartialLosses(GIVEN, lr=0.05), by_impartiality),
    "average": (lambda: DynamicWeightAverage(GIVEN, interval=3, temperature=0.5), by_descent),
    "volume": (lambda: Hypervolume(GIVEN), by_volume),
    "famo": (lambda: FAMO(GIVEN, lr=0.1, decay=0.01), by_relative_rate),
    "norms": (lambda: GradNorm(GIVEN, lr=0.05), by_norms),
    "weight": (lambda: AdaptiveWeight(GIVEN, shares={"near": 0.7, "size": None}, reference="wide"), by_length),
    "smooth": (lambda: Scalarized(torchjd.STCH(0.5), GIVEN), by_smooth_maximum),
    "product": (lambda: Scalarized(torchjd.GeometricMean(), GIVEN), by_product),
    "chance": (lambda: Scalarized(torchjd.Random(), GIVEN), by_chance),
}


@pytest.fixture(params=METHODS)
def make(request: pytest.FixtureRequest) -> Make:
    return METHODS[request.param][0]


@pytest.mark.parametrize(("make_one", "reference"), METHODS.values(), ids=METHODS)
def test_factors_and_steps_are_those_of_the_book(make_one: Make, reference: Callable[[], Reference]) -> None:
    toy, slow = Toy(), Toy()
    found = toy.play(make_one(), range(12))
    by_the_book = reference()
    for step in range(12):
        factors = by_the_book(slow, step)
        assert found[step] == pytest.approx(factors, rel=1e-9), step
        slow.parameter.grad = None
        losses, terms = slow.weighted(step)
        (sum(a * loss for a, loss in zip(factors, losses, strict=True)) + 0.1 * terms.losses["penalty"]).backward()
        slow.move(slow.parameter.grad)
    torch.testing.assert_close(toy.parameter, slow.parameter, rtol=1e-9, atol=1e-12)
    # What would also hold if nothing were weighed proves nothing.
    assert max(max(row) / min(row) for row in found) > 1.05
    assert torch.linalg.vector_norm(toy.parameter - Toy().parameter) > 0.1


def test_a_saved_state_goes_on_to_the_same_bits(make: Make) -> None:
    straight, whole = Toy(), make()
    expected = straight.play(whole, range(9))
    for stop in (1, 5):
        toy, first, second = Toy(), make(), make()
        found = toy.play(first, range(stop))
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        second.load_state_dict(torch.load(file, weights_only=True), strict=True)
        assert found + toy.play(second, range(stop, 9)) == expected
        assert torch.equal(toy.parameter, straight.parameter)
        assert_same_state(second, whole)


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_a_step_that_was_left_out_teaches_nothing(make: Make, bad: int) -> None:
    toy, one = Toy(), make()
    found = toy.play(one, range(bad))
    before = {name: value.clone() for name, value in one.state_dict().items()}
    toy.play(one, range(bad, bad + 1), bad=bad)
    assert_same_state(one, before)
    other, without = Toy(), make()
    assert found == other.play(without, range(bad))
    assert toy.play(one, range(bad + 1, 9)) == other.play(without, range(bad + 1, 9))
    assert_same_state(one, without)


def assert_same_state(one: nn.Module, other: nn.Module | Mapping[str, Tensor]) -> None:
    expected = other.state_dict() if isinstance(other, nn.Module) else other
    assert one.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in one.state_dict().items())


class TwoRanks:
    """Two threads that take each other for ranks."""

    def __init__(self) -> None:
        self.barrier, self.given = threading.Barrier(2, timeout=20), [torch.empty(0)] * 2
        self.number = threading.local()

    def average(self, tensor: Tensor) -> Tensor:
        self.given[self.number.rank] = tensor.clone()
        self.barrier.wait()
        mean = (self.given[0] + self.given[1]) / 2
        self.barrier.wait()
        return tensor.copy_(mean)

    def play(self, make_one: Make, steps: int) -> list[tuple[list[list[float]], Tensor]]:
        results: list[Any] = [None, None]

        def play(rank: int) -> None:
            self.number.rank = rank
            toy, balancer = Toy(), make_one()
            seen: list[list[float]] = []
            for step in range(steps):
                balancer.begin()
                toy.parameter.grad = None
                balancer.backward(toy.terms(step, slice(4 * rank, 4 * rank + 4)), [toy.parameter])
                assert toy.parameter.grad is not None
                toy.move(self.average(toy.parameter.grad))
                seen.append([float(balancer.in_use[name]) / LAMBDAS[name] for name in ("near", "wide", "size")])
            results[rank] = (seen, toy.parameter.detach())

        threads = [threading.Thread(target=play, args=(rank,)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"chance"}))  # threads share one global state, ranks do not
def test_two_ranks_are_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_one = METHODS[name][0]
    whole = Toy()
    expected = whole.play(make_one(), range(7))
    ranks = TwoRanks()
    monkeypatch.setattr(distributed, "average", ranks.average)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    one, other = ranks.play(make_one, 7)
    assert one[0] == other[0], "both ranks have the same bits"
    assert torch.equal(one[1], other[1])
    torch.testing.assert_close(torch.tensor(one[0]), torch.tensor(expected), rtol=1e-9, atol=0)
    torch.testing.assert_close(one[1], whole.parameter.detach(), rtol=1e-9, atol=1e-12)


class Waits(TorchDispatchMode):
    """Counts how often the host asks for a number that the device would have."""

    number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.number += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"product"}))  # torchjd's own check asks
def test_the_device_is_not_waited_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy, balancer = Toy(), METHODS[name][0]()
    toy.play(balancer, range(2))
    balancer.begin()
    terms = toy.terms(2)
    with Waits() as waits, monkeypatch.context() as patch:
        patch.setattr(Tensor, "tolist", None)  # on a CPU it reads memory, which is no operation
        balancer.backward(terms, [toy.parameter])
        balancer.settle(FALSE)
    assert waits.number == 0


def test_draws_leave_the_global_state_alone() -> None:
    toy = Toy()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    toy.play(Scalarized(torchjd.Random(), GIVEN), range(2))
    assert torch.equal(torch.rand(3), expected)


def scalars(**values: float) -> tuple[dict[str, Tensor], Terms]:
    return {name: torch.tensor(value) for name, value in values.items()}, Terms({})


def test_gradients_become_equally_long() -> None:
    # Two losses of constant gradients 1 and 4 and constant values: w comes to rest where 1 w_0 = 4 w_1.
    balancer, x = GradNorm(alpha=0, lr=0.01), torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for _ in range(400):
        losses = {"short": x.sum() / 2 + 1, "long": 2 * x.sum() + 1}
        found = balancer.factors(losses, Terms(losses, (x,)))
    assert found.tolist() == pytest.approx([1.6, 0.4], abs=0.05)


def test_gradnorm_holds_its_factors_above_zero() -> None:
    balancer, x = GradNorm(alpha=0, lr=0.9), torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for _ in range(5):
        losses = {"tiny": 1e-6 * x.sum() + 1, "huge": 1e6 * x.sum() + 1}
        found = balancer.factors(losses, Terms(losses, (x,)))
        assert found.min() > 0
        assert float(found.sum()) == pytest.approx(2)
    assert found[1] < 0.01


@pytest.mark.parametrize("kind", [UncertaintyWeighting, ImpartialLosses])
def test_scaled_losses_become_equally_large(kind: type[UncertaintyWeighting | ImpartialLosses]) -> None:
    balancer = kind(lr=0.05)
    losses, terms = scalars(small=0.2, large=30.0)
    for _ in range(800):
        found = balancer.factors(losses, terms)
    each = 0.5 if kind is UncertaintyWeighting else 1.0
    assert (found * torch.tensor([0.2, 30.0])).tolist() == pytest.approx([each, each], rel=0.02)


def test_famo_gives_more_to_what_falls_least() -> None:
    balancer = FAMO(lr=0.05, decay=0)
    for step in range(20):
        found = balancer.factors(*scalars(falls=0.9**step, stays=1.0))
    z = found * torch.tensor([0.9**19, 1.0])
    assert z[1] > 2 * z[0]


def test_hypervolume_bounds_its_factors() -> None:
    found = Hypervolume(slack=1.25).factors(*scalars(none=0.0, half=2.0, most=4.0))
    assert found.mean() == pytest.approx(1)
    assert (found / found[0]).tolist() == pytest.approx([1, 1.25 / 0.75, 1.25 / 0.25])


ZEROS: dict[str, Make] = {
    "average": lambda: DynamicWeightAverage(interval=1),
    "volume": Hypervolume,
    "famo": FAMO,
    "uncertainty": UncertaintyWeighting,
    "impartial": ImpartialLosses,
}


@pytest.mark.parametrize("make_one", ZEROS.values(), ids=ZEROS)
def test_losses_of_batches_without_labels_are_no_end(make_one: Make) -> None:
    balancer = make_one()
    for values in ((0.0, 1.0), (2.0, 1.0), (0.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.5, 1.0)):
        found = balancer.factors(*scalars(masked=values[0], other=values[1]))
        assert found.isfinite().all()
    assert found.max() > 0


def test_gradnorm_waits_for_a_first_value() -> None:
    balancer, x = GradNorm(), torch.ones(3, requires_grad=True)
    for factor in (0.0, 0.0, 2.0, 1.0):
        losses = {"masked": factor * x.sum(), "other": x.square().sum()}
        found = balancer.factors(losses, Terms(losses, (x,)))
        assert found.isfinite().all()
    assert balancer.memory["first_values"].tolist() == [6, 3]


def test_adaptive_weight_has_a_limit_and_shares() -> None:
    x = torch.zeros(4, requires_grad=True)
    losses = {"first": x.sum(), "faint": 1e-9 * x.sum(), "strong": 10 * x.sum()}
    found = AdaptiveWeight(share=2.0, shares={"strong": 0.5}, limit=100).factors(losses, Terms(losses, (x,)))
    assert found.tolist() == pytest.approx([1, 2 * 100, 0.5 / 10], rel=1e-4)
    scaled = {**losses, "strong": 7 * losses["strong"]}
    again = AdaptiveWeight(share=2.0, shares={"strong": 0.5}, limit=100).factors(scaled, Terms(scaled, (x,)))
    assert float(again[2] * 7) == pytest.approx(float(found[2]), rel=1e-4), "its weight cancels"


def test_scalarizers_with_tensors_and_of_other_shapes() -> None:
    values, terms = scalars(a=1.0, b=4.0)
    wide = {name: value.double() for name, value in values.items()}
    direction = torch.tensor([1.0, 2.0])
    found = Scalarized(torchjd.PBI(0.0, direction)).factors(wide, terms)
    assert found.tolist() == pytest.approx((direction / direction.norm()).tolist())
    assert Scalarized(torchjd.Mean()).factors(*scalars(a=-1.0, b=4.0)).tolist() == [0.5, 0.5]
    with pytest.raises(UserError, match=r"Scalarized.scalarizer Constant: .*shape"):
        Scalarized(torchjd.Constant(torch.ones(3))).factors(values, terms)


@pytest.mark.parametrize(
    ("learner", "own"),
    [
        (lambda: torchjd.DWA(), "DynamicWeightAverage"),
        (lambda: torchjd.FAMO(2), "FAMO"),
        (lambda: torchjd.UW(2), "UncertaintyWeighting"),
        (lambda: torchjd.IMTLL(2), "ImpartialLosses"),
    ],
)
def test_scalarizers_that_learn_are_refused(learner: Callable[[], torchjd.Scalarizer], own: str) -> None:
    with pytest.raises(UserError, match=f"take lightning_mtgan.balancing.{own}$"):
        Scalarized(learner())


RANGES: list[tuple[Callable[[], object], str]] = [
    (lambda: UncertaintyWeighting(lr=0), "UncertaintyWeighting.lr is 0"),
    (lambda: ImpartialLosses(lr=-1), "ImpartialLosses.lr is -1"),
    (lambda: FAMO(lr=math.nan), "FAMO.lr is nan"),
    (lambda: FAMO(decay=-0.1), "FAMO.decay is -0.1"),
    (lambda: GradNorm(lr=math.inf), "GradNorm.lr is inf"),
    (lambda: GradNorm(alpha=-1), "GradNorm.alpha is -1"),
    (lambda: DynamicWeightAverage(interval=0), "DynamicWeightAverage.interval is 0"),
    (lambda: DynamicWeightAverage(temperature=0), "DynamicWeightAverage.temperature is 0"),
    (lambda: Hypervolume(slack=1), "Hypervolume.slack is 1"),
    (lambda: AdaptiveWeight(share=-1), "AdaptiveWeight.share is -1"),
    (lambda: AdaptiveWeight(shares={"red": math.nan}), "AdaptiveWeight.shares.red is nan"),
    (lambda: AdaptiveWeight(delta=0), "AdaptiveWeight.delta is 0"),
    (lambda: AdaptiveWeight(limit=0), "AdaptiveWeight.limit is 0"),
]


@pytest.mark.parametrize(("build", "message"), RANGES, ids=[message for _, message in RANGES])
def test_numbers_out_of_range_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build()


def test_what_adaptive_weight_cannot_follow_is_refused() -> None:
    x = torch.zeros(4, requires_grad=True)
    losses = {"first": x.sum(), "other": 2 * x.sum(), "beside": torch.ones(1, requires_grad=True).sum()}
    terms = Terms(losses, (x,))
    for shares in ({"red": 1.0}, {"first": 1.0}):
        with pytest.raises(UserError, match="the losses that follow are other, beside"):
            AdaptiveWeight(shares=shares).factors(losses, terms)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="which does not depend"):
        AdaptiveWeight(reference="beside").factors(losses, terms)
    with pytest.raises(UserError, match="is red, but the losses that this phase balances are first, other, beside"):
        AdaptiveWeight(reference="red").factors(losses, terms)


@pytest.mark.parametrize("name", ["uncertainty", "impartial", "average", "volume", "famo", "norms", "product"])
def test_a_first_value_below_zero_is_refused(name: str) -> None:
    balancer = METHODS[name][0]()
    balancer.weights.given.clear()
    x = torch.ones(3, requires_grad=True)
    losses = {"fine": x.sum(), "sunken": -x.sum()}
    with pytest.raises(UserError, match="the first value of sunken is -3, which is below 0"):
        balancer.backward(Terms(losses, (x,)), [])
    assert not balancer.state_dict()


def test_only_the_first_value_is_looked_at_also_after_a_resume() -> None:
    one, other = Hypervolume(), Hypervolume()
    one.factors(*scalars(a=1.0, b=2.0))
    other.load_state_dict(one.state_dict())
    for balancer in (one, other):
        assert balancer.factors(*scalars(a=-1.0, b=2.0)).isfinite().all()


def test_penalties_alone_are_summed_with_their_weights() -> None:
    x = torch.nn.Parameter(torch.ones(3))
    Hypervolume({"r1": 0.5}).backward(Terms({"r1": x.sum()}, penalties=frozenset({"r1"})), [x])
    assert x.grad is not None
    assert x.grad.tolist() == [0.5] * 3


def test_what_needs_a_bound_or_a_pivot_says_so() -> None:
    unbounded = Phase("g", "g", lambda batch: Terms({}), unbounded=frozenset({"adversarial"}), has_pivot=True)
    refused = set()
    for name, (make_one, _) in METHODS.items():
        try:
            make_one().require_valid(unbounded)
        except UserError as error:
            assert "adversarial" in str(error)
            refused.add(name)
    assert refused == METHODS.keys() - {"weight", "smooth", "chance"}
    nowhere = Phase("g", "g", lambda batch: Terms({}))
    for name in ("norms", "weight"):
        with pytest.raises(UserError, match="one tensor"):
            METHODS[name][0]().require_valid(nowhere)


PLACE = "lightning_mtgan.balancing"
CLEAN = [
    "--model.game.augmentation=lightning_mtgan.augment.DiffAugment",
    "--model.game.clean_tasks=true",
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [
                "--model.game.adversarial=lightning_mtgan.losses.Hinge",
                f"--model.balancers.generator={PLACE}.uncertainty_weighting.UncertaintyWeighting",
            ],
            "model.balancers.generator: UncertaintyWeighting weighs losses by their values",
        ),
        (
            [*CLEAN, f"--model.balancers.discriminator={PLACE}.grad_norm.GradNorm"],
            "model.balancers.discriminator: GradNorm compares gradients at one tensor",
        ),
        (
            [f"--model.balancers.generator={PLACE}.hypervolume.Hypervolume", "--model.balancers.generator.slack=0.9"],
            "Hypervolume.slack is 0.9; it must be more than 1",
        ),
    ],
)
def test_refusals_are_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    assert main([*SMALL, f"--runs={tmp_path / 'runs'}", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error and len(error.strip().splitlines()) == 1


def test_a_training_resumes_to_the_same_bits(train: Train) -> None:
    arguments = [
        "--data.num_images=320",
        f"--model.balancers.generator={PLACE}.grad_norm.GradNorm",
        f"--model.balancers.discriminator={PLACE}.famo.FAMO",
        "--model.balancers.discriminator.weights={red: 0.5, r1: 0.5, r2: 0.5}",
    ]
    whole = train(*arguments, "--trainer.max_steps=5", runs="whole")
    train(*arguments, "--trainer.max_steps=3", runs="parted")
    parted = train(*arguments, "--trainer.max_steps=5", "--ckpt_path=last", runs="parted")
    assert farthest(weights(whole), weights(parted)) == 0
    state = weights(whole)
    assert state["balancers.generator.memory.updates"] == 5
    assert state["balancers.generator.memory.learned"].unique().numel() > 1
    assert state["balancers.discriminator.memory.updates"] == 4
    assert state["balancers.discriminator.memory.learned"].abs().min() > 0


def test_scalarizers_come_from_the_command_line(train: Train) -> None:
    scalarizer = json.dumps({"class_path": "torchjd.scalarization.STCH", "init_args": {"mu": 0.5}})
    average = json.dumps({"class_path": f"{PLACE}.dynamic_weight_average.DynamicWeightAverage"})
    run = train(
        "--data.num_images=320",
        f"--model.balancers.generator={PLACE}.scalarized.Scalarized",
        f"--model.balancers.generator.scalarizer={scalarizer}",
        f"--model.balancers.discriminator={average}",
        "--model.balancers.discriminator.interval=2",
        "--trainer.max_steps=3",
    )
    state = weights(run)
    assert state["balancers.discriminator.memory.steps"] == 1
    assert state["balancers.discriminator.memory.last"].min() > 0
    assert not any(name.startswith("balancers.generator") for name in state)
