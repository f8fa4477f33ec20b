"""Every draw is a function of (seed, step, purpose), whatever the number of ranks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_mtgan.data import ClassBalanced, IndexedImages, Shuffled, TaskBalanced
from lightning_mtgan.data.order import BalancedStream, BatchOrder, ShuffledStream
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 6])
def test_ranks_slice_the_same_global_draw(num_ranks: int) -> None:
    whole = Draws(seed=5, step=7, phase="generator").normal("latent", 12, 4)
    share = 12 // num_ranks
    parts = [Draws(5, 7, "generator", rank, num_ranks).normal("latent", share, 4) for rank in range(num_ranks)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_micro_batches_slice_the_same_global_draw(num_ranks: int) -> None:
    """The first micro-batch is the first half of the global draw, whatever the number of ranks."""
    whole = Draws(seed=5, step=7, phase="generator").normal("latent", 12, 4)
    share = 12 // (2 * num_ranks)
    parts = [
        Draws(5, 7, "generator", rank, num_ranks).of_part(part, 2).normal("latent", share, 4)
        for part in range(2)
        for rank in range(num_ranks)
    ]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_a_micro_batch_holds_the_same_images_on_any_number_of_ranks(num_ranks: int) -> None:
    whole = BatchOrder(ShuffledStream(3, 100), 12, 0, 1, lambda: 0).batch(4)
    stream = ShuffledStream(3, 100)
    shares = [BatchOrder(stream, 12, rank, num_ranks, lambda: 0, micro_batches=2).batch(4) for rank in range(num_ranks)]
    halves = [torch.cat([share.chunk(2)[part] for share in shares]) for part in range(2)]
    assert torch.equal(torch.cat(halves), whole)


def test_every_coordinate_changes_the_draw() -> None:
    draws = Draws(seed=5, step=7, phase="generator")
    base = draws.normal("latent", 4, 3)
    others = [
        Draws(6, 7, "generator").normal("latent", 4, 3),
        Draws(5, 8, "generator").normal("latent", 4, 3),
        draws.at("discriminator").normal("latent", 4, 3),
        draws.normal("noise", 4, 3),
    ]
    assert torch.equal(draws.normal("latent", 4, 3), base)
    assert not any(torch.equal(other, base) for other in others)


def test_precision_does_not_change_the_numbers() -> None:
    single = Draws(1).normal("x", 5, 2)
    double = Draws(1, dtype=torch.float64).normal("x", 5, 2)
    assert double.dtype == torch.float64
    assert torch.equal(single, double.float())


@pytest.mark.parametrize(
    ("num_images", "batch_size", "num_ranks"), [(10, 5, 1), (10, 4, 1), (10, 4, 2), (3, 8, 1), (3, 8, 2), (10, 6, 3)]
)
def test_every_image_once_an_epoch_over_all_ranks(num_images: int, batch_size: int, num_ranks: int) -> None:
    orders = [
        BatchOrder(ShuffledStream(3, num_images), batch_size, rank, num_ranks, lambda: 0) for rank in range(num_ranks)
    ]
    num_batches = 2 * num_images  # a whole number of epochs
    stream = torch.cat([order.batch(step) for step in range(num_batches) for order in orders])
    epochs = stream.view(-1, num_images)
    assert all(torch.equal(epoch.sort().values, torch.arange(num_images)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_order_depends_on_the_position_alone() -> None:
    straight = BatchOrder(ShuffledStream(3, 100), 8, 0, 1, lambda: 0)
    batches = [straight.batch(step) for step in range(40)]
    resumed = iter(BatchOrder(ShuffledStream(3, 100), 8, 0, 1, lambda: 17))
    assert all(torch.equal(next(resumed), batches[step]) for step in range(17, 40))
    assert torch.equal(ShuffledStream(3, 100).indices(17 * 8, 8), batches[17])


@pytest.mark.parametrize("start", [0, 5, 4094])
def test_groups_take_turns_and_no_image_is_forgotten(start: int) -> None:
    groups = [torch.arange(0, 40), torch.arange(40, 43), torch.arange(43, 50)]
    stream = BalancedStream(3, groups)
    seen = stream.indices(start, 3 * 120)
    group_of = torch.tensor(
        [next(g for g, members in enumerate(groups) if index in members) for index in seen.tolist()]
    )
    turns = torch.bincount(group_of)
    assert turns.sum() == 360 and (turns - 120).abs().max() <= 1  # the ends may cut a round
    first = -start % 3
    assert all(len(turn.unique()) == 3 for turn in group_of[first : first + 300].view(-1, 3))
    counts = torch.bincount(seen, minlength=50)
    assert all(counts[members].max() - counts[members].min() <= 2 for members in groups)
    assert torch.equal(BalancedStream(3, groups).indices(start + 100, 50), seen[100:150])


class Labelled(IndexedImages):
    """Images that have labels of one task or the other."""

    def __len__(self) -> int:
        return 90

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        kind = torch.where(indices < 60, (indices >= 50).long(), -1)
        size = torch.where(indices >= 60, 1.0, torch.nan)[:, None]
        return {"image": torch.zeros(len(indices), 1, 8, 8), "targets": {"kind": kind, "size": size}}


def test_balanced_sampling_does_what_it_says() -> None:
    images = Labelled()
    seen = images[ClassBalanced("kind").stream(images, 0).indices(0, 300)]["targets"]["kind"]
    assert torch.bincount(seen + 1).tolist() == [100, 100, 100]  # unknown, 0 and 1
    seen = images[TaskBalanced().stream(images, 0).indices(0, 300)]["targets"]["kind"]
    assert ((seen >= 0).sum(), (seen < 0).sum()) == (150, 150)
    assert len(Shuffled().stream(images, 0).indices(0, 90).unique()) == 90
    with pytest.raises(UserError, match="the classification tasks of the data are kind"):
        ClassBalanced("size").stream(images, 0)
