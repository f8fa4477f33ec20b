"""Shapes: what is rendered is what the targets say, and the judge sees it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lightning_mtgan.conditions import draw_conditions
from lightning_mtgan.data.rendering import SHAPES, SYMMETRY, TEXTURES, Factors, outline_angle, render, turned
from lightning_mtgan.data.shapes import ShapeImages, Shapes, draw_factors
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.shapes import TASKS, ShapesEvaluator
from lightning_mtgan.evaluation.shipped import for_torch_fidelity
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import DataSpec, TaskKind

CLASSES = ("shape", "colour", "texture", "background")


def rows_of(data: Shapes, count: int, split: str = "reference") -> tuple[Tensor, dict[str, Tensor]]:
    batch = data.dataset(split)[torch.arange(count)]
    return batch["image"], batch["targets"]


def angles(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], dim=1)


@pytest.mark.parametrize("image_size", [16, 32, 64, 128])
def test_an_image_is_the_same_to_the_bit_whatever_its_batch(image_size: int) -> None:
    images = Shapes(image_size=image_size, num_images=1000, tasks=TASKS).dataset("train")
    indices = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:37]
    together = images[indices]
    assert together["image"].shape == (37, 3, image_size, image_size) and together["image"].dtype is torch.uint8
    resolution = min(image_size, 32)
    assert together["targets"]["mask"].shape == (37, 1, resolution, resolution)
    for place in range(0, 37, 4):
        alone = images[indices[place : place + 1]]
        assert torch.equal(alone["image"][0], together["image"][place])
        for name, target in alone["targets"].items():
            assert torch.equal(target[0], together["targets"][name][place])


def test_only_training_images_follow_the_seed() -> None:
    one, other = Shapes(seed=0, num_images=64), Shapes(seed=1, num_images=64)
    assert torch.equal(rows_of(one, 64, "train")[0], rows_of(Shapes(num_images=64), 64, "train")[0])
    assert not torch.equal(rows_of(one, 64, "train")[0], rows_of(other, 64, "train")[0])
    for split in ("reference", "held_out"):
        assert torch.equal(rows_of(one, 64, split)[0], rows_of(other, 64, split)[0])
    assert not torch.equal(rows_of(one, 64, "reference")[0], rows_of(one, 64, "held_out")[0])


def test_all_targets_at_once_are_those_of_the_batches() -> None:
    images = Shapes(num_images=700, tasks=TASKS).dataset("train")
    batch = images[torch.arange(700)]["targets"]
    assert tuple(batch) == TASKS
    for name, target in images.targets().items():
        assert torch.equal(target, batch[name])


def test_shapes_lie_within_the_image() -> None:
    targets = Shapes(num_images=2000, tasks=(*CLASSES, "position", "size")).dataset("train").targets()  # type: ignore[arg-type]
    assert (targets["position"].abs() + targets["size"]).max() <= 1
    assert len({tuple(row) for row in torch.stack([targets[name] for name in CLASSES], 1).tolist()}) > 500


@pytest.mark.parametrize(("image_size", "count"), [(32, 600), (128, 100)])
def test_the_mask_lies_where_the_shape_is(image_size: int, count: int) -> None:
    _, targets = rows_of(Shapes(image_size=image_size, tasks=TASKS), count)
    share = targets["mask"][:, 0].double() / 255
    centres = (2 * torch.arange(32) + 1) / 32 - 1
    weight = share / share.sum(dim=(1, 2), keepdim=True)
    centroid = torch.stack([(weight * centres).sum(dim=(1, 2)), (weight * centres[:, None]).sum(dim=(1, 2))], dim=1)
    off = (centroid - targets["position"]).norm(dim=1)
    heart = targets["shape"] == SHAPES.index("heart")  # its centroid is not the centre of the circle around it
    assert off[~heart].max() < 0.01 and off[heart].max() < 0.15
    area, radius = 4 * share.mean(dim=(1, 2)), targets["size"][:, 0]
    for shape, factor in (("disc", math.pi), ("square", 2.0), ("triangle", 0.75 * math.sqrt(3))):
        chosen = targets["shape"] == SHAPES.index(shape)
        assert torch.allclose(area[chosen], factor * radius[chosen].double() ** 2, rtol=0.02)
    beyond = (centres - targets["position"][:, :1, None]) ** 2 + (
        centres[:, None] - targets["position"][:, 1:, None]
    ) ** 2
    assert share[beyond.sqrt() > targets["size"][:, :, None] + 0.1].max() == 0


def plain(count: int) -> Factors:
    factors = draw_factors(count, 3)
    return replace(factors, texture=torch.zeros_like(factors.texture))


def test_the_angle_tells_the_turns_that_can_be_seen() -> None:
    factors = plain(600)
    turns = torch.tensor(SYMMETRY)[factors.shape]
    whole = replace(factors, heading=turned(factors.heading, angles(2 * math.pi / turns.clamp(min=1))))
    half = replace(factors, heading=turned(factors.heading, angles(math.pi / turns.clamp(min=1))))
    told = {
        name: outline_angle(f.shape, f.heading) for name, f in (("as is", factors), ("whole", whole), ("half", half))
    }
    images = {name: render(f, 32)[0].int() for name, f in (("as is", factors), ("whole", whole), ("half", half))}
    assert torch.allclose(told["as is"], told["whole"], atol=1e-5)
    assert (images["as is"] - images["whole"]).abs().max() <= 1
    disc = factors.shape == SHAPES.index("disc")
    assert torch.equal(told["half"][disc], torch.tensor([1.0, 0.0]).expand(int(disc.sum()), 2))
    assert torch.allclose(told["as is"][~disc], -told["half"][~disc], atol=1e-5)
    seen = (images["as is"] - images["half"]).abs().amax(dim=(1, 2, 3))
    assert seen[disc].max() <= 1 and seen[~disc].min() > 40


def test_shape_and_texture_turn_clockwise() -> None:
    factors = replace(
        draw_factors(300, 4), background=torch.zeros(300, dtype=torch.int64), position=torch.zeros(300, 2)
    )
    quarter = replace(factors, heading=turned(factors.heading, torch.tensor([[0.0, 1.0]]).expand(300, 2)))
    difference = render(factors, 32)[0].rot90(-1, dims=(2, 3)).int() - render(quarter, 32)[0].int()
    assert difference.abs().max() <= 1
    flat = factors.texture == TEXTURES.index("plain")
    inside = render(factors, 32)[1] == 1
    brightest = render(factors, 32)[0].amax(dim=1).where(inside, 0)
    darkest = render(factors, 32)[0].amax(dim=1).where(inside, 255)
    spread = (brightest.amax(dim=(1, 2)).int() - darkest.amin(dim=(1, 2)).int()).abs()
    assert spread[flat].max() == 0 and spread[~flat].min() > 60  # each texture is visible in each shape


def test_dependent_tasks_have_joint_conditions() -> None:
    assert Shapes(tasks=CLASSES).spec.joint is None  # type: ignore[arg-type]
    for name in ("position", "size", "angle"):
        joint = Shapes(tasks=("shape", name)).spec.joint  # type: ignore[arg-type]
        assert joint is not None and set(joint) == {"shape", name} and len(joint[name]) == 4096
    spec = Shapes(tasks=TASKS).spec
    assert spec.joint is not None and {len(target) for target in spec.joint.values()} == {512}
    drawn = draw_conditions(
        make_tasks(spec.tasks), 200, torch.Generator().manual_seed(0), torch.device("cpu"), {}, spec.joint
    )
    assert (drawn["position"].abs() + drawn["size"]).max() <= 1
    assert Shapes(seed=9, tasks=TASKS).spec == spec == DataSpec.from_dict(spec.to_dict())


def test_every_task_has_a_finite_loss() -> None:
    data = Shapes(image_size=64, tasks=TASKS)
    _, targets = rows_of(data, 32)
    for name, task in make_tasks(data.spec.tasks).items():
        loss = task.loss(torch.zeros(32, task.head_size), targets[name])
        assert 0 < loss.item() < 3, name
        if task.spec.kind is TaskKind.REGRESSION:
            assert task.loss(task.code(targets[name]), targets[name]).item() == 0


@pytest.mark.parametrize("image_size", [0, 24, 256])
def test_sizes_that_are_not_rendered_are_refused(image_size: int) -> None:
    with pytest.raises(UserError, match=rf"data\.image_size is {image_size}"):
        Shapes(image_size=image_size)


@pytest.mark.parametrize("image_size", [32, 64])
def test_the_judge_sees_what_is_there(image_size: int) -> None:
    data, judge = Shapes(image_size=image_size, tasks=TASKS), ShapesEvaluator()
    image, targets = rows_of(data, 400, "held_out")
    found = judge.predictions(image, judge.features(image))
    figures = dict(task.figure(found[name], targets[name]) for name, task in make_tasks(data.spec.tasks).items())
    for name in TASKS:
        assert found[name].shape == targets[name].shape
        assert found[name].is_floating_point() or targets[name].dtype is torch.int64
    for name, least in (("shape", 0.995), ("colour", 0.995), ("texture", 0.99), ("background", 0.99)):
        assert figures[f"task_accuracy/{name}"] >= least
    for name, most in (("position", 0.008), ("size", 0.008), ("angle", 0.065), ("mask", 0.007)):
        assert figures[f"task_error/{name}"] <= most


def test_the_judge_takes_every_size_and_gives_features_to_torch_fidelity() -> None:
    judge = for_torch_fidelity(ShapesEvaluator)(
        "mtgan-shapes", ["features", "logits"], feature_extractor_weights_path=None
    )
    for image_size in (16, 128):
        image, targets = rows_of(Shapes(image_size=image_size, tasks=TASKS), 8)
        features, logits = judge(image)
        assert features.shape == (8, 64) and logits.shape == (8, 36)
        assert torch.allclose(logits.exp().sum(1), torch.ones(8), atol=1e-4)
        assert judge.predictions(image, features)["mask"].shape == targets["mask"].shape
    assert set(ShapesEvaluator(tasks=("shape",)).predictions(image, features)) == {"shape"}


def test_images_are_made_from_any_table_of_factors() -> None:
    factors = draw_factors(6, 0)
    images = ShapeImages(replace(factors, shape=torch.arange(6)), 32, ("shape",))
    assert images[torch.tensor([4, 2])]["targets"]["shape"].tolist() == [4, 2]


def test_constraints_are_measured_on_the_images() -> None:
    data = Shapes(batch_size=8, image_size=16, num_images=64, tasks=("shape", "mean_colour", "energy"))
    spec = data.spec
    measured = [task for task in spec.tasks if task.kind is TaskKind.CONSTRAINT]
    assert [task.name for task in measured] == ["mean_colour", "energy"]
    batch = data.dataset("train")[torch.arange(8)]
    assert set(batch["targets"]) == {"shape"}
    assert spec.joint is not None
    for task in measured:
        rows, found = spec.joint[task.name], task.measure(batch["image"].float() / 127.5 - 1)  # type: ignore[misc]
        assert rows.shape == (512, 3)
        assert (found >= rows.amin(0) - 0.2).all() and (found <= rows.amax(0) + 0.2).all()
        assert len(task.prior) == 3
