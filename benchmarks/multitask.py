"""What tasks do to a GAN: modes, control and diversity of variants of the main job.

Every row is ``python train.py`` with the keys of the row and nothing else changed: same images
seen, same networks, same evaluation. Rows are appended to a file as they finish; a second call goes
on where the first one stopped.

    python benchmarks/multitask.py                  # everything: about 40 minutes on 2 cores
    python benchmarks/multitask.py --table          # only print what is there
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("red", "green", "blue")
FIGURES = ("modes", "modes_kl", "accuracy", "recall", "coverage", "precision", "fid", "seconds")


def weights(player: str, value: float | str) -> list[str]:
    """The weight of every class task in one player's phase."""
    return [f"--model.balancers.{player}.weights.{name}={value}" for name in CLASSES]


NO_HEADS = ["--model.game.supervision=null", *weights("discriminator", "null"), *weights("generator", "null")]
NO_PROJECTION = [
    "--model.game.adversarial_head=lightning_mtgan.networks.UnconditionalHead",
    "--model.game.embedding_owner=generator",  # nobody else reads it then
]
UNCONDITIONAL = [*NO_PROJECTION, "--model.game.embedding=null", *weights("generator", "null")]
NO_PENALTIES = [
    "--model.game.regularizers=[]",
    "--model.balancers.discriminator.weights.r1=null",
    "--model.balancers.discriminator.weights.r2=null",
]
SUPERVISION = "--model.game.supervision=lightning_mtgan.supervision"

PLAIN = f"{SUPERVISION}.AuxiliaryHeads"

VARIANTS: dict[str, list[str]] = {
    "default: projection and contrastive heads (D2D-CE), λ_D .5, λ_G .1": [],
    "class heads, λ .5 in D and G, conditional G": [PLAIN, *NO_PROJECTION, *weights("generator", 0.5)],
    "projection D, no heads, conditional G": NO_HEADS,
    "heads in the trunk, unconditional G": [PLAIN, *UNCONDITIONAL],
    "neither": [*UNCONDITIONAL, *NO_HEADS],
    "neither, non-saturating, no penalties": [
        *UNCONDITIONAL,
        *NO_HEADS,
        *NO_PENALTIES,
        "--model.game.adversarial=lightning_mtgan.losses.NonSaturating",
    ],
    "projection and twin heads (TAC), λ_D .5, λ_G .1": [f"{SUPERVISION}.TwinHeads"],
    "projection and class heads, λ_D .5, λ_G .1": [PLAIN],
    "the same, the generator owns the embedding": [PLAIN, "--model.game.embedding_owner=generator"],
    "the same, λ_G .02": [PLAIN, *weights("generator", 0.02)],
    "the same, λ_G .3": [PLAIN, *weights("generator", 0.3)],
    "the same, λ_G 1": [PLAIN, *weights("generator", 1.0)],
}


def run(variant: str, seed: int, steps: int) -> dict[str, object]:
    """One training by the command line; its final figures."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            f"--seed_everything={seed}",
            f"--trainer.max_steps={steps}",
            f"--runs={folder}",
            "--wandb=off",
            "--trainer.enable_progress_bar=false",
            "--samples.every_kimg=0",
            "--fidelity.every_kimg=0",
            "--checkpoints.every_kimg=0",
            *VARIANTS[variant],
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(f"{variant}, seed {seed}:\n{done.stderr[-2000:]}")
        summary = json.loads(next(Path(folder).glob("*/*/summary.json")).read_text())
    figures = summary["figures"]
    accuracy = statistics.mean(figures.get(f"task_accuracy/{name}", math.nan) for name in CLASSES)
    return {
        "variant": variant,
        "seed": seed,
        "steps": steps,
        **{name: figures[name] for name in FIGURES if name in figures},
        "accuracy": accuracy,
        "seconds": time.perf_counter() - start,
    }


def rank(row: dict[str, object]) -> float:
    """Screening score: what the main job must show, each part in [0, 1]."""
    return float(row["modes"]) / 1000 + float(row["accuracy"]) + float(row["recall"]) + float(row["coverage"])  # type: ignore[arg-type]


def table(rows: list[dict[str, object]]) -> str:
    """A Markdown table: mean, and standard deviation where there are several seeds."""
    head = ["variant", "seeds", "modes", "KL", "accuracy", "recall", "coverage", "precision", "FID", "seconds"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for variant in VARIANTS:
        mine = [row for row in rows if row["variant"] == variant]
        if not mine:
            continue
        cells = [variant, str(len(mine))]
        for name, digits in zip(FIGURES, (0, 4, 4, 3, 3, 3, 1, 0), strict=True):
            values = [float(row[name]) for row in mine]  # type: ignore[arg-type]
            cell = f"{statistics.mean(values):.{digits}f}"
            cells.append(cell + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="the first one screens all variants")
    parser.add_argument("--best", type=int, default=5, help="variants that get all seeds")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--parallel", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "multitask.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[dict[str, object]]:
        found = [json.loads(line) for line in arguments.output.read_text().splitlines()]
        return [row for row in found if row["steps"] == arguments.steps]

    def play(jobs: list[tuple[str, int]]) -> None:
        done = {(row["variant"], row["seed"]) for row in rows()}
        with ThreadPoolExecutor(arguments.parallel) as pool:
            for row in pool.map(lambda job: run(*job, arguments.steps), [job for job in jobs if job not in done]):
                with arguments.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row, ensure_ascii=False), flush=True)

    if not arguments.table:
        screen, *others = arguments.seeds
        play([(variant, screen) for variant in VARIANTS])
        screened = sorted((row for row in rows() if row["seed"] == screen), key=rank, reverse=True)
        best = [str(row["variant"]) for row in screened[: arguments.best]]
        play([(variant, seed) for seed in others for variant in best])
    print(table(rows()))


if __name__ == "__main__":
    main()
