"""Does the collapse guard speak, soon enough, and only when it should?

Runs that fail on purpose and runs that do not, all by ``python train.py`` with the guard's defaults.
Each row is one run; rows are appended to a file as they finish, and a second call goes on where the
first one stopped. A fault begins at step 400 of 1,000 (the tiny data set at step 0). Measurements come
every 8 kimg (125 steps): 8 in a run, where the main job has 3 and its final figures.

    python benchmarks/collapse.py                  # everything: about 35 minutes on 2 cores
    python benchmarks/collapse.py --table          # only print what is there
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS, FAULT, EVERY_KIMG = 1000, 400, 8.0
DIGITS = ["--config=conf/digits.yaml"]
GREEN = [
    f"--model.balancers.{player}.weights.{name}=null"
    for player in ("discriminator", "generator")
    for name in ("red", "green", "blue")
]
NO_GENERATOR_WEIGHTS = [key for key in GREEN if "generator" in key]
UNCONDITIONAL = [
    "--model.game.embedding=null",
    "--model.game.adversarial_head=lightning_mtgan.networks.UnconditionalHead",
    *NO_GENERATOR_WEIGHTS,
]


def fault(name: str, **arguments: object) -> list[str]:
    """The argument that puts a fault into a training."""
    given = {"class_path": f"benchmarks.faults.{name}", "init_args": {**arguments, "step": FAULT}}
    return [f"--trainer.callbacks+={json.dumps(given)}"]


@dataclass(frozen=True)
class Case:
    """A way to train.

    Args:
        keys: What differs from the main job.
        start: Step at which its fault begins; None for a healthy run.
        seeds: Seeds, none of which was used to set a threshold.
    """

    keys: list[str]
    start: int | None
    seeds: tuple[int, ...]


FAULTS = {
    "learning rate of D x 20": fault("LearningRate", player="discriminator", factor=20),
    "learning rate of G x 20": fault("LearningRate", player="generator", factor=20),
    "task weights of G x 300": fault("TaskWeights", factor=300),
    "latent cut off": fault("CutLatent"),
    "dead class": fault("DeadClass", label=7),
    "D frozen (not used to set thresholds)": fault("LearningRate", player="discriminator", factor=0),
}
HALF = [f"--model.optimizers.{player}.lr=7.5e-4" for player in ("discriminator", "generator")]
CASES: dict[str, Case] = {
    **{f"stacks: {name}": Case(keys, FAULT, (4, 5, 6)) for name, keys in FAULTS.items()},
    "stacks: 100 images": Case(["--data.num_images=100"], 0, (4, 5, 6)),
    **{f"digits: {name}": Case([*DIGITS, *keys], FAULT, (4, 5)) for name, keys in FAULTS.items()},
    "digits: 50 images": Case([*DIGITS, "--data.num_images=50"], 0, (4, 5)),
    "stacks: healthy": Case([], None, tuple(range(4, 12))),
    "stacks: healthy, half learning rates": Case(HALF, None, (4, 5, 6)),
    "stacks: healthy, no task heads": Case(["--model.game.supervision=null", *GREEN], None, (10, 11, 12)),
    "stacks: healthy, plain task heads": Case(
        ["--model.game.supervision=lightning_mtgan.supervision.AuxiliaryHeads"], None, (4, 5, 6)
    ),
    "stacks: healthy, hinge": Case(["--model.game.adversarial=lightning_mtgan.losses.Hinge"], None, (4, 5, 6)),
    "stacks: healthy, unconditional": Case(UNCONDITIONAL, None, (7, 8, 9)),
    "digits: healthy": Case(DIGITS, None, tuple(range(4, 12))),
}


def run(name: str, seed: int) -> dict[str, object]:
    """One training by the command line: when the guard spoke, and when the FID had doubled."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            *case.keys,
            f"--seed_everything={seed}",
            f"--trainer.max_steps={STEPS}",
            f"--runs={folder}",
            "--wandb=off",
            "--trainer.enable_progress_bar=false",
            "--samples.every_kimg=0",
            f"--fidelity.every_kimg={EVERY_KIMG}",
            "--fidelity.final=null",
            "--checkpoints.every_kimg=0",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
        home = next(Path(folder).glob("*/version_*"))
        if done.returncode and case.start is None:
            raise RuntimeError(f"{name}, seed {seed}:\n{done.stderr[-2000:]}")
        rows = list(csv.DictReader((home / "metrics.csv").read_text().splitlines()))
        verdicts = json.loads((home / "verdicts.json").read_text()) if (home / "verdicts.json").exists() else []
    fids = [(int(row["step"]), float(row["fid"])) for row in rows if row["fid"]]
    alarms = [one for one in verdicts if one["verdict"] != "healthy"]
    start = case.start if case.start is not None else STEPS + 1
    before = [fid for step, fid in fids if step <= start]
    doubled = [step for step, fid in fids if before and step > start and fid > 2 * before[-1]]
    false = [one for one in alarms if one["step"] <= start]
    true = [one for one in alarms if one["step"] > start]
    return {
        "case": name,
        "seed": seed,
        "start": case.start,
        "false": [f"{one['step']}: {one['verdict']}: {one['evidence']}" for one in false],
        "detected": true[0]["step"] if true else None,
        "verdict": true[0]["verdict"] if true else None,
        "evidence": true[0]["evidence"] if true else None,
        "doubled": doubled[0] if doubled else None,
        "fid": fids[-1][1],
    }


def table(rows: list[dict[str, object]]) -> str:
    """A Markdown table, and the totals."""
    head = [
        "case",
        "runs",
        "detected",
        "steps after the fault",
        "share of the life after it",
        "first verdict",
        "FID doubled after",
        "false alarms",
        "FID at the end",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, case in CASES.items():
        mine = [row for row in rows if row["case"] == name]
        if not mine:
            continue
        fid = ", ".join(f"{float(row['fid']):.3g}" for row in mine)  # type: ignore[arg-type]
        false = sum(len(row["false"]) for row in mine)  # type: ignore[arg-type]
        if case.start is None:
            lines.append(f"| {name} | {len(mine)} | | | | | | {false} | {fid} |")
            continue
        delays = [int(row["detected"]) - case.start for row in mine if row["detected"] is not None]  # type: ignore[call-overload]
        doubled = [str(int(row["doubled"]) - case.start) if row["doubled"] else "never" for row in mine]  # type: ignore[call-overload]
        share = max(delays) / (STEPS - case.start) if delays else float("nan")
        names = ", ".join(sorted({str(row["verdict"]) for row in mine if row["verdict"]}))
        lines.append(
            f"| {name} | {len(mine)} | {len(delays)} | {', '.join(map(str, delays))} | at most {share:.0%} | {names} | "
            f"{', '.join(doubled)} | {false} | {fid} |"
        )
    failing = [row for row in rows if row["start"] is not None]
    healthy = [row for row in rows if row["start"] is None]
    found = [row for row in failing if row["detected"] is not None]
    first = [
        (int(row["detected"]) - int(row["start"])) / (STEPS - int(row["start"]))
        for row in found  # type: ignore[call-overload]
    ]
    doubled = [row for row in found if row["doubled"]]
    lead = [int(row["doubled"]) - int(row["detected"]) for row in doubled]  # type: ignore[call-overload]
    lines.append("")
    soon = sum(share <= 1 / 3 for share in first)
    false, early = (sum(bool(row["false"]) for row in group) for group in (healthy, failing))
    lines.append(
        f"{len(found)} of {len(failing)} failing runs detected, {soon} of them in the first third of their life after "
        f"the fault; {false} of {len(healthy)} healthy runs with a false alarm, {early} of {len(failing)} failing runs "
        "with one before their fault."
    )
    if lead:
        lines.append(
            f"Where the FID doubled ({len(lead)} runs), the guard spoke {statistics.mean(lead):.0f} ± "
            f"{statistics.stdev(lead) if len(lead) > 1 else 0:.0f} steps before a measurement showed it "
            f"(least {min(lead)})."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parallel", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "collapse.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[dict[str, object]]:
        return [json.loads(line) for line in arguments.output.read_text().splitlines()]

    if not arguments.table:
        done = {(row["case"], row["seed"]) for row in rows()}
        # First seeds first, so that a stopped benchmark has seen every case.
        jobs = [(name, case.seeds[i]) for i in range(8) for name, case in CASES.items() if i < len(case.seeds)]
        with ThreadPoolExecutor(arguments.parallel) as pool:
            for row in pool.map(lambda job: run(*job), [job for job in jobs if job not in done]):
                with arguments.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row, ensure_ascii=False), flush=True)
    print(table(rows()))


if __name__ == "__main__":
    main()
