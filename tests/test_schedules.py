"""Schedules and corrections of optimizers, and how networks are laid out and compiled."""

from __future__ import annotations

import copy
import csv
import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import ScheduledSum
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import Phase
from lightning_mtgan.networks import (
    ConvGenerator,
    Generator,
    GlobalBatchNorm,
    GlobalNormalization,
    R3GANGenerator,
    SNGANGenerator,
)
from lightning_mtgan.schedules import CosineSchedule, cosine
from lightning_mtgan.stepping import Mover, correct_for_lazy_phases
from lightning_mtgan.types import DataSpec, Terms
from tests.conftest import Train, farthest, weights
from tests.test_games import mtgan


def adam() -> torch.optim.Adam:
    return torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=2e-4, betas=(0.0, 0.9))


def nothing(batch: object) -> Terms:
    return Terms({})


def test_cosine_by_hand() -> None:
    assert [cosine(3.0, 1.0, t) for t in (-1.0, 0.0, 0.5, 1.0, 2.0)] == pytest.approx([3.0, 3.0, 2.0, 1.0, 1.0])
    assert cosine(1.0, 0.0, 0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_learning_rate_and_beta2_follow_the_cosine() -> None:
    optimizer = adam()
    schedule = CosineSchedule(optimizer, num_steps=8, final_lr_share=0.25, final_beta2=0.99)
    seen = []
    for _ in range(11):
        group = optimizer.param_groups[0]
        seen.append((group["lr"], *group["betas"]))
        optimizer.step()
        schedule.step()
    for step, (rate, beta1, beta2) in enumerate(seen):
        assert rate == pytest.approx(cosine(2e-4, 5e-5, step / 8))
        assert (beta1, beta2) == (0.0, pytest.approx(cosine(0.9, 0.99, step / 8)))


def test_warm_up_begins_at_nothing() -> None:
    optimizer = adam()
    schedule = CosineSchedule(optimizer, num_steps=8, warmup_steps=4)
    rates = []
    for _ in range(9):
        rates.append(optimizer.param_groups[0]["lr"] / 2e-4)
        optimizer.step()
        schedule.step()
    assert rates[:5] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert rates[5:] == pytest.approx([cosine(1.0, 0.0, step / 4) for step in (1, 2, 3, 4)])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: CosineSchedule(adam(), num_steps=4, warmup_steps=4), "warmup_steps 4 and num_steps 4"),
        (
            lambda: CosineSchedule(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), 4, final_beta2=0.99),
            "SGD has no β₂",
        ),
        (lambda: ScheduledSum(0), "num_steps is 0"),
        (lambda: ScheduledSum(5, final={"r1": 0.1}), "final has r1, but its weights have not"),
    ],
)
def test_numbers_out_of_order_are_refused(build: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build()  # type: ignore[operator]


def test_weights_are_a_function_of_the_step() -> None:
    balancer = ScheduledSum(10, weights={"r1": 1.0, "task": 0.5}, final={"r1": 0.1}, others=2.0)
    parameter = nn.Parameter(torch.ones(()))
    for step in (0, 5, 10, 30):
        parameter.grad = None
        terms = Terms({"adversarial": parameter, "r1": 10 * parameter, "task": 100 * parameter}, step=step)
        balancer.backward(terms, [parameter])
        expected = 2 + 10 * cosine(1.0, 0.1, step / 10) + 50
        assert parameter.grad is not None
        assert parameter.grad.item() == pytest.approx(expected)


def test_lazy_phases_are_corrected_for() -> None:
    optimizer = adam()
    optimizer.param_groups[0]["betas"] = (0.5, 0.99)
    correct_for_lazy_phases(optimizer, [Phase("d", "d", nothing), Phase("r1", "d", nothing, 16, is_lazy=True)])
    share = 16 / 17  # Karras et al. 2020
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-4 * share)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.5**share, 0.99**share))
    seldom = adam()
    correct_for_lazy_phases(seldom, [Phase("g", "g", nothing, 5)])
    assert seldom.param_groups[0]["lr"] == 2e-4  # a generator that waits is not lazy
    correct_for_lazy_phases(seldom, [Phase("g", "g", nothing, 5), Phase("path", "g", nothing, 20, is_lazy=True)])
    assert seldom.param_groups[0]["lr"] == pytest.approx(2e-4 * 4 / 5)


def test_a_resumed_player_has_its_moments_in_its_own_layout() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    reference = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    reference.load_state_dict(layer.state_dict())
    gradient = torch.randn(4, 3, 3, 3)
    movers = []
    for one in (layer, reference):
        mover = Mover(one.parameters(), torch.optim.Adam(one.parameters(), lr=0.1, fused=True))
        movers.append(mover)
    for parameter in layer.parameters():
        parameter.grad = gradient.clone() if parameter.ndim == 4 else torch.ones(4)
    movers[0].optimizer.step()
    movers[1].optimizer.load_state_dict(copy.deepcopy(movers[0].optimizer.state_dict()))
    reference.load_state_dict(layer.state_dict())
    for one, mover in zip((layer, reference), movers, strict=True):
        mover.settle()
        mover.begin()
        for parameter in one.parameters():
            assert parameter.grad is not None and parameter.grad.stride() == parameter.stride()
            parameter.grad.copy_(gradient if parameter.ndim == 4 else torch.ones(4))
        mover.optimizer.step()
    assert torch.allclose(layer.weight, reference.weight, atol=1e-7)


@pytest.mark.parametrize(
    "make",
    [
        lambda spec, dim: ConvGenerator(spec, dim, latent_dim=8, width=8, normalization=GlobalBatchNorm),
        lambda spec, dim: SNGANGenerator(spec, dim, latent_dim=8, width=8),
    ],
    ids=["batch norm", "conditional batch norm"],
)
def test_averages_of_batch_statistics_belong_to_the_averaged_parameters(
    make: Callable[[DataSpec, int], Generator],
) -> None:
    game = mtgan(generator=make)
    average = ParameterAverage(game, half_life=100.0, rampup=1.0)
    layers = [module for module in game.generator.modules() if isinstance(module, GlobalNormalization)]
    assert len(layers) >= 1
    for layer in layers:
        layer.running_mean.fill_(1.0)
    average.update(50, 100)
    found = [value for key, value in average.state_dict().items() if key.endswith("running_mean")]
    assert len(found) == len(layers)
    for value in found:
        assert torch.allclose(value, torch.full_like(value, 1 - 0.5**0.5))


def test_an_average_holds_what_a_checkpoint_holds() -> None:
    game = mtgan(generator=lambda spec, dim: R3GANGenerator(spec, dim, max_channels=8))
    assert ParameterAverage(game, half_life=100.0, rampup=1.0).state_dict().keys() <= game.state_dict().keys()


COMMON = ["--trainer.max_steps=6", "--trainer.log_every_n_steps=1"]


def losses(run: object) -> list[float]:
    with (run / "metrics.csv").open(newline="") as file:  # type: ignore[operator]
        return [
            float(row["loss/generator/adversarial"])
            for row in csv.DictReader(file)
            if row["loss/generator/adversarial"]
        ]


def test_channels_last_is_the_same_run(train: Train) -> None:
    exact = ["--trainer.precision=64-true", *COMMON]
    plain = weights(train(*exact, runs="plain"))
    last = weights(train(*exact, "--model.channels_last=true", runs="last"))
    assert farthest(plain, last) < 1e-9
    convolution = "game.players.generator.network.smallest.weight"
    assert last[convolution].is_contiguous(memory_format=torch.channels_last)


def test_compiled_networks_compute_the_same_run(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    plain = losses(train(*COMMON, runs="plain"))
    compiled = losses(train(*COMMON, "--model.compiler=aot_eager", runs="compiled"))
    assert "compiled with aot_eager: ConvGenerator; networks that penalties" in capsys.readouterr().out
    assert compiled == pytest.approx(plain, rel=1e-3)


def test_a_schedule_of_everything_resumes_to_the_same_bits(train: Train) -> None:
    arguments = {"num_steps": 8, "final_beta2": 0.999}
    schedule = json.dumps({"class_path": "lightning_mtgan.schedules.CosineSchedule", "init_args": arguments})
    remembering = [
        {"class_path": f"lightning_mtgan.regularizers.{name}", "init_args": arguments}
        for name, arguments in (("R1", {}), ("R2", {}), ("LeCam", {"start": 1}), ("PathLength", {"every": 2}))
    ]
    probability = {"class_path": "lightning_mtgan.augment.AdaptiveProbability", "init_args": {"kimg": 1, "every": 2}}
    augmentation = {"class_path": "lightning_mtgan.augment.ADA", "init_args": {"probability": probability}}
    common = [
        *COMMON,
        f"--model.schedulers.discriminator={schedule}",
        "--model.balancers.discriminator.class_path=lightning_mtgan.balancing.ScheduledSum",
        "--model.balancers.discriminator.num_steps=5",
        "--model.balancers.discriminator.weights={r1: 0.5, r2: 0.5}",
        "--model.balancers.discriminator.final={r1: 0.05, r2: 0.05}",
        "--model.game.generator_every=2",
        "--model.game.adversarial=lightning_mtgan.losses.Hinge",
        f"--model.game.regularizers={json.dumps(remembering)}",
        "--model.balancers.path_length.class_path=lightning_mtgan.balancing.WeightedSum",
        f"--model.game.augmentation={json.dumps(augmentation)}",
        "--model.game.clean_tasks=true",
    ]
    whole = train(*common, runs="whole")
    train(*common, "--trainer.max_steps=3", runs="parted")
    parted = train(*common, "--ckpt_path=last", runs="parted")
    assert farthest(weights(whole), weights(parted)) == 0
    assert losses(whole) == losses(parted)
    state = weights(whole)
    assert state["game.regularizers.3.mean_length"] > 0
    assert state["game.regularizers.2.anchors"].abs().min() > 0
    assert state["game.augmentation.probability.images"].max() > 0


def test_an_unknown_compiler_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    from lightning_mtgan.cli import main

    assert main(["--model.compiler=gcc"]) == 2
    assert "model.compiler is gcc; torch has" in capsys.readouterr().err
