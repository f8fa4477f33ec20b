from __future__ import annotations

import pytest
import torch

from lightning_mtgan.conditions import draw_conditions, parse_conditions
from lightning_mtgan.data import Digits, StackedDigits
from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks import MeanColour, TextureEnergy, make_tasks
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec

ALL = ("red", "green", "blue", "even", "ink", "colour", "texture")


@pytest.fixture(scope="module")
def data() -> StackedDigits:
    return StackedDigits(batch_size=8, tasks=ALL)


def batch_of(data: StackedDigits, count: int = 64) -> Batch:
    rows = data.dataset("train")[torch.arange(count)]
    return {"image": rows["image"] / 127.5 - 1, "targets": rows["targets"]}


def test_specs_survive_a_checkpoint(data: StackedDigits) -> None:
    assert DataSpec.from_dict(data.spec.to_dict()) == data.spec
    assert Digits().spec.tasks[0].size == 10
    assert torch.equal(DataSpec.from_dict(data.spec.to_dict()).joint["red"], data.spec.joint["red"])  # type: ignore[index]


def test_specs_do_not_depend_on_the_seed(data: StackedDigits) -> None:
    assert StackedDigits(seed=9, tasks=ALL).spec == data.spec


@pytest.mark.parametrize("name", ALL)
def test_the_loss_falls_when_the_prediction_is_right(data: StackedDigits, name: str) -> None:
    task = make_tasks(data.spec.tasks)[name]
    target = task.target(batch_of(data))
    if task.spec.kind is TaskKind.CLASSIFICATION:
        right = 9.0 * torch.nn.functional.one_hot(target, 10)
    elif task.spec.kind is TaskKind.ATTRIBUTES:
        right = 9.0 * task.code(target)
    else:
        right = task.code(target)
    wrong = right.roll(1, dims=0).contiguous()
    assert task.loss(right, target) < 0.01
    assert task.loss(wrong, target) > task.loss(right, target) + 0.01
    assert right.shape == (64, task.head_size)


@pytest.mark.parametrize("name", ALL)
def test_drawn_targets_look_like_the_data(data: StackedDigits, name: str) -> None:
    task = make_tasks(data.spec.tasks)[name]
    drawn = task.draw(20_000, torch.Generator().manual_seed(0), torch.device("cpu"))
    true = task.target(batch_of(data, 4096))
    assert drawn.shape[1:] == true.shape[1:]
    assert drawn.double().mean(0).numpy() == pytest.approx(true.double().mean(0).numpy(), rel=0.1, abs=0.02)
    assert drawn.double().std(0).numpy() == pytest.approx(true.double().std(0).numpy(), rel=0.2)


def test_fixing_one_task_leaves_the_others_as_they_were(data: StackedDigits) -> None:
    tasks, device = make_tasks(data.spec.tasks), torch.device("cpu")
    free = draw_conditions(tasks, 6, torch.Generator().manual_seed(1), device)
    given = parse_conditions(tasks, ["red=3", "ink=0.1,0.2,0.3", "even=1,0,1"], 6)
    fixed = draw_conditions(tasks, 6, torch.Generator().manual_seed(1), device, given)
    assert fixed["red"].tolist() == [3] * 6
    assert fixed["even"].tolist() == [[1, 0, 1]] * 6
    assert all(torch.equal(free[name], fixed[name]) for name in ("green", "blue", "colour", "texture"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("red=10", "classes 0 to 9"),
        ("red=-1", "classes 0 to 9"),
        ("red=three", "classes 0 to 9"),
        ("purple=1", "the tasks are red, green, blue"),
        ("red", "task=value"),
        ("ink=0.1", "3 numbers"),
        ("ink=a,b,c", "3 numbers"),
        ("even=1,0,2", "0 or 1"),
    ],
)
def test_a_wrong_condition_says_what_would_be_right(data: StackedDigits, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_conditions(make_tasks(data.spec.tasks), [text], 2)


def test_dependent_tasks_never_contradict_each_other(data: StackedDigits) -> None:
    tasks, spec, device = make_tasks(data.spec.tasks), data.spec, torch.device("cpu")

    def draw(*texts: str) -> dict[str, torch.Tensor]:
        given = parse_conditions(tasks, texts, 300)
        return draw_conditions(tasks, 300, torch.Generator().manual_seed(0), device, given, spec.joint)

    for wanted in (draw(), draw("red=3"), draw("red=3", "blue=8")):
        digits = torch.stack([wanted["red"], wanted["green"], wanted["blue"]], dim=1)
        assert torch.equal(wanted["even"], (digits % 2 == 0).float())
        assert torch.allclose(wanted["colour"], 2 * wanted["ink"] - 1, atol=1e-5)
    fixed = draw("red=3", "blue=8")
    assert fixed["red"].tolist() == [3] * 300
    assert len(set(fixed["green"].tolist())) == 10  # the free task still varies
    assert StackedDigits().spec.joint is None  # digits of different channels are independent


def test_a_task_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match="twice"):
        _ = StackedDigits(tasks=("red", "red")).spec


def test_a_checkpoint_cannot_name_any_function_as_a_measure(data: StackedDigits) -> None:
    plain = data.spec.to_dict()
    plain["tasks"][-1]["measure"] = {"module": "os", "class": "system", "arguments": {"command": "true"}}
    with pytest.raises(UserError, match="no Measure"):
        DataSpec.from_dict(plain)


def test_classes_can_be_asked_for_by_label() -> None:
    tasks = make_tasks([TaskSpec("shape", TaskKind.CLASSIFICATION, 2, ("disc", "square"), ((0.0, 1.0),))])
    assert parse_conditions(tasks, ["shape=square"], 2)["shape"].tolist() == [1, 1]
    drawn = tasks["shape"].draw(50, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert drawn.tolist() == [1] * 50
    assert tasks["shape"].describe(torch.tensor(0)) == "shape disc"


def test_measures_by_hand() -> None:
    image = torch.zeros(1, 1, 2, 2)
    image[0, 0, 0, 0] = 1.0
    assert MeanColour()(image).item() == pytest.approx(0.25)
    assert TextureEnergy()(image).item() == pytest.approx(0.5 + 0.5)
