"""What self-supervised tasks on the discriminator's trunk do to a GAN with few labels, and where they do not help.

Every row is ``python train.py`` with a narrow discriminator and no gradient penalties, which leaves something to gain:
the main job itself is solved without them. Generated images are asked for what is drawn where real ones have no labels
(``completes_conditions``). The self-supervised GANs are compared with the plain one after as many images, and after as
much time: the plain one then makes more steps, by the ratio of the training times of two short runs side by side, of
the plain GAN and of the slowest of the others. Shapes, 16 x 16 pixels, 144 modes: 1 % (128 images), 10 % and all of the
labels. Shapes stand at any angle, so that no rotation can be told; jigsaws can be put together. Digits, 1,000 modes,
stand upright. Rows are appended to a file as they finish; a second call goes on where the first one stopped.

    python benchmarks/self_supervision.py            # everything: about 25 minutes on 2 idle cores
    python benchmarks/self_supervision.py --table    # only print what is there
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
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ("fid", "modes", "modes_kl", "recall", "coverage")
TIMED_STEPS = 300
"""Of the short runs that say how long a step takes."""
GLANCE = '{"num_images": 100, "num_neighbour_images": 50, "kid_subsets": 1, "num_copy_images": 0}'
"""How those are measured: hardly at all."""

BASELINE = [
    "--model.game.supervision=lightning_mtgan.supervision.AuxiliaryHeads",
    "--model.game.adversarial_head=lightning_mtgan.networks.UnconditionalHead",
    "--model.game.embedding_owner=generator",  # nobody else reads it then
    "--model.game.adversarial=lightning_mtgan.losses.NonSaturating",
    "--model.game.regularizers=[]",
    "--model.balancers.discriminator.weights.r1=null",
    "--model.balancers.discriminator.weights.r2=null",
    "--model.game.trunk.width=16",
    "--model.game.completes_conditions=true",
    "--model.optimizers.discriminator.lr=8e-4",
    "--model.optimizers.generator.lr=8e-4",
]
INNER = "--data.data=lightning_mtgan.data"
DATA = {
    "digits": [f"{INNER}.StackedDigits", "--data.data.num_images=12800", "--data.data.tasks=[red, green, blue]"],
    "shapes": [
        f"--config={ROOT / 'conf' / 'shapes.yaml'}",
        f"{INNER}.Shapes",
        "--data.data.image_size=16",
        "--data.data.num_images=12800",
        "--data.data.tasks=[shape, colour, texture]",
        "--fidelity.evaluator.tasks=[shape, colour, texture]",
    ],
}
SETTINGS = (("shapes", 0.01), ("shapes", 0.1), ("shapes", 1.0), ("digits", 0.01))
"""Data, and the share of their images that keep labels; all seeds play the first, some the others."""


def asks(kind: str, transformation: str, name: str, discriminator: float, generator: float) -> list[str]:
    """The keys of one self-supervised task with its weights, β and α of the papers."""
    package = "lightning_mtgan.self_supervision"
    change = {"class_path": f"{package}.{transformation}"}
    task = {"class_path": f"{package}.{kind}", "init_args": {"transformation": change}}
    return [
        f"--model.game.self_supervision={json.dumps([task])}",
        f"--model.balancers.discriminator.weights.{name}={discriminator}",
        f"--model.balancers.generator.weights.{name}={generator}",
    ]


PLAIN, LONGER = "plain", "plain, as long as the slowest"
METHODS: dict[str, list[str]] = {
    PLAIN: [],
    LONGER: [],
    "rotation (SS-GAN), β 1, α .2": asks("TransformationPrediction", "Rotations", "rotation", 1.0, 0.2),
    "jigsaw, β 1, α .2": asks("TransformationPrediction", "Jigsaw", "jigsaw", 1.0, 0.2),
    "jigsaw, label-augmented (LA+), .5": asks("LabelAugmented", "Jigsaw", "jigsaw", 0.5, 0.5),
    "jigsaw, label-augmented alone (SSGAN-LA)": [
        *asks("LabelAugmented", "Jigsaw", "jigsaw", 1.0, 1.0),
        "--model.balancers.discriminator.weights.adversarial=0.0",  # the head of 2K labels takes its place
        "--model.balancers.generator.weights.adversarial=0.0",
    ],
}
REPEATED = (PLAIN, LONGER, "jigsaw, β 1, α .2", "jigsaw, label-augmented (LA+), .5")
"""These play the first setting with all seeds, the others with one, to screen."""
ELSEWHERE = (PLAIN, "rotation (SS-GAN), β 1, α .2", "jigsaw, β 1, α .2", "jigsaw, label-augmented (LA+), .5")
"""These play the other settings."""
Job = tuple[str, float, str, int]
"""Data, share of labels, method, seed."""


def train(job: Job, *limits: str) -> dict[str, float]:
    """The final figures of one training by the command line."""
    data, share, method, seed = job
    command = [sys.executable, str(ROOT / "train.py"), "--data=lightning_mtgan.data.FewLabels", f"--data.share={share}"]
    command += [*DATA[data], *BASELINE, *METHODS[method], f"--seed_everything={seed}", *limits]
    command += ["--wandb=off", "--trainer.enable_progress_bar=false", "--samples.every_kimg=0"]
    command += ["--fidelity.every_kimg=0", "--checkpoints.every_kimg=0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command.append(f"--runs={folder}")
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(f"{job}:\n{done.stderr[-2000:]}")
        figures: dict[str, float] = json.loads(next(Path(folder).glob("*/*/summary.json")).read_text())["figures"]
    return figures


def training_seconds(figures: dict[str, float]) -> float:
    """Of the training alone: ``seconds`` of a run hold its measurements, too, which take as long for every method."""
    return 1000 * figures["kimg"] / figures["images_per_second"]


def slowness(data: str, share: float, pool: ThreadPoolExecutor) -> dict[str, Any]:
    """How many times as long as the plain GAN the slowest method takes, each timed beside a plain run of its own."""

    def seconds(job: Job) -> float:
        return training_seconds(train(job, f"--trainer.max_steps={TIMED_STEPS}", f"--fidelity.final={GLANCE}"))

    ratios = {}
    for method in METHODS:
        if method not in (PLAIN, LONGER):
            slow, plain = pool.map(seconds, [(data, share, one, 0) for one in (method, PLAIN)])
            ratios[method] = slow / plain
    return {"data": data, "ratios": ratios}


def _methods(is_first_setting: bool, is_first_seed: bool) -> tuple[str, ...]:
    if not is_first_setting:
        return ELSEWHERE
    return tuple(METHODS) if is_first_seed else REPEATED


def measure(job: Job, steps: int, ratio: float) -> dict[str, Any]:
    """One row."""
    data, share, method, seed = job
    trained = round(steps * ratio) if method == LONGER else steps
    figures = train(job, f"--trainer.max_steps={trained}")
    row = {"data": data, "share": share, "method": method, "seed": seed, "steps": steps, "trained": trained}
    obeyed = [value for name, value in figures.items() if name.startswith("task_accuracy/") and name.count("/") == 1]
    told = [figures[f"head_accuracy/{name}"] for name in ("rotation", "jigsaw") if f"head_accuracy/{name}" in figures]
    return {
        **row,
        **{name: figures[name] for name in FIGURES if name in figures},
        "accuracy": statistics.mean(obeyed) if obeyed else None,
        "told": told[0] if told else None,
        "seconds": training_seconds(figures),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table: mean, and standard deviation where there are several seeds.

    "Told": how often the head knows what was done to a held-out image. "Seconds" are those of training.
    """
    columns = {"fid": ("FID", 1), "modes": ("modes", 0), "modes_kl": ("KL", 3), "recall": ("recall", 3)}
    columns |= {"coverage": ("coverage", 3), "accuracy": ("accuracy", 3), "told": ("told", 2)}
    columns |= {"trained": ("steps", 0), "seconds": ("seconds", 0)}
    lines = []
    for data, share in SETTINGS:
        head = [f"{data}, {100 * share:g} % labels", "seeds", *(name for name, _ in columns.values())]
        lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for method in METHODS:
            mine = [row for row in rows if (row["data"], row["share"], row["method"]) == (data, share, method)]
            cells = [_cell([row[key] for row in mine], digits) for key, (_, digits) in columns.items()]
            if mine:
                lines.append("| " + " | ".join([method, str(len(mine)), *cells]) + " |")
    return "\n".join(lines)


def _cell(values: list[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    spread = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):,.{digits}f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the first setting")
    parser.add_argument("--others", type=int, default=1, help="so many of the seeds play the other settings, too")
    parser.add_argument("--steps", type=int, default=1000, help="batches of 64 images")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "self_supervision.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[dict[str, Any]]:
        return [json.loads(line) for line in arguments.output.read_text().splitlines()]

    def measured() -> list[dict[str, Any]]:
        return [row for row in rows() if row.get("steps") == arguments.steps]

    def add(row: dict[str, Any]) -> None:
        with arguments.output.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row, ensure_ascii=False), flush=True)

    if not arguments.table:
        with ThreadPoolExecutor(2) as pair:  # two at once whatever --jobs is: they are compared with each other
            for data in DATA:
                if all("ratios" not in row or row["data"] != data for row in rows()):
                    add(slowness(data, SETTINGS[0][1], pair))
        ratios = {row["data"]: max(row["ratios"].values()) for row in rows() if "ratios" in row}
        done = {(row["data"], row["share"], row["method"], row["seed"]) for row in measured()}
        jobs: list[Job] = [
            (data, share, method, seed)
            for data, share in SETTINGS
            for seed in (arguments.seeds if (data, share) == SETTINGS[0] else arguments.seeds[: arguments.others])
            for method in _methods((data, share) == SETTINGS[0], seed == arguments.seeds[0])
        ]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            left = [job for job in jobs if job not in done]
            list(pool.map(lambda job: add(measure(job, arguments.steps, ratios[job[0]])), left))
    for row in rows():
        if "ratios" in row:
            times = ", ".join(f"{method} {ratio:.2f}" for method, ratio in row["ratios"].items())
            print(f"seconds of the same {row['data']}, over those of the plain GAN: {times}")
    print(table(measured()))


if __name__ == "__main__":
    main()
