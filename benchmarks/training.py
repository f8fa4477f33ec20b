"""What studies of whole trainings have in common: trainings in processes that stay, and rows that are kept."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from lightning_mtgan.checkpoint import build_game, read
from lightning_mtgan.cli import main
from lightning_mtgan.games import Game

ROOT = Path(__file__).resolve().parents[1]
QUIET = {
    **{"wandb": "off", "trainer.enable_progress_bar": "false", "trainer.accelerator": "cpu"},
    **{"samples.every_kimg": 0, "fidelity.every_kimg": 0, "checkpoints.every_kimg": 0, "conflicts.every": 0},
}
"""Nothing but the training and its last figures."""
Row = dict[str, Any]


class Trained(NamedTuple):
    """What a training leaves.

    Args:
        figures: Its last figures.
        game: Its Game, with averaged parameters.
        curves: What it wrote down on its way, for each name the steps and values.
    """

    figures: dict[str, float]
    game: Game
    curves: dict[str, list[tuple[int, float]]]


def trained(config: Path, keys: Mapping[str, object], domains: Mapping[str, object] | None = None) -> Trained:
    """One training by the command line, in this process.

    Args:
        config: File of conf/.
        keys: Keys of train.py and their values.
        domains: Instead of those in the file, to which a key could only add; None to keep them.
    """
    log, content = io.StringIO(), yaml.safe_load(config.read_text())
    if domains is not None:
        content["data"]["init_args"]["domains"] = domains
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / config.name
        changed.write_text(yaml.safe_dump(content))
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            arguments = [f"--{key}={value}" for key, value in {"config": changed, **QUIET, **keys}.items()]
            code = main([*arguments, f"--runs={folder}/runs"])
        if code:
            raise RuntimeError(f"{keys}:\n{log.getvalue()[-2000:]}")
        (run_folder,) = Path(folder).glob("runs/*/version_0")
        figures = json.loads((run_folder / "summary.json").read_text())["figures"]
        path = run_folder / "checkpoints" / "last.ckpt"
        return Trained(figures, build_game(read(path), path), curves(run_folder / "metrics.csv"))


def curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """The columns of a metrics.csv, each with the steps at which it has a number."""
    found: dict[str, list[tuple[int, float]]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            step = int(float(row["step"]))
            for name, value in row.items():
                with contextlib.suppress(ValueError):  # a cell may be empty, or words
                    number = float(value)
                    found.setdefault(name, []).append((step, number))
    return found


def run_all(work: Callable[..., Row], jobs: Sequence[tuple[Any, ...]], processes: int, output: Path) -> None:
    """Work on each job, one thread a process, and append each row as it is there.

    Args:
        work: From the parts of a job to its row, at the top level of a module.
        jobs: What is left to do.
        processes: How many at a time.
        output: File of JSON lines.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        for done in as_completed([pool.submit(work, *job) for job in jobs]):
            row = done.result()
            with output.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def kept(output: Path, **wanted: object) -> list[Row]:
    """The rows of a file that have these values; the file is made if need be."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.touch()
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def cell(values: Sequence[float], digits: int = 3) -> str:
    """Mean, and standard deviation where there are several."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}" if values else ""
