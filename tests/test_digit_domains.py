from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_mtgan.data.digit_domains import Blended, DigitDomain, Domain, DomainImages, Edges, Negative, Plain
from lightning_mtgan.data.handwriting import digits
from lightning_mtgan.data.photos import PhotoPatches
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.digit_domains import WEIGHTS, DigitDomainsEvaluator
from lightning_mtgan.evaluation.extractor import load_weights
from lightning_mtgan.evaluation.shipped import for_torch_fidelity
from lightning_mtgan.evaluation.train_digit_domains import accuracy

DOMAINS: tuple[Domain, ...] = (Plain(), Negative(), Edges(), Blended())


@pytest.fixture(scope="module")
def evaluator() -> DigitDomainsEvaluator:
    return DigitDomainsEvaluator()


def every(domain: Domain, split: str = "train", image_size: int = 16, seed: int = 0) -> Tensor:
    images = DigitDomain(domain, image_size=image_size, seed=seed).dataset(split)
    return images[torch.arange(len(images))]["image"]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@pytest.mark.parametrize("image_size", [8, 16, 32])
def test_a_domain_is_what_its_spec_says(domain: Domain, image_size: int) -> None:
    data = DigitDomain(domain, image_size=image_size)
    batch = data.dataset("train")[torch.arange(5)]
    assert batch["image"].shape == (5, data.spec.num_channels, image_size, image_size)
    assert batch["image"].dtype == torch.uint8
    assert data.spec.image_size == image_size
    assert all(domain.words in words for words in data.splits.values())


def test_plain_digits_in_their_own_size_are_those_of_the_file() -> None:
    for split, held_out in (("train", False), ("reference", False), ("held_out", True)):
        assert torch.equal(every(Plain(), split, 8)[:, 0], digits(held_out)[0])


def test_the_negative_of_a_negative_is_plain() -> None:
    negative = every(Negative())
    assert torch.equal(Negative().show(negative, lambda: negative), every(Plain()))


def test_outlines_by_hand() -> None:
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[0, 0, 2, 2:] = 100  # a stroke from the middle to the right
    shown = Edges().show(image, lambda: image)[0, 0]
    assert shown.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 255, 255, 255],
        [0, 255, 255, 0, 255],
        [0, 0, 255, 255, 255],
        [0, 0, 0, 0, 0],
    ]
    assert Edges().show(torch.zeros_like(image), lambda: image).max() == 0
    assert bool((every(Edges()).amax((1, 2, 3)) == 255).all())


def test_blended_digits_differ_from_their_patch_by_the_digit() -> None:
    images = DigitDomain(Blended()).dataset("train")
    patches = PhotoPatches(False, 16, len(images), images.seed, ())
    indices = torch.tensor([5, 900, 31])
    patch, digit = patches[indices]["image"].int(), images.images[indices].int()
    shown = images[indices]["image"].int()
    assert bool(((shown == patch - digit) | (shown == digit - patch)).all())


def test_an_index_shows_the_same_digit_in_every_domain() -> None:
    indices = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    for split in ("train", "held_out"):
        sets = [DigitDomain(domain).dataset(split) for domain in DOMAINS]
        for images in sets:
            assert torch.equal(images.targets()["digit"], sets[0].targets()["digit"])
            batch = images[indices]
            assert torch.equal(batch["targets"]["digit"], images.targets()["digit"][indices])
            assert torch.equal(images.images, sets[0].images)
            assert torch.equal(batch["image"][17], images[indices[17:18]]["image"][0])


def test_only_training_scenery_follows_the_seed() -> None:
    def same(split: str, domain: Domain) -> bool:
        return torch.equal(every(domain, split, seed=0), every(domain, split, seed=1))

    assert not same("train", Blended())
    assert same("reference", Blended())
    assert same("held_out", Blended())
    assert same("train", Edges())
    assert not torch.equal(every(Blended(), "train"), every(Blended(), "reference"))


def test_held_out_digits_stand_before_held_out_photographs() -> None:
    images = DigitDomain(Blended()).dataset("held_out")
    others = PhotoPatches(True, 16, 360, images.seed, ())
    assert torch.equal(
        Blended().show(images.images, lambda: others[torch.arange(360)]["image"]), every(Blended(), "held_out")
    )


def test_fewer_digits_are_the_first() -> None:
    data = DigitDomain(Blended(), num_images=10)
    assert torch.equal(data.dataset("train")[torch.arange(10)]["image"], every(Blended())[:10])
    assert len(data.dataset("reference")) == 1437
    assert data.splits["train"].startswith("the first 10 of")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.image_size is 24; use 8, 16 or 32"):
        DigitDomain(image_size=24)
    with pytest.raises(UserError, match=r"data\.num_images is 0"):
        DigitDomain(num_images=0)


@pytest.mark.parametrize(
    ("domain", "image_size", "least"),
    [
        (Plain(), 16, 0.975),
        (Negative(), 16, 0.97),
        (Edges(), 16, 0.975),
        (Blended(), 16, 0.97),
        (Plain(), 8, 0.975),
        (Plain(), 32, 0.975),
        (Blended(), 32, 0.965),
    ],
    ids=str,
)
def test_the_judge_knows_digits_of_other_writers(
    evaluator: DigitDomainsEvaluator, domain: Domain, image_size: int, least: float
) -> None:
    assert accuracy(evaluator.network, domain, image_size) >= least


def test_the_judge_says_the_digit(evaluator: DigitDomainsEvaluator) -> None:
    assert WEIGHTS.stat().st_size < 150_000
    assert {one.dtype for one in load_weights(WEIGHTS).values()} == {torch.float16, torch.int64}
    images = DomainImages(False, Blended(), 32, 0)
    batch = images[torch.arange(200)]
    features = evaluator.features(batch["image"])
    assert features.shape == (200, 64)
    shown = evaluator.predictions(batch["image"], features)["digit"]
    assert (shown == batch["targets"]["digit"]).double().mean() > 0.95
    extractor = for_torch_fidelity(DigitDomainsEvaluator)("mtgan-digit-domains", ["logits", "features"], cuda=False)
    logits, again = extractor(batch["image"])
    assert torch.equal(again, features)
    assert torch.equal(logits.argmax(1), shown)
    with pytest.raises(UserError, match="mtgan-digit-domains sees images with 1 or 3 channels"):
        evaluator.features(torch.zeros(1, 2, 16, 16, dtype=torch.uint8))
