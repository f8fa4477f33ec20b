"""The recipes of the literature: they say what they are, build at full size, and train when they are made narrow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lightning_mtgan import __main__ as tools
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.cli import DEFAULT_CONFIG, main
from lightning_mtgan.config_files import merged
from lightning_mtgan.data import Shapes
from lightning_mtgan.types import DataSpec, TaskKind, TaskSpec
from tests.conftest import ROOT, newest_run
from tests.test_composition import QUICK

RECIPES = sorted((ROOT / "conf" / "recipes").glob("*.yaml"))
ARCHITECTURES = sorted((ROOT / "conf" / "architectures").glob("*.yaml"))
CIFAR = DataSpec(32, 3, (TaskSpec("object", TaskKind.CLASSIFICATION, 10),))
FACES = DataSpec(64, 3, (TaskSpec("attributes", TaskKind.ATTRIBUTES, 40, prior=((0.5,),) * 40),))
ALL_SHAPES = ("shape", "colour", "texture", "position", "size", "mask", "mean_colour", "energy")
MILLIONS = {  # of the generator, with what reads its condition, and of the trunk
    "celeba64_attributes": (12.95, 10.14),
    "cifar10_biggan": (9.41, 2.41),
    "cifar10_r3gan": (20.73, 20.68),
    "cifar10_reacgan": (9.41, 2.41),
    "cifar10_sngan": (4.67, 1.054),
    "cifar10_stylegan2_ada": (20.47, 20.72),
    "shapes64": (3.42, 3.37),
}
NARROW = {
    "SNGAN": ["--model.game.generator.width=8", "--model.game.trunk.width=8"],
    "BigGAN": ["--model.game.generator.width=4", "--model.game.trunk.width=4"],
    "StyleGAN2": ["--model.game.generator.max_channels=8", "--model.game.trunk.max_channels=8"],
    "R3GAN": ["--model.game.generator.max_channels=16", "--model.game.trunk.max_channels=16"],
    "DCGAN": ["--model.game.generator.width=4", "--model.game.trunk.width=4"],
}


def narrow(file: Path) -> list[str]:
    name = merged([DEFAULT_CONFIG, file], {})["model"]["game"]["init_args"]["generator"]["class_path"]
    return next(keys for part, keys in NARROW.items() if f".{part}Generator" in name)


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_says_where_it_comes_from_and_what_to_expect(file: Path) -> None:
    head = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
    for word in ("Source: ", "FID there: ", "What differs: ", "Time on one H100-class GPU: about "):
        assert f"# {word}" in head


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_has_the_size_of_its_source(file: Path) -> None:
    spec = CIFAR if file.stem.startswith("cifar") else FACES
    if file.stem == "shapes64":
        spec = Shapes(image_size=64, num_images=64, tasks=ALL_SHAPES).spec
    with torch.device("meta"):
        game = configured_game(merged([DEFAULT_CONFIG, file], {})["model"]["game"], spec)
    game.check()
    sizes = [
        sum(parameter.numel() for parameter in network.parameters()) / 1e6
        for network in (game.generator, game.discriminator.trunk)  # type: ignore[attr-defined]
    ]
    assert sizes == pytest.approx(MILLIONS[file.stem], rel=0.01)


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_narrow_recipe_trains(file: Path, tmp_path: Path) -> None:
    tasks = list(ALL_SHAPES) if file.stem == "shapes64" else ["shape"]
    judged = [task for task in tasks if task not in ("mean_colour", "energy")]
    evaluator = {"class_path": "lightning_mtgan.evaluation.ShapesEvaluator", "init_args": {"tasks": judged}}
    size = 16 if file.stem == "shapes64" else 32
    arguments = [
        *QUICK,
        f"--runs={tmp_path}",
        *narrow(file),
        f"--config={file}",
        "--data=lightning_mtgan.data.Shapes",
        f"--data.tasks={tasks}",
        f"--data.image_size={size}",
        "--data.batch_size=8",
        "--data.num_images=640",
        "--trainer.precision=32-true",
        "--model.balancers.discriminator.weights={object: null, attributes: null}",
        "--model.balancers.generator.weights={object: null, attributes: null}",
        f"--fidelity.evaluator={json.dumps(evaluator)}",
        "--fidelity.extractor=null",
        '--fidelity.final={"num_images": 60, "num_neighbour_images": 20, "kid_subsets": 2}',
        "--trainer.max_steps=6",
    ]
    assert main(arguments) == 0
    content = torch.load(newest_run(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 6
    assert not any(content["lightning_mtgan"]["watch"]["skipped"].values())


@pytest.mark.parametrize("file", ARCHITECTURES, ids=lambda file: file.stem)
def test_an_architecture_trains_on_the_main_job(file: Path, tmp_path: Path) -> None:
    arguments = [*QUICK, f"--config={file}", f"--runs={tmp_path}", "--data.batch_size=16", *narrow(file)]
    arguments += ['--fidelity.final={"num_images": 60, "num_neighbour_images": 20, "kid_subsets": 2}']
    assert main([*arguments, "--trainer.max_steps=5"]) == 0
    last = newest_run(tmp_path) / "checkpoints" / "last.ckpt"
    assert tools.main(["generate", f"--checkpoint={last}", f"--output={tmp_path / 'images'}", "--num_images=4"]) == 0
    assert len(list((tmp_path / "images").glob("*.png"))) >= 4
    content = torch.load(newest_run(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)
    assert not any(content["lightning_mtgan"]["watch"]["skipped"].values())
