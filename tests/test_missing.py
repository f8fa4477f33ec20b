"""Images that lack a label count neither for it nor against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lightning_mtgan.conditions import condition_numbers, draw_conditions
from lightning_mtgan.losses import data_to_data_cross_entropy
from lightning_mtgan.networks import TaskEmbedding
from lightning_mtgan.supervision import AuxiliaryHeads, ContrastiveHeads, Supervision, TwinHeads
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import TaskKind, TaskSpec, is_known
from lightning_mtgan.vital_signs import distance_within

COUNT = 12
SPECS = (
    TaskSpec("kind", TaskKind.CLASSIFICATION, 3, is_complete=False),
    TaskSpec("answers", TaskKind.ATTRIBUTES, 2, is_complete=False),
    TaskSpec("numbers", TaskKind.REGRESSION, 2, is_complete=False),
    TaskSpec("map", TaskKind.DENSE, 1, resolution=8, is_complete=False),
)
LACK = torch.arange(COUNT) % 3 == 0


def targets(lack: bool = True) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    found = {
        "kind": torch.randint(3, (COUNT,), generator=generator),
        "answers": torch.randint(2, (COUNT, 2), generator=generator).float(),
        "numbers": torch.randn(COUNT, 2, generator=generator),
        "map": torch.randint(256, (COUNT, 1, 8, 8), generator=generator).to(torch.int16),
    }
    if lack:
        for target in found.values():
            target[LACK] = torch.nan if target.is_floating_point() else -1
    return found


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_loss_is_that_of_the_images_with_a_label(spec: TaskSpec) -> None:
    task, whole = (make_tasks([replace(spec, is_complete=c)])[spec.name] for c in (False, True))
    prediction = torch.randn(COUNT, task.head_size, generator=torch.Generator().manual_seed(2), requires_grad=True)
    target = targets()[spec.name]
    assert torch.equal(is_known(target), ~LACK)
    loss = task.loss(prediction, target)
    loss.backward()
    assert torch.allclose(loss, whole.loss(prediction[~LACK], target[~LACK]))
    assert prediction.grad is not None and (prediction.grad[LACK] == 0).all() and (prediction.grad[~LACK] != 0).any()
    everything_lacks = target.clone().fill_(torch.nan if target.is_floating_point() else -1)
    assert task.loss(prediction, everything_lacks) == 0


@pytest.mark.parametrize("heads", [AuxiliaryHeads, ContrastiveHeads, TwinHeads])
def test_heads_learn_from_labelled_images_alone(heads: type[Supervision]) -> None:
    torch.manual_seed(0)
    supervision = heads(make_tasks(SPECS), 16)
    real, fake = torch.randn(2, COUNT, 16).requires_grad_(True).unbind()
    known = targets()
    with torch.no_grad():
        lacking = supervision.discriminator_losses(real, fake, known, known)
        alone = {name: target[~LACK] for name, target in known.items()}
        labelled = supervision.discriminator_losses(real[~LACK], fake[~LACK], alone, alone)
    for name in lacking:
        assert torch.allclose(lacking[name], labelled[name], atol=1e-6), name


def test_an_unknown_class_is_nobodys_negative() -> None:
    generator = torch.Generator().manual_seed(0)
    unit, proxy = (torch.nn.functional.normalize(torch.randn(n, 8, generator=generator), dim=1) for n in (COUNT, 3))
    label = targets()["kind"]
    with_unknown = data_to_data_cross_entropy(unit, proxy, label)
    assert torch.allclose(with_unknown, data_to_data_cross_entropy(unit[~LACK], proxy, label[~LACK]))


def test_nothing_in_particular_is_the_zero_vector() -> None:
    torch.manual_seed(0)
    tasks = make_tasks(SPECS)
    embedding = TaskEmbedding(SPECS, {name: task.code_size for name, task in tasks.items()}, 4)
    vectors = embedding({name: task.code(targets()[name]) for name, task in tasks.items()})
    assert (vectors[LACK] == 0).all() and (vectors[~LACK] != 0).all()
    whole = embedding({name: task.code(targets(lack=False)[name]) for name, task in tasks.items()})
    assert torch.equal(vectors[~LACK], whole[~LACK])


def test_unknown_classes_form_no_condition() -> None:
    numbers = condition_numbers(targets(), SPECS)
    assert numbers is not None and (numbers[LACK] == -1).all() and (numbers[~LACK] >= 0).all()
    features = torch.randn(2, COUNT, 8, generator=torch.Generator().manual_seed(0))
    everyone = distance_within(features[0], features[1], numbers)
    assert torch.allclose(everyone, distance_within(features[0, ~LACK], features[1, ~LACK], numbers[~LACK]))


def test_whole_rows_are_drawn_that_agree_with_a_map() -> None:
    tasks, rows = make_tasks(SPECS), targets(lack=False)
    wanted = rows["map"][[4, 7, 7]]
    drawn = draw_conditions(tasks, 3, torch.Generator(), torch.device("cpu"), {"map": wanted}, rows)
    assert torch.equal(drawn["kind"], rows["kind"][[4, 7, 7]])
    assert torch.equal(drawn["numbers"], rows["numbers"][[4, 7, 7]])
    assert tasks["map"].describe(torch.full((1, 8, 8), 51, dtype=torch.int16)) == "map 20%"
    assert tasks["kind"].describe(torch.tensor(-1)) == "kind ?"
