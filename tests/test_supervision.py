"""How heads learn and teach: each method against its formula, written out image by image."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, smooth_l1_loss

from lightning_mtgan.losses import data_to_data_cross_entropy
from lightning_mtgan.supervision import (
    ADCHeads,
    AuxiliaryHeads,
    AuxiliaryHeadsOnBoth,
    ContrastiveHeads,
    Supervision,
    TwinHeads,
)
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import TaskKind, TaskSpec

NUM_IMAGES, NUM_FEATURES, NUM_CLASSES = 9, 5, 3
KIND = TaskSpec("kind", TaskKind.CLASSIFICATION, NUM_CLASSES)
SPECS = (TaskSpec("numbers", TaskKind.REGRESSION, 2), KIND, TaskSpec("map", TaskKind.DENSE, 1, resolution=8))
LACK = torch.arange(NUM_IMAGES) % 3 == 0
ALL = [ADCHeads, AuxiliaryHeads, AuxiliaryHeadsOnBoth, ContrastiveHeads, TwinHeads]
every_way = pytest.mark.parametrize("heads", ALL)


def made(heads: type[Supervision], *specs: TaskSpec) -> Supervision:
    torch.manual_seed(0)
    return heads(make_tasks(specs or SPECS), NUM_FEATURES).double()


def features() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, NUM_IMAGES, NUM_FEATURES, generator=generator, dtype=torch.float64)
    return real.requires_grad_(True), fake.requires_grad_(True)


def truth(seed: int = 2, lack: Tensor | None = None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {
        "numbers": torch.randn(NUM_IMAGES, 2, generator=generator, dtype=torch.float64),
        "kind": torch.randint(NUM_CLASSES, (NUM_IMAGES,), generator=generator),
        "map": torch.randint(256, (NUM_IMAGES, 1, 8, 8), generator=generator).to(torch.int16),
    }
    if lack is not None:
        for target in found.values():
            target[lack] = torch.nan if target.is_floating_point() else -1
    return found


def naive_cross_entropy(head: nn.Module, rows: Tensor, classes: Tensor, offset: int = 0) -> float:
    """The mean of -log softmax(head(row))[offset + class] over the images whose class is known."""
    values = []
    for logits, number in zip(head(rows).tolist(), classes.tolist(), strict=True):
        if number >= 0:
            values.append(math.log(sum(map(math.exp, logits))) - logits[offset + number])
    return sum(values) / len(values)


@pytest.mark.parametrize("lack", [None, LACK], ids=["all known", "some unknown"])
def test_adc_heads_equal_a_naive_reference(lack: Tensor | None) -> None:
    supervision = made(ADCHeads, replace(KIND, is_complete=lack is None))
    head = supervision.get_submodule("joint_heads.kind")
    (real, fake), targets, conditions = features(), truth(2, lack), truth(3, None if lack is None else lack.roll(1))
    as_real = naive_cross_entropy(head, fake, conditions["kind"])
    as_fake = naive_cross_entropy(head, fake, conditions["kind"], offset=NUM_CLASSES)
    losses = supervision.discriminator_losses(real, fake, targets, conditions)
    assert losses["kind"].item() == pytest.approx(naive_cross_entropy(head, real, targets["kind"]) + as_fake)
    assert supervision.generator_losses(fake, conditions)["kind"].item() == pytest.approx(as_real - as_fake)


def test_adc_heads_by_hand() -> None:
    supervision = ADCHeads(make_tasks([replace(KIND, size=2)]), 4)
    with torch.no_grad():  # the features are the logits of (0, real), (1, real), (0, fake), (1, fake)
        supervision.get_parameter("joint_heads.kind.weight").copy_(torch.eye(4))
        supervision.get_parameter("joint_heads.kind.bias").zero_()
    three, five = math.log(3), math.log(5)
    real, fake = torch.tensor([[0.0, three, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, five]])
    of_real, of_fake = {"kind": torch.tensor([1])}, {"kind": torch.tensor([1])}
    learned = supervision.discriminator_losses(real, fake, of_real, of_fake)["kind"]
    assert learned.item() == pytest.approx(math.log(6 / 3) + math.log(8 / 5))
    assert supervision.generator_losses(fake, of_fake)["kind"].item() == pytest.approx(five)
    assert supervision.predictions(real)["kind"][0].exp().tolist() == pytest.approx([1 + 1, 3 + 1])
    assert supervision.predictions(fake)["kind"][0].softmax(0).tolist() == pytest.approx([2 / 8, 6 / 8])


def test_the_best_adc_head_makes_the_generators_loss_a_divergence() -> None:
    """An image is one of four; the best head knows log p(image, class) of real and of generated images."""
    real_counts = torch.tensor([[4, 1], [1, 2], [2, 2], [1, 3]], dtype=torch.float64)
    fake_counts = torch.tensor([[1, 5], [2, 2], [1, 1], [3, 1]], dtype=torch.float64)

    def drawn(counts: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        cells = torch.arange(8).repeat_interleave(counts.flatten().long())
        return torch.eye(4, dtype=torch.float64)[cells // 2], {"kind": cells % 2}

    (real, targets), (fake, conditions) = drawn(real_counts), drawn(fake_counts)
    supervision = ADCHeads(make_tasks([replace(KIND, size=2)]), 4).double()
    weight, bias = (supervision.get_parameter(f"joint_heads.kind.{name}") for name in ("weight", "bias"))
    with torch.no_grad():
        weight.copy_(torch.cat([real_counts, fake_counts], dim=1).log().T)
        bias.zero_()
    learned = supervision.discriminator_losses(real, fake, targets, conditions)["kind"]
    assert all(gradient.abs().max() < 1e-12 for gradient in torch.autograd.grad(learned, (weight, bias)))
    p, q = real_counts / real_counts.sum(), fake_counts / fake_counts.sum()
    divergence = float((q * (q / p).log()).sum())
    assert supervision.generator_losses(fake, conditions)["kind"].item() == pytest.approx(divergence)


@pytest.mark.parametrize("lack", [None, LACK], ids=["all known", "some unknown"])
def test_heads_on_both_equal_a_naive_reference(lack: Tensor | None) -> None:
    supervision = made(AuxiliaryHeadsOnBoth, replace(KIND, is_complete=lack is None))
    head = supervision.get_submodule("heads.kind")
    (real, fake), targets, conditions = features(), truth(2, lack), truth(3, None if lack is None else lack.roll(1))
    of_fakes = naive_cross_entropy(head, fake, conditions["kind"])
    losses = supervision.discriminator_losses(real, fake, targets, conditions)
    assert losses["kind"].item() == pytest.approx(naive_cross_entropy(head, real, targets["kind"]) + of_fakes)
    assert supervision.generator_losses(fake, conditions)["kind"].item() == pytest.approx(of_fakes)


@pytest.mark.parametrize("lack", [None, LACK], ids=["all known", "some unknown"])
def test_twin_heads_equal_a_naive_reference(lack: Tensor | None) -> None:
    supervision = made(TwinHeads, replace(KIND, is_complete=lack is None))
    head, twin = (supervision.get_submodule(name) for name in ("heads.kind", "twins.kind"))
    (real, fake), targets, conditions = features(), truth(2, lack), truth(3, None if lack is None else lack.roll(1))
    of_head, of_twin = (naive_cross_entropy(one, fake, conditions["kind"]) for one in (head, twin))
    losses = supervision.discriminator_losses(real, fake, targets, conditions)
    assert losses["kind"].item() == pytest.approx(naive_cross_entropy(head, real, targets["kind"]) + of_twin)
    assert supervision.generator_losses(fake, conditions)["kind"].item() == pytest.approx(of_head - of_twin)


def test_contrastive_heads_use_unit_vectors_and_proxies() -> None:
    supervision = made(ContrastiveHeads, KIND)
    (real, fake), targets, conditions = features(), truth(2), truth(3)
    proxies = normalize(supervision.get_parameter("proxies.kind.weight"), dim=1)
    unit_real, unit_fake = (normalize(supervision.get_submodule("embeddings.kind")(x), dim=1) for x in (real, fake))
    learned = supervision.discriminator_losses(real, fake, targets, conditions)["kind"]
    assert torch.equal(learned, data_to_data_cross_entropy(unit_real, proxies, targets["kind"], 0.98, 0.5))
    taught = supervision.generator_losses(fake, conditions)["kind"]
    assert torch.equal(taught, data_to_data_cross_entropy(unit_fake, proxies, conditions["kind"], 0.98, 0.5))
    cosines = [[(row @ proxy).item() / 0.5 for proxy in proxies] for row in unit_real]
    assert supervision.predictions(real)["kind"].tolist() == [pytest.approx(row) for row in cosines]


LEARNS_NUMBERS_FROM_FAKES = {AuxiliaryHeadsOnBoth, TwinHeads}


@every_way
def test_numbers_have_a_plain_head(heads: type[Supervision]) -> None:
    supervision = made(heads)
    (real, fake), targets, conditions = features(), truth(2), truth(3)
    code = supervision.tasks["numbers"].code
    learned = supervision.discriminator_losses(real, fake, targets, conditions)["numbers"]
    of_fakes, of_head = torch.autograd.grad(
        learned, (fake, supervision.get_parameter("heads.numbers.weight")), allow_unused=True
    )
    assert (of_fakes is not None) == (heads in LEARNS_NUMBERS_FROM_FAKES)
    assert of_head.any()
    assert supervision.predictions(real)["numbers"].shape == (NUM_IMAGES, 2)
    if heads is not TwinHeads:
        of_real = smooth_l1_loss(supervision.get_submodule("heads.numbers")(real), code(targets["numbers"]))
        of_fake = smooth_l1_loss(supervision.get_submodule("heads.numbers")(fake), code(conditions["numbers"]))
        assert torch.allclose(learned, of_real + of_fake if heads is AuxiliaryHeadsOnBoth else of_real)
        assert torch.allclose(supervision.generator_losses(fake, conditions)["numbers"], of_fake)


@every_way
def test_all_speak_of_each_task_in_its_shape(heads: type[Supervision]) -> None:
    supervision = made(heads)
    (real, fake), targets, conditions = features(), truth(2), truth(3)
    for losses in (
        supervision.discriminator_losses(real, fake, targets, conditions),
        supervision.generator_losses(fake, conditions),
    ):
        assert list(losses) == list(supervision.tasks)
        assert all(loss.shape == () and loss.dtype == torch.float64 for loss in losses.values())
    shapes = {name: tuple(found.shape) for name, found in supervision.predictions(real).items()}
    assert shapes == {name: (NUM_IMAGES, task.head_size) for name, task in supervision.tasks.items()}


@every_way
def test_what_is_unknown_counts_nothing(heads: type[Supervision]) -> None:
    supervision = made(heads, *(replace(spec, is_complete=False) for spec in SPECS))
    (real, fake), known = features(), truth(2, LACK)
    alone = {name: target[~LACK] for name, target in known.items()}
    learned = supervision.discriminator_losses(real, fake, known, known)
    expected = supervision.discriminator_losses(real[~LACK], fake[~LACK], alone, alone)
    learned |= {f"generator/{name}": loss for name, loss in supervision.generator_losses(fake, known).items()}
    taught = supervision.generator_losses(fake[~LACK], alone)
    expected |= {f"generator/{name}": loss for name, loss in taught.items()}
    for name, loss in learned.items():
        assert torch.allclose(loss, expected[name]), name
    gradients = torch.autograd.grad(sum(learned.values(), torch.zeros(())), (real, fake))
    assert all(not gradient[LACK].any() and gradient[~LACK].any() for gradient in gradients)


@every_way
def test_nothing_known_is_no_loss_and_no_gradient(heads: type[Supervision]) -> None:
    supervision = made(heads, *(replace(spec, is_complete=False) for spec in SPECS))
    (real, fake), nothing = features(), truth(2, torch.ones(NUM_IMAGES, dtype=torch.bool))
    learned = supervision.discriminator_losses(real, fake, nothing, nothing)
    taught = supervision.generator_losses(fake, nothing)
    losses = torch.stack([*learned.values(), *taught.values()])
    assert (losses == 0).all()
    gradients = torch.autograd.grad(losses.sum(), (real, fake, *supervision.parameters()), allow_unused=True)
    assert all(gradient is None or not gradient.any() for gradient in gradients)


@every_way
def test_gradients_equal_numeric_ones(heads: type[Supervision]) -> None:
    supervision = made(heads, *(replace(spec, is_complete=False) for spec in SPECS[:2]))
    (real, fake), targets, conditions = features(), truth(2, LACK), truth(3, LACK.roll(1))

    def both(real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
        learned = supervision.discriminator_losses(real, fake, targets, conditions)
        return (*learned.values(), *supervision.generator_losses(fake, conditions).values())

    assert torch.autograd.gradcheck(both, (real, fake))


@every_way
def test_half_precision_is_near(heads: type[Supervision]) -> None:
    supervision = made(heads)
    (real, fake), targets, conditions = features(), truth(2), truth(3)
    exact = supervision.discriminator_losses(real, fake, targets, conditions)
    supervision.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = supervision.discriminator_losses(real.float(), fake.float(), targets, conditions)
    assert {name: loss.item() for name, loss in near.items()} == pytest.approx(
        {name: loss.item() for name, loss in exact.items()}, rel=0.03
    )
