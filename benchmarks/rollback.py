"""Does a rollback save a run? The main job, undisturbed, and with the discriminator's learning rate x 20 in the middle.

Measurements come every 24 kimg: a rollback loses what was trained since the best of them.

python benchmarks/rollback.py                  # about 25 minutes on 2 cores
python benchmarks/rollback.py --table          # only print what is there
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPIKE = {
    "class_path": "benchmarks.faults.LearningRate",
    "init_args": {"player": "discriminator", "factor": 20, "step": 1500},
}
SPIKED = [f"--trainer.callbacks+={json.dumps(SPIKE)}"]
ROLL = ["--guard.reaction=lightning_mtgan.callbacks.RollBack"]
VARIANTS: dict[str, list[str]] = {
    "undisturbed": ROLL,
    "learning rate of D x 20 at step 1500, with rollback": [*SPIKED, *ROLL],
    "the same, only a warning": SPIKED,
}
FIGURES = ("fid", "recall", "coverage", "modes")


def run(variant: str, seed: int) -> dict[str, object]:
    """One training by the command line; its final figures and verdicts."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            *VARIANTS[variant],
            f"--seed_everything={seed}",
            f"--runs={folder}",
            "--wandb=off",
            "--trainer.enable_progress_bar=false",
            "--samples.every_kimg=0",
            "--fidelity.every_kimg=24",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(f"{variant}, seed {seed}:\n{done.stderr[-2000:]}")
        home = next(Path(folder).glob("*/version_*"))
        figures = json.loads((home / "summary.json").read_text())["figures"]
        path = home / "verdicts.json"
        verdicts = json.loads(path.read_text()) if path.exists() else []
    said = [f"{one['step']}: {one['verdict']} ({one['reaction']})" for one in verdicts]
    return {"variant": variant, "seed": seed, **{name: figures[name] for name in FIGURES}, "verdicts": said}


def table(rows: list[dict[str, object]]) -> str:
    """A Markdown table: mean, and standard deviation where there are several seeds."""
    lines = ["| variant | seeds | FID | recall | coverage | modes | alarms in all |", "|---|---|---|---|---|---|---|"]
    for variant in VARIANTS:
        mine = [row for row in rows if row["variant"] == variant]
        cells = [variant, ", ".join(str(row["seed"]) for row in mine)]
        for name, digits in zip(FIGURES, (2, 3, 3, 0), strict=True):
            values = [float(row[name]) for row in mine]  # type: ignore[arg-type]
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.{digits}f}{spread}" if values else "")
        alarms = sum(": healthy" not in said for row in mine for said in row["verdicts"])  # type: ignore[attr-defined]
        lines.append("| " + " | ".join([*cells, str(alarms)]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--parallel", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "rollback.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[dict[str, object]]:
        return [json.loads(line) for line in arguments.output.read_text().splitlines()]

    if not arguments.table:
        done = {(row["variant"], row["seed"]) for row in rows()}
        jobs = [(variant, seed) for seed in arguments.seeds for variant in VARIANTS if (variant, seed) not in done]
        with ThreadPoolExecutor(arguments.parallel) as pool:
            for row in pool.map(lambda job: run(*job), jobs):
                with arguments.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row, ensure_ascii=False), flush=True)
    print(table(rows()))


if __name__ == "__main__":
    main()
