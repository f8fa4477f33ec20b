"""One network that restores photographs from seven corruptions, beside classical methods and seven networks.

Every row is ``python train.py --config conf/mts4gan.yaml`` with the keys of the row and nothing else changed: same
images, steps, learning rates falling to 0 along a cosine, and the same 500 patches to restore, of 32 x 32 pixels,
damaged by the same chances as in benchmarks/classical.py, which must have run before for its column to be filled.

"separate, L1 alone" is seven networks, one for each corruption, whose generators together have as many parameters as
the joint one's or, by the next width, a little more; each makes as many steps, on its corruption's share of the batch.
"joint, L1 alone" is its partner: nothing but the errors of the restorations is learned.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/classical.py
    python benchmarks/restoration.py                # three rows: about 35 minutes on 2 cores
    python benchmarks/restoration.py --only "joint, shared encoder (NICE-GAN)"      # and ten for each of the others
    python benchmarks/restoration.py --table        # only print what is there
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import classical
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.config_files import merged
from lightning_mtgan.data import Photos

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf" / "mts4gan.yaml"
CORRUPTIONS = {name: type(one).__name__ for name, one in classical.CORRUPTIONS.items()}
BATCH_SIZE = 32
HALF_LIFE_KIMG = 2.0
"""Of the average: short, because falling learning rates average, too."""
FIGURES = ("psnr", "psnr_input", "psnr_gain", "ssim", "colour_error", "colour_error_input")
FINAL = {
    **{"num_images": 2000, "num_neighbour_images": 500, "kid_subsets": 2},
    **{"num_restored_images": classical.NUM_IMAGES, "restored_split": classical.SPLIT},
}

NO_TASKS = ["--data.tasks=[photograph]"]  # which has no head then, so that nothing of it is learned
L1_ALONE = [
    *NO_TASKS,
    "--model.game.adversarial=null",
    "--model.balancers.discriminator=null",
    "--model.balancers.r1=null",
    "--model.optimizers.discriminator=null",
    "--model.schedulers.discriminator=null",
    *[
        f"--model.balancers.generator.weights.{name}=null"
        for name in ("adversarial", "feature_matching", "photograph", "colour", "texture")
    ],
]
FULL, ALONE, SEPARATE = "joint, full", "joint, L1 alone", "separate, L1 alone"
ROWS: dict[str, list[str]] = {
    FULL: [],
    ALONE: L1_ALONE,
    SEPARATE: L1_ALONE,
    "joint, shared encoder (NICE-GAN)": ["--model.game.shares_encoder=true"],
    "joint, full, ResidualTranslator": ["--model.game.generator=lightning_mtgan.networks.ResidualTranslator"],
}
Row = dict[str, object]
Job = tuple[str, str, int]
"""Name of the row, the one corruption of a separate network or "", seed."""


def probabilities() -> dict[str, float]:
    """How often the joint model draws each corruption."""
    listed = merged([ROOT / "conf" / "default.yaml", CONF], {})["model"]["game"]["init_args"]["corruptions"]
    found = [one.get("init_args", {}).get("probability", 1.0) for one in listed]
    return dict(zip(CORRUPTIONS, (one / sum(found) for one in found), strict=True))


def keys(name: str, corruption: str, steps: int) -> list[str]:
    """The arguments of train.py for one training."""
    share, own = 1.0, list[str]()
    if corruption:
        share = probabilities()[corruption]
        only = [{"class_path": f"lightning_mtgan.corruptions.{CORRUPTIONS[corruption]}"}]
        own = [f"--model.game.corruptions={json.dumps(only)}", f"--model.game.generator.width={separate_width()}"]
        own += [f"--model.balancers.generator.weights.{one}=null" for one in CORRUPTIONS if one != corruption]
    players = ["generator"] if "--model.game.adversarial=null" in ROWS[name] else ["generator", "discriminator"]
    return [
        f"--config={CONF}",
        f"--trainer.max_steps={steps}",
        f"--data.batch_size={math.ceil(BATCH_SIZE * share)}",
        f"--ema.half_life_kimg={HALF_LIFE_KIMG * share}",
        *[f"--model.schedulers.{player}.num_steps={steps}" for player in players],
        f"--model.schedulers.generator.warmup_steps={steps // 10}",
        *ROWS[name],
        *own,
    ]


def run(name: str, corruption: str, seed: int, steps: int) -> Row:
    """One training by the command line: its figures, and the seconds of a processor that it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), *keys(name, corruption, steps), f"--seed_everything={seed}"]
        command += [f"--runs={folder}", "--wandb=off", "--trainer.enable_progress_bar=false", "--samples.every_kimg=0"]
        command += ["--fidelity.every_kimg=0", "--checkpoints.every_kimg=0", "--conflicts.every=0"]
        command += [f"--fidelity.final={json.dumps(FINAL)}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=ROOT)
            _, status, usage = os.wait4(process.pid, 0)  # subprocess itself does not say what one child has used
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{name} {corruption}, seed {seed}:\n{log.read_text()[-2000:]}")
        figures = json.loads(next(Path(folder).glob("*/*/summary.json")).read_text())["figures"]
    found = {figure: value for figure, value in figures.items() if figure.split("/")[0] in FIGURES}
    row: Row = {"row": name, "corruption": corruption, "seed": seed, "steps": steps, "figures": found}
    return row | {"cpu_seconds": usage.ru_utime + usage.ru_stime, "fid": figures.get("fid")}


def parameters(name: str, width: int | None = None) -> tuple[int, int]:
    """Numbers that are learned: of all that restoring reads, and of the rest; of one network.

    Args:
        name: Name of the row.
        width: Of the generator, instead of the configured one, with a single corruption.
    """
    given = dict(key.removeprefix("--").split("=", 1) for key in ROWS[name] if key.startswith("--model.game"))
    config = merged([ROOT / "conf" / "default.yaml", CONF], given)["model"]["game"]
    if width is not None:
        config["init_args"]["generator"]["init_args"]["width"] = width
        config["init_args"]["corruptions"] = config["init_args"]["corruptions"][:1]
    game = configured_game(config, Photos(tasks=["photograph", "colour", "texture"]).spec)
    restoring = {id(p): p.numel() for module in game.sampling_modules() for p in module.parameters()}
    return sum(restoring.values()), sum(p.numel() for p in game.parameters() if id(p) not in restoring)


def separate_width() -> int:
    """The least width at which seven generators together have no fewer parameters than the joint one."""
    joint = parameters(ALONE)[0]
    return next(width for width in range(1, 99) if len(CORRUPTIONS) * parameters(SEPARATE, width)[0] >= joint)


def networks(rows: list[Row], name: str) -> list[Row]:
    """One row for each seed: of separate networks, all seven in one, as soon as they are there."""
    mine = [row for row in rows if row["row"] == name]
    if name != SEPARATE:
        return mine
    found = []
    for seed in sorted({int(row["seed"]) for row in mine}):  # type: ignore[call-overload]
        seven = [row for row in mine if row["seed"] == seed]
        if len(seven) == len(CORRUPTIONS):
            figures: dict[str, float] = {}
            for row in seven:
                figures |= row["figures"]  # type: ignore[call-overload]
            figures["psnr_gain"] = statistics.mean(figures[f"psnr_gain/{one}"] for one in CORRUPTIONS)
            seconds = sum(float(row["cpu_seconds"]) for row in seven)  # type: ignore[arg-type, misc]
            found.append({"figures": figures, "cpu_seconds": seconds})
    return found


def cell(values: list[float], digits: int = 2) -> str:
    """Mean, and standard deviation where there are several."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}" if values else ""


def table(rows: list[Row]) -> str:
    """A Markdown table: PSNR and its gain over the damaged images in dB, corruption by corruption."""
    there = {name: found for name in ROWS if (found := networks(rows, name))}
    if not there:
        return "no row is complete"
    best = classical.best(classical.read())
    some = there[next(iter(there))][0]["figures"]
    lines = [f"| | damaged | classical | {' | '.join(f'{name} ({len(found)})' for name, found in there.items())} |"]
    lines.append("|---" * (3 + len(there)) + "|")

    def line(title: str, input_figure: str, classical_cell: str, figure: str, with_gain: bool) -> None:
        before = some[input_figure]  # type: ignore[index]
        cells = [title, f"{before:.2f}", classical_cell]
        for found in there.values():
            values = [row["figures"][figure] for row in found]  # type: ignore[index]
            gain = f" ({statistics.mean(values) - before:+.2f})" if with_gain else ""
            cells.append(cell(values) + gain)
        lines.append("| " + " | ".join(cells) + " |")

    for name in CORRUPTIONS:
        reference = best.get(name)
        text = f"{reference['psnr']:.2f} ({reference['method']})" if reference else ""
        line(name, f"psnr_input/{name}", text, f"psnr/{name}", with_gain=True)
    name = "colourisation"
    text = f"{best[name]['colour_error']:.2f} ({best[name]['method']})" if name in best else ""
    line("error of colour, colourisation", f"colour_error_input/{name}", text, f"colour_error/{name}", with_gain=False)
    gains = [cell([row["figures"]["psnr_gain"] for row in found]) for found in there.values()]  # type: ignore[index]
    references = [float(best[n]["psnr"]) - some[f"psnr_input/{n}"] for n in CORRUPTIONS if n in best]  # type: ignore[arg-type, index]
    lines.append(
        f"| mean gain | 0 | {cell([statistics.mean(references)] if references else [])} | " + " | ".join(gains) + " |"
    )
    counts = []
    for title in there:
        if title == SEPARATE:
            restoring, others = (len(CORRUPTIONS) * count for count in parameters(title, separate_width()))
        else:
            restoring, others = parameters(title)
        counts.append(f"{restoring:,} + {others:,}")
    lines.append("| parameters, restoring + others | | | " + " | ".join(counts) + " |")
    seconds = [cell([float(row["cpu_seconds"]) for row in found], 0) for found in there.values()]  # type: ignore[arg-type]
    lines.append("| seconds of a processor | | | " + " | ".join(seconds) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="the first one is for all rows")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--only", nargs="*", default=[FULL, ALONE, SEPARATE], choices=list(ROWS), help="which rows")
    parser.add_argument("--repeated", nargs="*", default=[ALONE, SEPARATE], help="rows that get all seeds")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "restoration.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[Row]:
        found = [json.loads(line) for line in arguments.output.read_text().splitlines()]
        return [row for row in found if row["steps"] == arguments.steps]

    def add(job: Job) -> None:
        row = run(*job, arguments.steps)
        with arguments.output.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    if not arguments.table:
        done = {(row["row"], row["corruption"], row["seed"]) for row in rows()}
        names = dict.fromkeys(arguments.seeds[:1], arguments.only)
        names |= {seed: [n for n in arguments.only if n in arguments.repeated] for seed in arguments.seeds[1:]}
        jobs = [
            (name, corruption, seed)
            for seed, mine in names.items()
            for name in mine
            for corruption in (CORRUPTIONS if name == SEPARATE else [""])
        ]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(add, [job for job in jobs if job not in done]))
    print(table(rows()))


if __name__ == "__main__":
    main()
