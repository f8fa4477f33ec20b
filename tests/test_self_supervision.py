"""Tasks without labels: changes that can be undone, and losses against their formulas, written out image by image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, permutations

import pytest
import torch
from torch import Tensor, nn

from lightning_mtgan import distributed
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.regularizers import Pass, Play, Seen
from lightning_mtgan.self_supervision import (
    Jigsaw,
    LabelAugmented,
    Rotations,
    SpectralLinear,
    Transformation,
    TransformationPrediction,
)
from lightning_mtgan.self_supervision.jigsaw import far_permutations
from lightning_mtgan.self_supervision.transformation_prediction import TransformationTask
from lightning_mtgan.types import DataSpec

SIZES = [(6, 6), (5, 7), (8, 3)]
CUT_SIZES = [(6, 9), (7, 10), (32, 32)]
CHANGES: dict[str, Callable[[], Transformation]] = {
    "quarter turns": Rotations,
    "half turns": lambda: Rotations(2),
    "4 tiles": Jigsaw,
    "9 tiles": lambda: Jigsaw(3, 12),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
every_task = pytest.mark.parametrize("cls", [TransformationPrediction, LabelAugmented])
every_share = pytest.mark.parametrize("probability", [1.0, 0.5])
NUM_IMAGES, SIZE, NUM_FEATURES, LATENT_DIM = 12, 6, 7, 5


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def each(image: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Every image changed in every way."""
    return image.repeat_interleave(count, 0), torch.arange(count).repeat(len(image))


# Changes of images


@pytest.mark.parametrize("size", SIZES + CUT_SIZES)
@every_change
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_undoing_gives_the_image_back_bit_by_bit(
    change: Callable[[], Transformation], size: tuple[int, int], dtype: torch.dtype
) -> None:
    transformation = change()
    image, index = each(images(2, 3, *size).to(dtype), transformation.count)
    changed = transformation(image, index)
    assert changed.dtype == dtype
    assert torch.equal(transformation.undone(changed, index, size), image)
    if size[0] == size[1]:
        assert changed.shape == image.shape
    if changed.shape == image.shape:
        assert torch.equal(changed[index == 0], image[index == 0])
        # No two ways give the same image, else the question would have no answer.
        assert len({tuple(one.flatten().tolist()) for one in changed}) == len(image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("turns", [2, 4])
def test_turns_equal_rot90_of_each_image(turns: int, size: tuple[int, int]) -> None:
    image, index = each(images(3, 2, *size), turns)
    changed = Rotations(turns)(image, index)
    side, (height, width) = max(size), size
    for one, number, found in zip(image, index.tolist(), changed, strict=True):
        canvas = one
        if turns == 4:
            canvas = torch.zeros(2, side, side)
            top, left = (side - height) // 2, (side - width) // 2
            canvas[:, top : top + height, left : left + width] = one
        assert torch.equal(found, torch.rot90(canvas, number * 4 // turns, (1, 2)))


@pytest.mark.parametrize("size", CUT_SIZES)
@pytest.mark.parametrize("grid", [2, 3])
def test_tiles_lie_where_a_loop_puts_them(grid: int, size: tuple[int, int]) -> None:
    transformation = Jigsaw(grid, 10)
    image, index = each(images(2, 3, *size), 10)
    h, w = (length // grid for length in size)

    def tile(place: int) -> tuple[slice, slice, slice]:
        row, column = divmod(place, grid)
        return slice(None), slice(row * h, row * h + h), slice(column * w, column * w + w)

    for one, number, found in zip(image, index.tolist(), transformation(image, index), strict=True):
        expected = one.clone()
        for place, source in enumerate(far_permutations(grid**2, 10)[number]):
            expected[tile(place)] = one[tile(source)]
        assert torch.equal(found, expected)


@every_change
def test_gradients_go_back_to_the_pixels_they_came_from(change: Callable[[], Transformation]) -> None:
    transformation = change()
    image, index = each(images(1, 2, 7, 10, dtype=torch.float64), transformation.count)
    image.requires_grad_()
    changed = transformation(image, index)
    weight = torch.randn_like(changed)
    (gradient,) = torch.autograd.grad((changed * weight).sum(), image)
    assert torch.equal(gradient, transformation.undone(weight, index, (7, 10)))


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def naive_choice(length: int, count: int) -> list[tuple[int, ...]]:
    chosen = [tuple(range(length))]
    rest = [one for one in permutations(range(length)) if one != chosen[0]]
    for _ in range(count - 1):
        far = [([distance(one, other) for other in chosen], one) for one in rest]
        best = max((min(all_), sum(all_)) for all_, _ in far)
        chosen.append(next(one for all_, one in far if (min(all_), sum(all_)) == best))
        rest.remove(chosen[-1])
    return chosen


@pytest.mark.parametrize(("length", "count"), [(4, 4), (4, 11), (4, 24), (6, 12)])
def test_permutations_are_those_of_a_naive_greedy_choice(length: int, count: int) -> None:
    assert list(far_permutations(length, count)) == naive_choice(length, count)


@pytest.mark.parametrize(("length", "count", "least"), [(4, 4, 4), (4, 24, 2), (9, 9, 9), (9, 30, 7)])
def test_permutations_are_far_apart(length: int, count: int, least: int) -> None:
    found = far_permutations(length, count)
    assert len(set(found)) == count
    assert found[0] == tuple(range(length))
    assert all(sorted(one) == list(range(length)) for one in found)
    assert min(distance(*pair) for pair in combinations(found, 2)) == least


# The tasks


class Toy:
    """A turn of a generator that is a matrix, and a trunk that is a layer."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, NUM_FEATURES), nn.Tanh()).to(dtype)
        self.matrix = torch.randn(3 * SIZE * SIZE, LATENT_DIM, dtype=dtype, requires_grad=True)
        self.image = images(NUM_IMAGES, 3, SIZE, SIZE, dtype=dtype)
        self.latent = torch.randn(NUM_IMAGES, LATENT_DIM, dtype=dtype)
        self.draws = Draws(seed=4, step=3, phase="discriminator", dtype=dtype)

    def generate(self, latent: Tensor) -> Tensor:
        return (latent @ self.matrix.T).view(-1, 3, SIZE, SIZE).to(latent.dtype)  # as a Game does under autocast

    def play(self, moves_generator: bool = False, rank: int = 0, world_size: int = 1) -> Play:
        def judge(image: Tensor, kind: str, track: bool) -> Seen:
            return Seen(Pass(image, image.flatten(1), image.flatten(1).sum(1)), slice(0, len(image)))

        rows = slice(rank * NUM_IMAGES // world_size, (rank + 1) * NUM_IMAGES // world_size)
        draws = replace(self.draws, rank=rank, world_size=world_size)
        image, latent = self.image[rows], self.latent[rows]
        return Play(draws, image, latent, self.generate, lambda z: z, lambda s, z: z, judge, moves_generator)

    def made(
        self, cls: type, change: Callable[[], Transformation] = Rotations, **changes: object
    ) -> TransformationTask:
        return cls(DataSpec(SIZE, 3), NUM_FEATURES, change(), **changes).to(self.image.dtype)

    def drawn(self, purpose: str) -> list[float]:
        return replace(self.draws, dtype=torch.float32).uniform(purpose, NUM_IMAGES).tolist()


def naive_surprises(toy: Toy, task: TransformationTask, kind: str, per_change: int) -> list[list[float]]:
    """-log softmax(head(trunk(T_k x)))[every label of k] of each image that takes part."""
    transformation, found = task.transformation, []
    image = toy.image if kind == "real" else toy.generate(toy.latent)
    takes_part = [number < task.probability for number in toy.drawn(f"{task.name}/{kind}/part")]
    for one, number, counts in zip(image, toy.drawn(f"{task.name}/{kind}"), takes_part, strict=True):
        index = int(number * transformation.count)
        row = task.head(toy.trunk(transformation(one[None], torch.tensor([index]))))[0].tolist()
        total = math.log(sum(map(math.exp, row)))
        if counts:
            found.append([total - row[per_change * index + label] for label in range(per_change)])
    return found


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


@every_share
@every_change
def test_prediction_equals_a_naive_reference(change: Callable[[], Transformation], probability: float) -> None:
    toy = Toy()
    task = toy.made(TransformationPrediction, change, probability=probability)
    real, fake = (naive_surprises(toy, task, kind, 1) for kind in ("real", "fake"))
    assert len(real) == NUM_IMAGES if probability == 1 else 0 < len(real) < NUM_IMAGES
    loss = task.discriminator_loss(toy.play(), toy.trunk)
    assert loss.item() == pytest.approx(mean([one for (one,) in real]))
    loss = task.generator_loss(toy.play(True), toy.trunk)
    assert loss.item() == pytest.approx(mean([one for (one,) in fake]))
    assert loss.dtype == torch.float64
    assert not task.is_unbounded


@every_share
@every_change
def test_label_augmentation_equals_a_naive_reference(change: Callable[[], Transformation], probability: float) -> None:
    toy = Toy()
    task = toy.made(LabelAugmented, change, probability=probability)
    real, fake = (naive_surprises(toy, task, kind, 2) for kind in ("real", "fake"))
    loss = task.discriminator_loss(toy.play(), toy.trunk)
    assert loss.item() == pytest.approx(mean([one for one, _ in real]) + mean([other for _, other in fake]))
    loss = task.generator_loss(toy.play(True), toy.trunk)
    assert loss.item() == pytest.approx(mean([one - other for one, other in fake]))
    assert task.is_unbounded


@every_task
@every_change
def test_tasks_are_called_after_what_they_ask(cls: type, change: Callable[[], Transformation]) -> None:
    assert Toy().made(cls, change).name == change().name
    assert change().name in ("rotation", "jigsaw")


@every_share
@every_task
@pytest.mark.parametrize("turn", ["discriminator_loss", "generator_loss"])
def test_two_ranks_equal_one_process(monkeypatch: pytest.MonkeyPatch, cls: type, probability: float, turn: str) -> None:
    toy = Toy()
    task = toy.made(cls, probability=probability)
    seen: list[Tensor] = []

    def trunk(image: Tensor) -> Tensor:
        seen.append(image)
        return toy.trunk(image)

    # How many images of each kind count on all ranks, in the order in which they are asked for.
    totals: list[Tensor] = []

    def heard(count: Tensor) -> Tensor:
        totals.append(count)
        return count

    monkeypatch.setattr(distributed, "total", heard)
    whole = getattr(task, turn)(toy.play(True), trunk)
    together, seen[:] = list(seen), []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    shares, changed = [], []
    for rank in range(2):
        counts = iter(totals)
        monkeypatch.setattr(distributed, "total", lambda count, counts=counts: next(counts))
        shares.append(getattr(task, turn)(toy.play(True, rank, 2), trunk))
        changed.append(list(seen))
        seen.clear()
    for kind, both in zip(together, zip(*changed, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(both), kind)  # a matrix product of half the rows rounds otherwise
    torch.testing.assert_close(torch.stack(shares).mean(0), whole)


@every_task
def test_the_discriminators_turn_moves_head_and_trunk_alone(cls: type) -> None:
    toy = Toy()
    task = toy.made(cls)
    play = toy.play()
    task.discriminator_loss(play, toy.trunk).backward()
    for parameter in (*task.parameters(), *toy.trunk.parameters()):
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
    assert toy.matrix.grad is None
    assert ("fake_image" in play.__dict__) == (cls is LabelAugmented)  # nothing is generated in vain


@every_task
def test_the_generators_turn_reaches_it_through_constants(cls: type) -> None:
    toy = Toy()
    task = toy.made(cls).requires_grad_(False)
    toy.trunk.requires_grad_(False)
    play = toy.play(moves_generator=True)
    play.real_image = torch.full_like(toy.image, torch.nan)  # not read
    loss = task.generator_loss(play, toy.trunk)
    loss.backward()
    assert loss.isfinite() and toy.matrix.grad is not None and toy.matrix.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in (*task.parameters(), *toy.trunk.parameters()))


def drawn_indices(task: TransformationTask, play: Play, draws: Draws, count: int) -> list[int]:
    """How the task changed real images: their first pixel tells."""
    image = torch.zeros(count, 3, 2, 2, dtype=torch.float64)
    image[:, :, 0, 0] = 1
    found: list[int] = []

    def trunk(changed: Tensor) -> Tensor:
        corners = changed[:, 0].flatten(1).argmax(1)  # counter-clockwise: 0, 2, 3, 1
        found.extend(torch.tensor([0, 3, 1, 2])[corners].tolist())
        return changed.new_zeros(count, NUM_FEATURES)

    play.draws, play.real_image = draws, image
    task.discriminator_loss(play, trunk)
    return found


def test_changes_are_drawn_alike_often_anew_and_whatever_the_precision() -> None:
    toy = Toy()
    task, play, draws, count = toy.made(TransformationPrediction), toy.play(), toy.draws, 4000
    state = torch.get_rng_state()
    found = drawn_indices(task, play, draws, count)
    assert torch.equal(torch.get_rng_state(), state)
    assert set(found) == {0, 1, 2, 3}
    for index in range(4):  # four standard deviations
        assert abs(found.count(index) - count / 4) < 4 * math.sqrt(count * 3 / 16)
    assert drawn_indices(task, play, replace(draws, dtype=torch.bfloat16), count) == found
    assert drawn_indices(task, play, replace(draws, step=9), count) != found
    assert drawn_indices(task, play, draws.at("generator"), count) != found
    half = [drawn_indices(task, play, replace(draws, rank=rank, world_size=2), count // 2) for rank in range(2)]
    assert half[0] + half[1] == found


def test_who_takes_part_does_not_depend_on_the_change() -> None:
    draws, count = Draws(seed=0), 4000
    index = (draws.uniform("rotation/real", count) * 4).long()
    takes_part = (draws.uniform("rotation/real/part", count) < 0.3).float()
    for number in range(4):
        assert takes_part[index == number].mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 900))


@every_task
def test_a_loss_over_no_image_is_zero(cls: type) -> None:
    toy = Toy()
    task = toy.made(cls, probability=1e-9)
    for loss in (task.discriminator_loss(toy.play(), toy.trunk), task.generator_loss(toy.play(True), toy.trunk)):
        assert loss.item() == 0
        loss.backward()
    assert toy.matrix.grad is not None and not toy.matrix.grad.any()


@pytest.mark.parametrize("shift", range(4))
@every_task
def test_a_perfect_head_is_right_and_a_wrong_one_is_not(cls: type, shift: int) -> None:
    image = torch.zeros(11, 3, SIZE, SIZE)
    image[:, :, 0, 0] = 1

    def corners(changed: Tensor) -> Tensor:  # in the order in which the first pixel visits them
        rows, columns = [0, -1, -1, 0], [0, 0, -1, -1]
        return changed[:, 0, rows, columns]

    task = cls(DataSpec(SIZE, 3), 4, Rotations())
    per_change = 4 if cls is TransformationPrediction else 8
    with torch.no_grad():
        task.head.weight.zero_()
        task.head.bias.fill_(9)  # labels of generated images say nothing about a real one
        task.head.bias[:: per_change // 4] = 0
        task.head.weight[:: per_change // 4] = torch.eye(4).roll(shift, 0)
    right = task.is_right(image, corners)
    assert right.tolist() == [float(shift == 0)] * 11


@every_task
def test_is_right_asks_for_each_change_in_turn(cls: type) -> None:
    seen: list[Tensor] = []

    def trunk(image: Tensor) -> Tensor:
        seen.append(image)
        return image.new_zeros(len(image), 2)

    image, task = images(9, 3, SIZE, SIZE), cls(DataSpec(SIZE, 3), 2, Jigsaw(2, 4))
    task.is_right(image, trunk)
    assert torch.equal(seen[0], Jigsaw(2, 4)(image, torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0])))


@every_task
def test_logits_keep_all_bits_under_autocast(cls: type) -> None:
    toy = Toy(torch.float32)
    task = toy.made(cls)
    given: list[Tensor] = []

    def trunk(image: Tensor) -> Tensor:
        given.append(toy.trunk(image))
        return given[-1]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = task.generator_loss(toy.play(True), trunk)
        logits = task.logits(toy.image, trunk)
    assert loss.dtype == logits.dtype == torch.float32
    assert torch.equal(logits, task.head(given[-1].float()))
    torch.testing.assert_close(loss, task.generator_loss(toy.play(True), toy.trunk), rtol=0.05, atol=0.05)


def test_a_spectral_head_has_norm_one() -> None:
    head = SpectralLinear(NUM_FEATURES, 4)
    for _ in range(30):
        head(torch.randn(2, NUM_FEATURES))
    assert torch.linalg.matrix_norm(head.layer.weight, 2).item() == pytest.approx(1, abs=1e-3)
    toy = Toy()
    for cls in (TransformationPrediction, LabelAugmented):
        assert toy.made(cls, head=SpectralLinear).generator_loss(toy.play(), toy.trunk).isfinite()


def test_the_table_of_permutations_is_in_no_checkpoint() -> None:
    task = TransformationPrediction(DataSpec(SIZE, 3), 2, Jigsaw()).double()
    assert set(task.state_dict()) == {"head.weight", "head.bias"}
    assert isinstance(task.transformation, Jigsaw) and task.transformation.order.dtype == torch.int64


# Mistakes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotations(3), r"Rotations\.turns is 3; use 4 for quarter turns, or 2"),
        (lambda: Jigsaw(4), r"Jigsaw\.grid is 4; use 2 or 3"),
        (lambda: Jigsaw(2, 25), r"Jigsaw\.permutations is 25; use 2 to 24 with grid 2"),
        (lambda: Jigsaw(3, 1), r"Jigsaw\.permutations is 1; use 2 to 362880 with grid 3"),
        (lambda: TransformationPrediction(DataSpec(2, 1), 4, Jigsaw(3)), r"grid is 3, but images have only 2 x 2"),
        (lambda: LabelAugmented(DataSpec(1, 1), 4, Jigsaw()), r"grid is 2, but images have only 1 x 1"),
        *[
            (lambda cls=cls, share=share: cls(DataSpec(8, 1), 4, Rotations(), share), rf"{cls.__name__}\.probability")
            for cls in (TransformationPrediction, LabelAugmented)
            for share in (0.0, 1.5, -0.1, math.nan)
        ],
    ],
)
def test_wrong_arguments_give_one_sentence(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value) and "; use" in str(caught.value)


def test_what_fits_is_not_refused() -> None:
    for transformation in (Rotations(), Rotations(2), Jigsaw(3, 2)):
        transformation.require_fitting(3)
