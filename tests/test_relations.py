"""Which task helps which: against a slow loop, on games whose relations are known, and through the command line."""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from lightning_mtgan import __main__ as tools
from lightning_mtgan.data import Digits, Domains, StackedDigits
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import MTGAN, Game, Phase
from lightning_mtgan.losses import Wasserstein
from lightning_mtgan.pictures import AGAINST, TOGETHER, UNKNOWN, heat_map
from lightning_mtgan.regularizers import LeCam
from lightning_mtgan.relations import (
    Batches,
    EqualLength,
    GradientDescent,
    Relations,
    Step,
    branches,
    chosen_phase,
    grouped,
    headed_tasks,
    measure,
)
from lightning_mtgan.relations import command as related_command
from lightning_mtgan.relations.drawing import drawn
from lightning_mtgan.relations.saying import sentences, sureness, three_digits, transfer_cells
from lightning_mtgan.supervision import (
    AuxiliaryHeads,
    BranchedHeads,
    ContrastiveHeads,
    SpectralHeads,
    Supervision,
)
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import Batch, DataSpec, Terms
from tests.conftest import ROOT, Train
from tests.domain_game import TwoByTwo
from tests.test_games import DATA, mtgan
from tests.test_supervision import ALL, NUM_FEATURES, features, made, truth

STEPS: list[Step] = [EqualLength(0.002), GradientDescent(0.05)]


class Toy(Game):
    """One trunk w of two numbers; what its losses do to each other can be read off them."""

    def __init__(
        self, losses: Mapping[str, Callable[[Tensor], Tensor]], unbounded: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(DataSpec(8, 3))
        self.of, self.unbounded = losses, unbounded
        self.players["only"] = nn.ParameterDict({"w": nn.Parameter(torch.tensor([3.0, 4.0]))})
        self.players["other"] = nn.ParameterDict({"v": nn.Parameter(torch.ones(1))})
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(()))

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("alone", "other", lambda batch: Terms({"adversarial": self.get_parameter("players.other.v").sum()})),
            Phase("only", "only", self.losses, unbounded=self.unbounded),
        ]

    def losses(self, batch: Batch) -> Terms:
        self.seen += 1
        w = self.get_parameter("players.only.w")
        found = {name: loss(w) * self.seen for name, loss in self.of.items()}
        return Terms({**found, "penalty": w.square().sum()}, penalties=frozenset({"penalty"}))

    def sampling_modules(self) -> Sequence[nn.Module]:
        return []

    def sample(
        self, num_images: int, condition: Mapping[str, Tensor] | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        raise NotImplementedError


def empty() -> Batch:
    return {"image": torch.zeros(2, 3, 8, 8), "targets": {}, "draws": Draws(0)}


def related(game: Game, step: Step, pairs: Sequence[tuple[Batch, Batch]] | Batches | None = None) -> Relations:
    found = [(empty(), empty()), (empty(), empty())] if pairs is None else list(pairs)
    phase, names = chosen_phase(game, None, found[0][0])
    return measure(game, phase, names, found, step)


def of_digits(game: Game, split: str | None = None, num_batches: int = 3) -> Batches:
    return Batches(DATA, game, split, num_batches, 8, seed=5, step=11)


def naive(game: MTGAN, pairs: Batches, rate: Callable[[float, float], float]) -> tuple[Tensor, Tensor]:
    """Every step in a copy of the Game, one loss and one parameter after the other."""

    def losses_of(played: MTGAN, batch: Batch) -> dict[str, Tensor]:
        found = played.discriminator_losses({**batch, "draws": batch["draws"].at("discriminator")}).losses
        return {name: loss for name, loss in found.items() if name not in ("r1", "r2")}

    cosines, gains = [], []
    for stepped_on, measured_on in pairs:
        before = {name: loss.item() for name, loss in losses_of(copy.deepcopy(game).train(), measured_on).items()}
        directions, rows = [], []
        for name in before:
            moved = copy.deepcopy(game).train().requires_grad_(True)
            losses_of(moved, stepped_on)[name].backward()
            shared = list(moved.discriminator.trunk.parameters())
            gradient = torch.cat([p.grad.flatten() for p in shared if p.grad is not None]).double()
            norm = torch.cat([p.detach().flatten() for p in shared]).norm().item()
            directions.append(gradient / gradient.norm())
            for parameter in shared:
                parameter.data.sub_(rate(gradient.norm().item(), norm) * parameter.grad)  # type: ignore[operator]
            after = losses_of(moved, measured_on)
            rows.append([1 - after[other].item() / before[other] for other in before])
        cosines.append([[float(one @ other) for other in directions] for one in directions])
        gains.append(rows)
    return torch.tensor(cosines, dtype=torch.float64).mean(0), torch.tensor(gains, dtype=torch.float64)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (EqualLength(0.002), lambda gradient, parameters: 0.002 * parameters / gradient),
        (GradientDescent(0.05), lambda gradient, parameters: 0.05),
    ],
    ids=["equal length", "gradient descent"],
)
def test_relations_equal_a_naive_loop(step: Step, rate: Callable[[float, float], float]) -> None:
    game = mtgan(supervision=ContrastiveHeads).double()
    pairs = of_digits(game)
    found = related(game, step, pairs)
    assert found.names == ("adversarial", "red", "green", "blue", "even", "ink")
    affinity, gains = naive(game, pairs, rate)
    assert torch.allclose(found.affinity, affinity, atol=1e-10)
    assert torch.allclose(found.transfer, gains.mean(0), atol=1e-10)
    assert torch.allclose(found.error, gains.std(0) / math.sqrt(3), atol=1e-10)
    assert found.transfer.abs().min() > 1e-8  # so that the tolerances above mean something


@pytest.mark.parametrize("step", STEPS, ids=["equal length", "gradient descent"])
def test_identical_and_opposed_tasks(step: Step) -> None:
    def one(w: Tensor) -> Tensor:
        return w.square().sum() + 5

    found = related(Toy({"one": one, "twin": one, "foe": lambda w: 100 - one(w)}), step)
    assert found.phase == "only"  # the other phase has one loss
    assert found.affinity.tolist() == [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    assert torch.equal(found.transfer[0], found.transfer[1])
    assert torch.equal(found.transfer[:, 0], found.transfer[:, 1])
    assert found.transfer[0, 1] > 0 > found.transfer[0, 2]
    assert found.transfer[2, 2] > 0 > found.transfer[2, 0]
    assert not found.error.any()  # what the Game remembers would make each computation another one


def test_gains_by_hand() -> None:
    toy = Toy({"size": lambda w: w.square().sum(), "first": lambda w: w[0].square()})
    found = related(toy, EqualLength(0.1))
    # |w| = 5, so a step is 0.5 long: towards (0, 0) for the one, along the first axis for the other.
    expected = [[1 - 4.5**2 / 25, 1 - 2.7**2 / 9], [1 - (2.5**2 + 16) / 25, 1 - 2.5**2 / 9]]
    assert found.transfer.tolist() == [pytest.approx(row) for row in expected]
    assert found.affinity[0, 1].item() == pytest.approx(0.6)
    assert found.relative[1, 0].item() == pytest.approx(expected[1][0] / expected[0][0])
    with pytest.raises(UserError, match="losses of phase only share no parameters"):
        related(Apart({}), EqualLength())


class Apart(Toy):
    """Two losses with a parameter each."""

    def losses(self, batch: Batch) -> Terms:
        w = self.get_parameter("players.only.w")
        return Terms({"one": w.sum(), "two": self.get_parameter("players.other.v").sum()})


def test_what_cannot_be_said_is_left_open() -> None:
    flat = Toy({"one": lambda w: w.sum(), "flat": lambda w: (w * 0).sum() + 1, "less": lambda w: -w.sum()})
    flat.unbounded = frozenset({"less"})
    found = related(flat, EqualLength(0.01))
    unknown = [[False, False, True], [True, True, True], [False, False, True]]
    assert found.transfer.isnan().tolist() == unknown
    assert found.affinity.isnan().tolist() == [[False, True, False], [True, True, True], [False, True, False]]
    assert found.relative[:, 1].isnan().all()  # its own step does nothing
    wasserstein = mtgan(adversarial=Wasserstein())
    found = related(wasserstein, EqualLength(), of_digits(wasserstein))
    assert found.unbounded == {"adversarial"}
    assert found.transfer.isnan().all(0).tolist() == [True] + [False] * 5
    with pytest.raises(UserError, match="loss one of phase only is not finite"):
        related(Toy({"one": lambda w: w.sum() / 0, "two": lambda w: w.sum()}), EqualLength())


def everything(game: Game) -> list[Tensor]:
    return [*game.state_dict().values(), *game.buffers(), torch.get_rng_state()]


def test_nothing_is_changed() -> None:
    game = mtgan(
        adversarial=Wasserstein(),
        regularizers=[LeCam(start=0)],
        supervision=partial(SpectralHeads, heads=AuxiliaryHeads),
    )
    game.eval().requires_grad_(False)
    game.players["generator"].train()
    before = [tensor.clone() for tensor in everything(game)]
    modes = [module.training for module in game.modules()]
    related(game, EqualLength(0.05), of_digits(game))
    assert all(torch.equal(one, other) for one, other in zip(before, everything(game), strict=True))
    assert modes == [module.training for module in game.modules()]
    assert not any(parameter.requires_grad for parameter in game.parameters())

    def broken(w: Tensor) -> Tensor:
        if w[0] < 3:  # only once a step has been made
            raise MemoryError
        return w.sum()

    toy = Toy({"one": broken, "two": lambda w: w.sum()})
    with pytest.raises(MemoryError):
        related(toy, EqualLength())
    assert toy.get_parameter("players.only.w").tolist() == [3.0, 4.0]
    assert toy.seen == 0


def test_gains_depend_on_the_seed_and_the_step_alone() -> None:
    game = mtgan()
    one, two = (related(game, EqualLength(), of_digits(game)) for _ in range(2))
    assert torch.equal(one.transfer, two.transfer)
    other = related(game, EqualLength(), Batches(DATA, game, None, 3, 8, seed=6, step=11))
    assert not torch.equal(one.transfer, other.transfer)


def test_a_step_is_measured_on_other_images() -> None:
    game = mtgan()
    images = DATA.dataset("train")[torch.arange(64)]["image"].flatten(1)

    def places(batches: Sequence[Batch]) -> list[int]:
        seen = torch.cat([(batch["image"] + 1) * 127.5 for batch in batches]).flatten(1).round()
        return [int((images == image).all(1).nonzero()[0, 0]) for image in seen]

    pairs = list(of_digits(game, "train", 4))
    assert places([one for one, _ in pairs]) == list(range(32))
    assert places([other for _, other in pairs]) == list(range(32, 64))
    held_out = DATA.dataset("held_out")[torch.arange(8, 16)]
    assert torch.equal(list(of_digits(game))[1][1]["targets"]["ink"], held_out["targets"]["ink"])
    steps = {(batch["draws"].step, batch["draws"].seed) for pair in pairs for batch in pair}
    assert len(steps) == 8
    assert {step for step, _ in steps} == {11}
    with pytest.raises(UserError, match="80 images are needed in each split, and one has 64; lower --batch_size or"):
        of_digits(game, "train", 5)


def test_domains_bring_a_batch_of_each() -> None:
    data = Domains({"grey": Digits(num_images=30), "stacks": StackedDigits(num_images=30, tasks=["red"])})
    game = TwoByTwo(data.spec)
    for pair in Batches(data, game, None, 2, 6, 0, 0):
        for batch in pair:
            assert {name: len(one["image"]) for name, one in batch["domains"].items()} == {"grey": 6, "stacks": 6}
            assert all(one["image"].abs().max() <= 1 for one in batch["domains"].values())
    assert Batches(data, game, None, 2, 6, 0, 0).measured_on == "; ".join(
        data.splits[f"{name}/held_out"] for name in ("grey", "stacks")
    )
    held_out_of_one = Named(data.splits, data.dataset)
    del held_out_of_one.splits["stacks/held_out"]
    pairs = Batches(held_out_of_one, game, None, 1 + 1, 6, 0, 0)
    assert (pairs.split, pairs.measured_on) == ("train", "; ".join(data.splits[f"{n}/train"] for n in data.domains))
    data.paired = True
    with pytest.raises(UserError, match="cannot be measured on pairs"):
        Batches(data, game, None, 2, 6, 0, 0)


class Named:
    """Data of domains whose splits all bear their domain's name."""

    def __init__(self, splits: Mapping[str, str], dataset: Callable[[str], object]) -> None:
        self.splits = {name: words for name, words in splits.items() if "/" in name}
        self.dataset = dataset


def test_the_phase_is_chosen_or_refused() -> None:
    def phase(game: Game, name: str | None) -> tuple[str, int]:
        found, names = chosen_phase(game, name, next(iter(of_digits(game)))[0])
        return found.name, len(names)

    assert phase(mtgan(), None) == ("discriminator", 6)
    assert phase(mtgan(), "generator") == ("generator", 8)
    assert phase(mtgan(supervision=None), None) == ("generator", 3)  # the two constraints stay
    with pytest.raises(UserError, match="no such phase; it has discriminator, generator"):
        phase(mtgan(), "shared")
    with pytest.raises(UserError, match="phase discriminator has less than two losses"):
        phase(mtgan(supervision=None), "discriminator")


def test_grouping_finds_what_belongs_together() -> None:
    names = ["a", "b", "c", "d", "e"]
    blocks = torch.full((5, 5), -0.2, dtype=torch.float64)
    for members in ([0, 3], [1, 2, 4]):
        for row in members:
            for column in members:
                blocks[row, column] = 0.3 + 0.05 * row
    assert grouped(names, blocks, 2) == [["a", "d"], ["b", "c", "e"]]
    assert grouped(names, blocks, 1) == [names]
    assert grouped(names, blocks, 5) == [[name] for name in names]
    one_sided = blocks.triu() * 2 - blocks.diag().diag()  # only the sum of both directions counts
    assert grouped(names, one_sided, 2) == [["a", "d"], ["b", "c", "e"]]
    for number in (0, 6):
        with pytest.raises(UserError, match=rf"--groups is {number}, and 5 tasks have a head \(a, b.*use 1 to 5"):
            grouped(names, blocks, number)
    with pytest.raises(UserError, match="no task of this phase has a head"):
        grouped([], torch.zeros(0, 0), 1)
    blocks[1, 3] = torch.nan
    with pytest.raises(UserError, match="what `b` does to `d` could not be measured: one of the losses has no"):
        grouped(names, blocks, 2)
    for columns, says in (([3], "others do to `d` could"), ([2, 3], "others do to `c` and `d` could")):
        blocks[:, columns] = torch.nan  # a loss that its own step does not lower, as in ``Relations.relative``
        with pytest.raises(UserError, match=says):
            grouped(names, blocks, 2)


def test_tasks_with_a_head_are_neither_adversarial_nor_constraints() -> None:
    every = ("adversarial", "red", "green", "blue", "even", "ink", "colour", "texture")
    assert headed_tasks(mtgan(), every) == ["red", "green", "blue", "even", "ink"]


def test_groups_replace_those_that_are_there() -> None:
    plain = {"class_path": "lightning_mtgan.supervision.TwinHeads"}
    game = {"class_path": "lightning_mtgan.games.MTGAN", "init_args": {"supervision": plain}}
    first = branches(game, [["red"]])["model"]["game"]
    assert first["init_args"]["supervision"]["init_args"] == {"heads": plain, "groups": [["red"]]}
    second = branches({"init_args": first["init_args"]}, [["blue"]])["model"]["game"]
    assert second["init_args"]["supervision"]["init_args"] == {"heads": plain, "groups": [["blue"]]}
    with pytest.raises(UserError, match=r"model\.game\.supervision of this checkpoint is null"):
        branches({"init_args": {"supervision": None}}, [["red"]])


def known() -> Relations:
    transfer = torch.tensor([[0.01, 0.004, -0.02], [0.001, 0.02, 0.1], [0.0, 0.0, -0.1]], dtype=torch.float64)
    return noisy(transfer, 0.0015)


def noisy(transfer: Tensor, error: float, num_batches: int = 30) -> Relations:
    """Relations of tasks a, b, … of which all errors are the same."""
    count = len(transfer)
    errors, number = torch.full_like(transfer, error), torch.full((count, count), num_batches)
    return Relations("only", tuple("abcdef"[:count]), torch.eye(count).double(), transfer, errors, number)


def test_sentences_say_what_is_more_than_noise() -> None:
    assert sentences(known()) == [
        "training `a` helps `b` most (+0.400 % per step, 0.200 of what its own step takes away)",
        "training `b` does nothing to those of the others that could be measured that is more than noise",
        "training `c` does not lower its own loss on these images by more than noise "
        "(too few, too long a step, or learnt by heart)",
    ]
    hurt = known()
    hurt.transfer[1, 0] = -0.008
    assert sentences(hurt)[1].startswith("training `b` hurts `a` most (-0.800 % per step, 0.800 of what its own")
    assert sureness(hurt, ["a", "b"]).startswith("2 of 2 gains")
    assert sureness(known(), ["a", "b"]).startswith("1 of 2 gains")


def test_parts_are_not_taken_of_noise() -> None:
    hurt = torch.tensor([[0.02, -0.0014], [0.001, 0.00025]], dtype=torch.float64)
    relations = noisy(hurt, 0.00035, 8)  # a's harm is 4 errors, but b's own gain less than one
    assert relations.relative.isnan().tolist() == [[False, True], [False, True]]
    assert sentences(relations)[0] == "training `a` does to the others what could not be measured"
    with pytest.raises(UserError, match="what others do to `b` could not be measured"):
        grouped(relations.names, relations.relative, 1)
    surer = noisy(hurt, 0.0001, 8)
    assert surer.relative[0, 1].item() == pytest.approx(-5.6)
    assert "hurts `b` most (-0.140 % per step, 5.60 of what" in sentences(surer)[0]


def test_noise_is_that_of_student() -> None:
    for num_batches, quantile in ((2, 12.706205), (8, 2.364624), (48, 2.011741)):  # tables of t, 97.5 %
        assert noisy(torch.ones(2, 2).double(), 0.1, num_batches).noise[0, 1].item() == pytest.approx(0.1 * quantile)
    assert noisy(torch.ones(2, 2).double(), 0.1, 1).noise.isnan().all()
    few, many = (noisy(torch.tensor([[0.5, 0.3], [0.3, 0.5]]).double(), 0.1, number) for number in (2, 48))
    assert few.relative.isnan().all()
    assert sureness(few, ["a", "b"]).startswith("0 of 2") and sureness(many, ["a", "b"]).startswith("2 of 2")


def test_errors_are_those_of_each_pair_over_its_own_batches() -> None:
    found = related(mtgan(), EqualLength(), of_digits(mtgan(), num_batches=4))
    assert (found.num_batches == 4).all()
    wasserstein = mtgan(adversarial=Wasserstein())
    assert related(wasserstein, EqualLength(), of_digits(wasserstein)).num_batches[:, 0].tolist() == [0] * 6


def test_what_was_not_measured_is_not_nothing() -> None:
    nothing = noisy(torch.full((2, 2), math.nan).double(), math.nan)
    assert sentences(nothing) == [f"training `{name}` does to the others what could not be measured" for name in "ab"]
    some = noisy(torch.tensor([[0.5, 0.0, math.nan]] * 3).double(), 0.01)
    assert sentences(some)[2] == (  # b's own step does nothing, and c's column is open: a is what is left
        "training `c` helps `a` most (+50.0 % per step, 1.00 of what its own step takes away)"
    )
    idle = noisy(torch.diag(torch.tensor([0.5, 0.5])).double(), 0.01)
    assert sentences(idle)[0] == "training `a` does nothing to the others that is more than noise"


@pytest.mark.parametrize("step", [EqualLength(1e30), GradientDescent(1e30)], ids=["equal length", "gradient descent"])
def test_a_step_that_blows_up_is_refused(step: Step) -> None:
    toy = Toy({"one": lambda w: w.pow(4).sum(), "two": lambda w: w.sum() + 9})
    with pytest.raises(UserError, match=f"on loss one makes loss one not finite; lower {step.key}$"):
        related(toy, step)
    sometimes = Toy({"one": lambda w: w.sum() / (w[0] > 2.99), "two": lambda w: w.sum()})
    with pytest.raises(UserError, match="on loss one makes loss one not finite; lower --rate"):
        related(sometimes, EqualLength(0.01))


def test_a_loss_that_is_0_is_left_open() -> None:
    toy = Toy({"one": lambda w: w.sum(), "zero": lambda w: (w[0] - 3).relu() * 0 + (3 - w[0]).relu()})
    assert related(toy, EqualLength(0.01)).transfer.isnan().tolist() == [[False, True], [True, True]]


def test_small_numbers_keep_their_digits() -> None:
    assert [three_digits(value) for value in (0.004781, -17.461, 100, -0.0, math.nan)] == [
        "+0.00478", "-17.5", "+100", "+0.00", "-",
    ]  # fmt: skip
    cells = transfer_cells(noisy(torch.tensor([[0.002, 0.00002], [-0.001, 0.0]]).double(), 1e-9), " ")
    assert cells == [["+0.200 (+1.00)", "+0.00200 (-)"], ["-0.100 (-0.50)", "+0.00 (-)"]]


def test_the_picture_has_a_colour_for_each_cell() -> None:
    matrix = torch.tensor([[1.0, -1.0], [math.nan, 0.0]])
    picture = heat_map("two", ["first", "second"], matrix)
    colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert {TOGETHER, AGAINST, UNKNOWN} <= colours
    calm = heat_map("two", ["first", "second"], torch.zeros(2, 2))
    assert not {TOGETHER, AGAINST} & {colour for _, colour in calm.getcolors(1 << 20) or []}
    beyond = heat_map("two", ["first", "a second one of a very long name"], matrix * 7, [["many", "words"], ["", "\n"]])
    assert {TOGETHER, AGAINST} <= {colour for _, colour in beyond.getcolors(1 << 20) or []}
    of_both = {colour for _, colour in drawn(known()).getcolors(1 << 20) or []}
    assert {TOGETHER, UNKNOWN} <= of_both  # the own gains, and the column of c


# Branched heads


def branched(heads: type[Supervision], groups: list[list[str]]) -> tuple[Supervision, BranchedHeads]:
    """Plain heads, and the same in groups."""
    plain = made(heads)
    found = BranchedHeads(plain.tasks, NUM_FEATURES, heads, groups, width=7).double()
    for part in found.heads:
        part.load_state_dict({key: plain.state_dict()[key] for key in part.state_dict()})
    return plain, found


@pytest.mark.parametrize("groups", [[["map", "numbers"], ["kind"]], [["map"]], [["numbers", "kind", "map"]]], ids=str)
@pytest.mark.parametrize("heads", ALL)
def test_branches_begin_as_the_identity(heads: type[Supervision], groups: list[list[str]]) -> None:
    plain, grouped_heads = branched(heads, groups)
    (real, fake), targets, conditions = features(), truth(2), truth(3)
    assert grouped_heads.unbounded == plain.unbounded
    for one, other in (
        (plain.discriminator_losses(real, fake, targets, conditions),
         grouped_heads.discriminator_losses(real, fake, targets, conditions)),
        (plain.generator_losses(fake, conditions), grouped_heads.generator_losses(fake, conditions)),
        (plain.predictions(real), grouped_heads.predictions(real)),
    ):  # fmt: skip
        assert list(other) == ["numbers", "kind", "map"]
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("heads", [*ALL, partial(SpectralHeads, heads=AuxiliaryHeads)])
def test_a_seed_draws_the_same_heads_in_groups(heads: Callable[[Mapping[str, Task], int], Supervision]) -> None:
    def losses(supervision: Callable[[Mapping[str, Task], int], Supervision]) -> list[dict[str, Tensor]]:
        torch.manual_seed(3)
        game = mtgan(supervision=supervision)
        batch = next(iter(of_digits(game)))[0]
        return [dict(phase.losses({**batch, "draws": batch["draws"].at("any")}).losses) for phase in game.phases()]

    groups = [["ink", "blue"], ["red"]]
    both = losses(heads), losses(partial(BranchedHeads, heads=heads, groups=groups))
    for plain, branched_losses in zip(*both, strict=True):
        assert list(plain) == list(branched_losses)
        assert all(torch.equal(plain[name], branched_losses[name]) for name in plain)


@pytest.mark.parametrize("heads", ALL)
def test_a_branch_belongs_to_its_group(heads: type[Supervision]) -> None:
    _, module = branched(heads, [["map", "numbers"], ["kind"]])
    (real, fake), targets, conditions = features(), truth(2), truth(3)
    with torch.no_grad():
        for parameter in module.branches.parameters():
            parameter.add_(0.1)
    losses = module.discriminator_losses(real, fake, targets, conditions)
    for name, own in (("map", 0), ("numbers", 0), ("kind", 1)):
        for number, branch in enumerate(module.branches):
            gradients = torch.autograd.grad(
                losses[name], list(branch.parameters()), retain_graph=True, allow_unused=True
            )
            assert [gradient is not None and bool(gradient.any()) for gradient in gradients] == [number == own] * 5


@pytest.mark.parametrize(
    ("groups", "width", "says"),
    [
        ([["kind", "age"]], None, "names `age`, which has no head; the tasks with a head are numbers, kind, map"),
        ([["kind"], ["map", "kind"]], None, "names `kind` twice"),
        ([["kind"], []], None, "has an empty group"),
        ([["kind"]], 0, "width is 0; use 1 or more"),
    ],
)
def test_groups_that_are_none_are_refused(groups: list[list[str]], width: int | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        BranchedHeads(made(AuxiliaryHeads).tasks, NUM_FEATURES, AuxiliaryHeads, groups, width)


@pytest.mark.parametrize("outside", ["spectral", "branched"])
def test_branches_and_spectral_heads_go_together_both_ways(outside: str) -> None:
    groups = [["red", "even"], ["ink"]]
    spectral = partial(SpectralHeads, heads=AuxiliaryHeads)
    supervision = {
        "spectral": partial(SpectralHeads, heads=partial(BranchedHeads, heads=AuxiliaryHeads, groups=groups)),
        "branched": partial(BranchedHeads, heads=spectral, groups=groups),
    }
    game = mtgan(supervision=supervision[outside])
    game.check()
    owned = {name for name, _ in game.players["discriminator"].named_parameters() if ".branches." in name}
    assert len([name for name in owned if name.endswith("gain")]) == 2
    assert related(game, EqualLength(), of_digits(game)).transfer.isfinite().all()


# The command


def table(path: Path) -> dict[str, dict[str, float]]:
    with path.open(newline="") as file:
        return {
            row.pop("loss"): {name: float(cell or "nan") for name, cell in row.items()} for row in csv.DictReader(file)
        }


def test_the_whole_command(
    train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = f"--config={ROOT / 'conf' / 'tasks.yaml'}"
    run = train(tasks, "--trainer.max_steps=6")
    checkpoint, output = run / "checkpoints" / "last.ckpt", tmp_path / "relations"
    before, drawn = checkpoint.read_bytes(), torch.get_rng_state()
    capfd.readouterr()
    command = ["relations", f"--checkpoint={checkpoint}", "--num_batches=4", "--split=reference"]
    assert tools.main([*command, f"--output={output}", "--groups=2", "--by=affinity"]) == 0
    assert checkpoint.read_bytes() == before
    assert torch.equal(torch.get_rng_state(), drawn)
    said = capfd.readouterr().out
    names = ["adversarial", "red", "green", "blue", "even", "ink"]
    assert all(f"training `{name}`" in said for name in names)
    assert "groups by affinity: " in said
    affinity, transfer = table(output / "affinity.csv"), table(output / "transfer.csv")
    assert list(affinity) == list(transfer) == list(transfer["red"]) == names
    assert all(affinity[name][name] == 1 for name in names)
    assert table(output / "transfer_error.csv").keys() == transfer.keys()
    relative = table(output / "relative.csv")
    for name in names:
        part = transfer["red"][name] / transfer[name][name]
        assert math.isnan(relative["red"][name]) or relative["red"][name] == pytest.approx(part, rel=1e-4)
    assert relative["adversarial"]["adversarial"] == 1
    assert "(+1.00)" in said
    with Image.open(output / "relations.png") as picture:
        assert picture.width > 800
    overlay = yaml.safe_load((output / "branches.yaml").read_text())
    arguments = overlay["model"]["game"]["init_args"]["supervision"]["init_args"]
    assert sorted(name for group in arguments["groups"] for name in group) == sorted(names[1:])
    assert len(arguments["groups"]) == 2

    again = train(tasks, f"--config={output / 'branches.yaml'}", "--trainer.max_steps=3", runs="branched")
    state = torch.load(again / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    gains = [value for name, value in state.items() if name.endswith("branches.0.gain")]
    assert gains
    assert all(gain.any() for gain in gains)  # they have learnt
    capfd.readouterr()
    branched_command = ["relations", f"--checkpoint={again}/checkpoints/last.ckpt", "--num_batches=2"]
    assert tools.main([*branched_command, "--batch_size=16", "--by=affinity", "--groups=1", f"--output={output}"]) == 0
    regrouped = yaml.safe_load((output / "branches.yaml").read_text())["model"]["game"]["init_args"]["supervision"]
    assert regrouped["init_args"] == {"heads": arguments["heads"], "groups": [names[1:]], "width": None}

    gains = torch.eye(6).double() + 0.2 * torch.tensor([[i % 2 == j % 2 for i in range(6)] for j in range(6)])
    sure = Relations("discriminator", tuple(names), gains, gains, gains * 0, torch.full((6, 6), 4))
    monkeypatch.setattr(related_command, "measure", lambda *_: sure)
    assert tools.main([*command, f"--output={output}", "--groups=2"]) == 0
    said = capfd.readouterr().out
    assert "groups by transfer: red, blue, ink; green, even" in said and "8 of 20 gains between these tasks" in said
    monkeypatch.undo()

    for wrong, says in (
        (["--phase=critic"], "--phase critic: this Game has no such phase; it has discriminator, generator"),
        (["--groups=6"], "--groups is 6, and 5 tasks have a head (red, green, blue, even, ink); use 1 to 5"),
        (["--split=test"], "--split test: the data has no such split"),
        (["--num_batches=1"], "--num_batches is 1"),
        (["--batch_size=0"], "--batch_size is 0"),
        (["--rate=-1"], "--rate is -1.0"),
        (["--rate=nan"], "--rate is nan"),
        (["--rate=1e30"], "not finite; lower --rate"),
        (["--learning_rate=0"], "--learning_rate is 0.0"),
        (["--rate=1", "--learning_rate=1"], "not allowed with argument"),
        (["--by=guess"], "invalid choice"),
    ):
        assert tools.main([*command, f"--output={tmp_path / 'none'}", *wrong]) == 2
        assert says in capfd.readouterr().err
    assert not list((tmp_path / "none").iterdir())
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(before[:20_000])
    assert tools.main(["relations", f"--checkpoint={broken}", f"--output={tmp_path / 'x'}"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_a_run_without_tasks_has_no_relations(train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = [
        f"--model.balancers.{p}.weights.{c}=null"
        for p in ("discriminator", "generator")
        for c in ("red", "green", "blue")
    ]
    run = train("--model.game.supervision=null", *weights, "--trainer.max_steps=1")
    capfd.readouterr()
    command = ["relations", f"--checkpoint={run}/checkpoints/last.ckpt", f"--output={tmp_path / 'x'}"]
    assert tools.main(command) == 2
    assert "no phase of this Game has two losses that are no penalties" in capfd.readouterr().err
