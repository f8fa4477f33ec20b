from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.augment.chances import Chances, per_image
from lightning_mtgan.corruptions import Corruption, Damaged
from lightning_mtgan.evaluation import Evaluator, Jury, Measurement, Protocol, judging
from lightning_mtgan.evaluation.downstream import Downstream
from lightning_mtgan.types import TaskKind, TaskSpec
from tests.restorer import Images, Restorer

TASKS = (
    TaskSpec("shade", TaskKind.CLASSIFICATION, 4),
    TaskSpec("corner", TaskKind.CLASSIFICATION, 4),
    TaskSpec("unseen", TaskKind.CLASSIFICATION, 2),
    TaskSpec("height", TaskKind.REGRESSION, 1),
)


class Eye:
    """Sees the shade by an image's mean, and the corner of its first row that is lightest."""

    looks: int = 0

    def to(self, device: torch.device) -> Eye:
        return self

    def features(self, image: Tensor) -> Tensor:
        return image.double().mean((1, 2, 3))[:, None]

    def predictions(self, image: Tensor, features: Tensor) -> dict[str, Tensor]:
        self.looks += len(image)
        assert torch.equal(features, self.features(image))
        corner = image[:, 0, 0].long().argmax(1) % 4
        return {"shade": (features[:, 0] // 64).long(), "corner": corner, "height": features}


def eye() -> Evaluator:
    return cast(Any, Eye())


class Darker(Corruption):
    """All light of some images is lost."""

    name = "dark"

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        (share,) = chances.uniform(1)
        return Damaged(image.where(per_image(share < 0.5), -1.0), image.new_zeros(len(image), 1, *image.shape[2:]))


class Shift(Corruption):
    name = "shift"

    def __call__(self, image: Tensor, chances: Chances) -> Damaged:
        return Damaged(image.roll(1, 3), image.new_zeros(len(image), 1, *image.shape[2:]))


class Lamp(Restorer):
    """Brings back what it remembers of dark images, and of no others."""

    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        dark = torch.tensor([name == "dark" for name in corruptions])
        return damaged.image.where(~per_image(dark), 1.0)


def shaded(count: int) -> Images:
    """Images of one shade and a light pixel, each of its classes."""
    generator = torch.Generator().manual_seed(0)
    shade, corner = torch.randint(0, 4, (2, count), generator=generator)
    image = (64 * shade + 20)[:, None, None, None].expand(-1, 3, 5, 4).clone()
    image[torch.arange(count), :, 0, corner] += 30
    height = torch.rand(count, 1, generator=generator)
    shade[::5] = -1  # unknown
    return Images(image.to(torch.uint8), shade=shade, corner=corner, height=height, other=corner)


def test_right_wrong_and_unknown() -> None:
    images = shaded(10)
    image, targets = images.image, images.truths
    seen = Downstream(eye(), TASKS).look(image, targets)
    assert list(seen) == ["shade", "corner"]
    assert seen["shade"].isnan().tolist() == [True, False, False, False, False] * 2
    assert all(rows.dtype == torch.float64 and rows.nanmean() == 1 for rows in seen.values())
    wrong = Downstream(eye(), TASKS).look(image.roll(1, 3), targets)
    assert wrong["corner"].tolist() == [0.0] * 10 and wrong["shade"].nanmean() == 1


def test_nothing_to_see_is_not_looked_at() -> None:
    judge, images = Eye(), shaded(3)
    assert Downstream(cast(Any, judge), TASKS[2:]).look(images.image, images.truths) == {}
    assert Downstream(cast(Any, judge), TASKS[:1]).look(images.image, {"height": torch.zeros(3, 1)}) == {}
    assert judge.looks == 0


def row(*values: float) -> dict[str, Tensor]:
    return {"shade": torch.tensor(values, dtype=torch.float64)}


def test_figures_by_hand() -> None:
    unknown = float("nan")
    one = Downstream(eye(), TASKS)
    found = one.figures(row(1, 1, 1, unknown, 0), row(0, 0, 1, unknown, 0), row(1, 0, 1, unknown, 0))
    assert found == {
        "downstream/shade": 0.5,
        "downstream_input/shade": 0.25,
        "downstream_clean/shade": 0.75,
        "recovered/shade": 0.5,
    }
    harmed = one.figures(row(1, 1), row(1, 0), row(0, 0))
    assert harmed["recovered/shade"] == -1
    assert "recovered/shade" not in one.figures(row(1, 0), row(0, 1), row(1, 1))  # the damage costs nothing
    assert "recovered/shade" not in one.figures(row(*[1.0] * 200), row(*[1.0] * 199, 0), row(1))
    assert "recovered/shade" in one.figures(row(*[1.0] * 200), row(*[1.0] * 197, 0, 0, 0), row(1))
    assert one.figures(row(unknown), row(unknown), row(unknown)) == {}


class Data:
    def __init__(self, images: Images) -> None:
        self.images, self.splits = images, {"held_out": "", "reference": ""}

    def dataset(self, split: str) -> Images:
        return self.images


def measured(count: int) -> dict[str, float]:
    judge = eye()
    game = Lamp([Darker(), Shift()], TASKS)
    measurement = Measurement(Jury(judge, judge), Data(shaded(count)), game, None)
    return measurement.restorations(Protocol(num_restored_images=count), seed=2)


def test_a_measurement_pools_the_corruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BATCH", 4)
    found, images = measured(11), shaded(11)
    corner, shade = images.truths["corner"], images.truths["shade"]
    known = shade >= 0
    assert found["downstream_clean/shade"] == found["downstream_clean/corner"] == 1
    # Shifted images never have the right corner; restored dark ones are white, and seen as 3 and 0.
    assert found["downstream/corner"] == pytest.approx((corner == 0).double().mean().item() / 2)
    assert found["downstream/shade"] == pytest.approx(((shade == 3)[known].double().mean().item() + 1) / 2)
    assert 0.5 < found["downstream_input/shade"] < 1
    wanted = (found["downstream/shade"] - found["downstream_input/shade"]) / (1 - found["downstream_input/shade"])
    assert found["recovered/shade"] == pytest.approx(wanted)
    assert not any(name.endswith(("/height", "/unseen", "/other")) for name in found)
    assert "contrast" in found and "psnr/dark" in found


def test_two_ranks_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BATCH", 4)
    alone, sent = measured(11), list[Any]()

    def found_by(rank: int) -> dict[str, float]:
        def gather_to_first(value: Any) -> list[Any] | None:
            sent.append(value)
            return sent[::-1] if rank == 0 else None

        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: 2)
        monkeypatch.setattr(distributed, "gather_to_first", gather_to_first)
        return measured(11)

    assert found_by(1) == {}
    assert found_by(0) == alone
    sizes = {rows.dtype for batches in sent for _, groups in batches for rows in groups["1/clean"].values()}
    assert sizes == {torch.float64}
