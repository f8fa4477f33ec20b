from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from lightning_mtgan.data.photographs import HELD_OUT, TRAINING, photographs
from lightning_mtgan.data.photos import SCALES, PhotoPatches, Photos, shrunk
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.extractor import load_weights
from lightning_mtgan.evaluation.frechet import Gaussian, frechet_distance
from lightning_mtgan.evaluation.photos import WEIGHTS, PhotosEvaluator
from lightning_mtgan.evaluation.shipped import for_torch_fidelity
from lightning_mtgan.evaluation.train_photos import knows_photographs
from lightning_mtgan.tasks import MeanColour
from lightning_mtgan.types import DataSpec


@pytest.fixture(scope="module")
def evaluator() -> PhotosEvaluator:
    return PhotosEvaluator()


def cut_by_hand(patches: PhotoPatches, index: int) -> Tensor:
    """A patch by slicing the photograph itself; only at scales that are whole numbers."""
    pixels = photographs(patches.held_out)[int(patches.photograph[index])].pixels
    scale, side = round(SCALES[int(patches.scale[index])]), patches.image_size
    top, left = (patches.place[index] * scale).tolist()
    whole = pixels[:, top : top + side * scale, left : left + side * scale].float()
    patch = avg_pool2d(whole, scale).round().to(torch.uint8)
    return patch.flip(2) if patches.mirrored[index] else patch


@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize("image_size", [16, 32, 128])
def test_a_patch_is_a_square_of_its_photograph(split: str, image_size: int) -> None:
    patches = Photos(image_size=image_size).dataset(split)
    whole = (patches.scale % 2 == 0).nonzero()[:60, 0]
    images = patches[whole]["image"]
    assert images.shape == (60, 3, image_size, image_size)
    for index, image in zip(whole.tolist(), images, strict=True):
        expected = cut_by_hand(patches, index)
        assert (image.short() - expected.short()).abs().max() <= (patches.scale[index] > 0)  # ties may round either way


def test_photographs_are_shrunk_by_exact_averages() -> None:
    torch.manual_seed(0)
    image = torch.randint(256, (3, 9, 13), dtype=torch.uint8)
    assert torch.equal(shrunk(image, 1), image)
    small = shrunk(image, 2.5)
    assert small.shape == (3, 3, 5)
    row = torch.tensor([0, 0, 0.5, 1, 1, 0, 0, 0, 0]) / 2.5  # pixels 2.5 to 5
    column = torch.tensor([1, 1, 0.5, *[0] * 10]) / 2.5
    assert (small[:, 1, 0] - (row @ image.float() @ column)).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("image_size", [32, 128])
def test_every_patch_lies_within_its_photograph(image_size: int) -> None:
    for split in ("train", "held_out"):
        patches = Photos(image_size=image_size).dataset(split)
        size = patches.pyramids.size[patches.photograph, patches.scale]
        assert bool((patches.place >= 0).all())
        assert bool((patches.place + image_size <= size).all())
    names, counts = Photos().dataset("train").photograph.unique(return_counts=True)
    assert names.tolist() == list(range(len(TRAINING)))
    assert counts.max() / counts.min() < 1.05


def test_held_out_patches_are_of_other_photographs() -> None:
    assert not set(HELD_OUT) & set(TRAINING)
    assert [one.name for one in photographs(True)] == list(HELD_OUT)
    data = Photos(tasks=("photograph",))
    batch = data.dataset("held_out")[torch.arange(50)]
    assert (batch["targets"]["photograph"] == -1).all()
    assert (data.dataset("train")[torch.arange(50)]["targets"]["photograph"] >= 0).all()


def test_an_image_is_a_function_of_seed_split_and_index() -> None:
    images = Photos().dataset("train")
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    together = images[order]["image"]
    assert torch.equal(together[:7], images[order[:7]]["image"])
    assert torch.equal(together[500], images[order[500:501]]["image"][0])
    fewer = Photos(num_images=1000).dataset("train")
    assert torch.equal(together, fewer[order]["image"])

    def first(split: str, seed: int) -> Tensor:
        return Photos(seed=seed).dataset(split)[torch.arange(20)]["image"]

    assert not torch.equal(first("train", 0), first("train", 1))
    assert not torch.equal(first("train", 0), first("reference", 0))
    for split in ("reference", "held_out"):
        assert torch.equal(first(split, 0), first(split, 1))


def test_targets_are_known_without_cutting_out() -> None:
    images = Photos(tasks=("photograph", "colour"), num_images=700).dataset("train")
    assert torch.equal(images.targets()["photograph"], images[torch.arange(700)]["targets"]["photograph"])
    assert Photos().dataset("train").targets() == {}


def test_tasks_that_follow_from_the_image_are_drawn_together() -> None:
    spec = Photos(tasks=("photograph", "colour", "texture")).spec
    assert spec.joint is not None
    assert [tuple(spec.joint[task.name].shape[1:]) for task in spec.tasks] == [(), (3,), (3,)]
    assert spec.tasks[0].labels == TRAINING
    colour = spec.tasks[1]
    assert colour.measure == MeanColour()
    table = torch.tensor(colour.prior)
    assert torch.allclose(table[:, 8], spec.joint["colour"].quantile(0.5, dim=0), atol=1e-3)
    other = Photos(seed=1, tasks=("photograph", "colour", "texture")).spec
    assert spec.tasks == other.tasks
    assert Photos(tasks=("photograph",)).spec.joint is None
    assert DataSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("image_size", [8, 48, 256])
def test_other_sizes_are_refused(image_size: int) -> None:
    with pytest.raises(UserError, match=rf"data\.image_size is {image_size}; use 16, 32, 64 or 128"):
        Photos(image_size=image_size)
    with pytest.raises(UserError, match=r"data\.num_images is 0"):
        Photos(num_images=0)


def test_the_judge_knows_places_that_it_has_never_seen(evaluator: PhotosEvaluator) -> None:
    assert WEIGHTS.stat().st_size < 250_000
    assert {one.dtype for one in load_weights(WEIGHTS).values()} == {torch.float16, torch.int64}
    assert float(knows_photographs(evaluator.network, 32, most=1500).split()[0]) >= 0.935


def test_features_of_any_size_grey_or_in_colour(evaluator: PhotosEvaluator) -> None:
    large = Photos(image_size=64).dataset("reference")[torch.arange(150)]["image"]
    features = evaluator.features(large)
    assert features.shape == (150, 128)
    assert torch.allclose(features[40:41], evaluator.features(large[40:41]), atol=1e-4)
    grey = large[:20, :1]
    assert torch.equal(evaluator.features(grey), evaluator.features(grey.expand(-1, 3, -1, -1)))
    assert evaluator.features(large[:2, :, :16, :50]).shape == (2, 128)
    assert torch.allclose(
        evaluator.network.features(large[:4, :, ::2, ::2].float() / 127.5 - 1),
        evaluator.features(large[:4, :, ::2, ::2]),
        atol=1e-4,
    )
    assert evaluator.predictions(large, features)["photograph"].max() < len(TRAINING)
    with pytest.raises(UserError, match="mtgan-photos sees images with 1 or 3 channels"):
        evaluator.features(torch.zeros(1, 4, 32, 32, dtype=torch.uint8))
    extractor = for_torch_fidelity(PhotosEvaluator)("mtgan-photos", ["logits", "features"], cuda=False)
    logits, again = extractor(large)
    assert torch.equal(again, features)
    assert torch.equal(logits, evaluator.logits(features))


def blurred(image: Tensor) -> Tensor:
    return avg_pool2d(pad(image.float(), (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def noisy(image: Tensor) -> Tensor:
    return image + 12 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


def redder(image: Tensor) -> Tensor:
    return image + torch.tensor([25.0, 0.0, 0.0])[:, None, None]


def test_the_frechet_distance_rises_with_every_fault(evaluator: PhotosEvaluator) -> None:
    patches = Photos().dataset("reference")

    def distance(indices: Tensor, fault: Callable[[Tensor], Tensor]) -> float:
        image = fault(patches[indices]["image"]).round().clamp(0, 255).to(torch.uint8)
        return frechet_distance(Gaussian.of(evaluator.features(image)), real)

    everything = torch.arange(len(patches))
    real = Gaussian.of(evaluator.features(patches[everything[:1000]]["image"]))
    others = everything[1000:2000]
    honest = distance(others, Tensor.float)
    for fault in (blurred, noisy, redder):
        assert distance(others, fault) > 2 * honest
    kept = everything[1000:][patches.photograph[1000:] != 3][:1000]
    assert distance(kept, Tensor.float) > 1.5 * honest  # one photograph of seven is missing
    assert distance(everything[patches.photograph == 3][:1000], Tensor.float) > 10 * honest


def test_held_out_regions_share_no_pixel_with_what_is_trained_on() -> None:
    data = Photos(num_images=4000, image_size=16, held_out_regions=0.25)
    train, regions = data.dataset("train"), data.dataset("regions")
    for patches in (train, data.dataset("reference"), regions):
        width = patches.pyramids.size[patches.photograph, patches.scale, 1]
        edge = (width * 0.75).round().long()
        first, last = patches.place[:, 1], patches.place[:, 1] + 16
        assert bool((first >= edge).all() if patches is regions else (last <= edge).all())
        assert int(last.max() - width[last.argmax()]) <= 0
    rows = torch.arange(40)
    tops, lefts = regions.place[rows].T.tolist()
    for index, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        pixels = shrunk(photographs(False)[regions.photograph[index]].pixels, SCALES[int(regions.scale[index])])
        patch = pixels[:, top : top + 16, left : left + 16]
        shown = regions[rows]["image"][index]
        assert torch.equal(shown, patch.flip(2) if regions.mirrored[index] else patch)
    assert "right 25% of" in data.splits["regions"] and "left 75% of" in data.splits["train"]
    assert "regions" not in Photos().splits


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"held_out_regions": 1.0}, "data.held_out_regions is 1.0"),
        ({"held_out_regions": 0.05, "image_size": 128}, "leaves no patch of 128 pixels"),
    ],
)
def test_regions_that_cannot_be_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Photos(num_images=10, **arguments).dataset("regions")
