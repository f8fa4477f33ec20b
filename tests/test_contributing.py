"""What CONTRIBUTING.md shows works as it stands there."""

from __future__ import annotations

import csv
import importlib
import math
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from lightning_mtgan.errors import UserError
from tests.conftest import ROOT, Train

SECTION = (ROOT / "CONTRIBUTING.md").read_text().split("\n## A loss\n")[1].split("\n## ")[0]


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return str(text)


@pytest.fixture
def my_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "my_losses.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("my_losses")
    del sys.modules["my_losses"]


def test_a_loss_of_ones_own_trains(my_losses: ModuleType, train: Train) -> None:
    program, script, *arguments = shlex.split(block("bash"))
    assert (program, script) == ("python", "train.py")
    run = train(*arguments, "--trainer.max_steps=3", "--trainer.log_every_n_steps=1")
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    for player in ("discriminator", "generator"):
        losses = [float(row[f"loss/{player}/adversarial"]) for row in rows if row[f"loss/{player}/adversarial"]]
        assert len(losses) == 3
        assert all(map(math.isfinite, losses))
    assert "my_losses.OneSidedSmoothing" in (run / "config.yaml").read_text()


def test_its_arguments_are_given_in_one_line_of_a_file(my_losses: ModuleType, train: Train, tmp_path: Path) -> None:
    (line,) = block("yaml").splitlines()
    (tmp_path / "my.yaml").write_text(line)
    run = train(f"--config={tmp_path / 'my.yaml'}", "--trainer.max_steps=1")
    game = yaml.safe_load((run / "config.yaml").read_text())["model"]["game"]["init_args"]
    assert game["adversarial"] == {"class_path": "my_losses.OneSidedSmoothing", "init_args": {"real_target": 0.8}}


def test_it_is_the_loss_that_it_says(my_losses: ModuleType) -> None:
    loss = my_losses.OneSidedSmoothing()
    real, fake = torch.tensor([math.log(3)]), torch.tensor([-math.log(4)])  # real with 3/4 and with 1/5
    expected = -0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4) - math.log(4 / 5)
    assert loss.discriminator(real, fake).item() == pytest.approx(expected)
    assert loss.generator(None, fake).item() == pytest.approx(-math.log(1 / 5))
    certain = torch.tensor(9.0).log().requires_grad_()  # 90 %: where a real image's logit comes to rest
    (gradient,) = torch.autograd.grad(loss.discriminator(certain[None], fake), certain)
    assert abs(gradient) < 1e-7
    with pytest.raises(UserError, match="at most 1"):
        my_losses.OneSidedSmoothing(1.5)
