"""The whole program through its real command line, small enough to run in seconds."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lightning_mtgan.cli import main
from tests.launch import Launched
from tests.picture_files import png, write_folder

torch.set_num_threads(1)  # these networks are too small to share, and a shared machine punishes waiting threads

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "conf").glob("*.yaml"))
PROTOCOL = '{"num_images": 600, "num_neighbour_images": 100, "kid_subsets": 2, "num_restored_images": 10}'
CACHE = tempfile.mkdtemp(prefix="references")
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
SMALL = [
    f"--fidelity.cache={CACHE}",
    "--wandb=off",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=5",
    "--trainer.enable_progress_bar=false",
    "--samples.every_kimg=0",
    "--fidelity.every_kimg=0",
    "--checkpoints.every_kimg=0",
    f"--fidelity.final={PROTOCOL}",
    f"--fidelity.periodic={PROTOCOL}",
    "--model.game.generator.width=8",
    "--model.game.trunk.width=8",
]

PENALTIES = [{"class_path": f"lightning_mtgan.regularizers.{name}", "init_args": {"every": 3}} for name in ("R1", "R2")]
SUM = json.dumps({"class_path": "lightning_mtgan.balancing.WeightedSum", "init_args": {"others": 0.5}})
LAZY = [
    f"--model.game.regularizers={json.dumps(PENALTIES)}",
    *[f"--model.balancers.discriminator.weights.{name}=null" for name in ("r1", "r2")],
    *[f"--model.balancers.{name}={SUM}" for name in ("r1", "r2")],
]
"""R1 and R2 at every third batch, each in a phase of its own."""

Train = Callable[..., Path]


def arguments_of(config: Path) -> list[str]:
    more = {
        "images": lambda: [f"--data.root={own_images()}", f"--data.cache={CACHE}"],
        "ssgan": lambda: ["--data.batch_size=16"],
        "enhancement": lambda: ["--data.image_size=16", "--data.batch_size=16"],
        "enhancement_unpaired": lambda: ["--data.image_size=16", "--data.batch_size=16"],
        "mts4gan": lambda: ["--data.image_size=16", "--data.batch_size=16"],
        "shapes": lambda: ["--data.image_size=16", "--data.batch_size=16"],
    }.get(config.stem, list)()
    return more if config.stem == "default" else [f"--config={config}", *more]


def small(arguments: tuple[str, ...]) -> list[str]:
    """What makes a training small, without the widths of a generator and a trunk that its Game does not have."""
    has_widths = not any(Path(one.partition("=")[2]).stem == "nested" for one in arguments)
    return [one for one in SMALL if has_widths or "width" not in one]


def served(data: Any, step: int = 0, rank: int = 0, ranks: int = 1) -> Any:
    """The loader of one rank, as a trainer at a step asks for it."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_rank=rank, world_size=ranks, global_step=step, strategy=strategy)
    loader = data.train_dataloader()
    return (data.on_after_batch_transfer(batch, 0) for batch in loader)


@cache
def own_images() -> Path:
    """A person's folder: a table of mixed tasks, in which labels are missing, and maps."""
    root = Path(CACHE) / "own"
    names = write_folder(root, 70)
    rows = ["file,kind,age,map"]
    for index, name in enumerate(names):
        path = root / "maps" / f"{index:03d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(16, 3 * index))
        kind, age = (("", "red", "green", "blue")[index % 4], "" if index % 5 == 0 else str(index / 7))
        rows.append(f"{name},{kind},{age},{path.relative_to(root)}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def newest_run(runs: Path) -> Path:
    return max(runs.glob("*/version_*"), key=lambda path: (path.stat().st_mtime, path.name))


def weights(run: Path) -> dict[str, torch.Tensor]:
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return content["state_dict"] | {f"average.{k}": v for k, v in content["lightning_mtgan"]["average"].items()}


def farthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest relative difference of any tensor."""
    assert one.keys() == other.keys()
    pairs = [(one[key].double(), other[key].double()) for key in one]  # counters are whole numbers
    return max(float((a - b).norm() / a.norm().clamp(min=1e-12)) for a, b in pairs)


def saboteur(name: str, **arguments: object) -> str:
    """The argument that puts one of ``tests.saboteurs`` into a training."""
    return f"--trainer.callbacks+={json.dumps({'class_path': f'tests.saboteurs.{name}', 'init_args': arguments})}"


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Trains in this process and returns the run's folder."""

    def run(*arguments: str, runs: str = "runs") -> Path:
        assert main([*small(arguments), f"--runs={tmp_path / runs}", *arguments]) == 0
        return newest_run(tmp_path / runs)

    return run


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Starts the ranks of a training as processes of their own, and does not wait for them."""
    started: list[Launched] = []

    def start(*arguments: str, ranks: int = 1, runs: str = "runs") -> Launched:
        output = tmp_path / "output" / str(len(started))
        started.append(Launched([*small(arguments), f"--runs={tmp_path / runs}", *arguments], ranks, output))
        return started[-1]

    yield start
    for launched in started:
        for process in launched.ranks:
            process.kill()
