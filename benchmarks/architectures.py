"""The architectures beside each other: parameters, images/s, memory, and FID after equal time on the main job's data.

Every row is ``python train.py --config conf/architectures/NAME.yaml``, with the default and conf/vae.yaml beside them,
for the same seconds of training on one core, without measurements in between, and measured in the same way: 26,000
stacks of three digits, 8 x 8 pixels. Losses, penalties and learning rates are each architecture's own, as its
file says; widths are chosen for a laptop, not equal. "FID at first" is that of the same run after one step. Rows are
appended as they finish; a second call goes on where the first one stopped. Speed at 32 pixels: benchmarks/sngan.py.

    python benchmarks/architectures.py            # everything: about 40 minutes on 2 cores
    python benchmarks/architectures.py --table    # only print what is there
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
sys.path.insert(0, str(ROOT))  # a checkout, installed or not
FILES = {
    "ConvGenerator (default)": "conf/default.yaml",
    "DCGAN": "conf/architectures/dcgan.yaml",
    "SNGAN": "conf/architectures/sngan.yaml",
    "BigGAN": "conf/architectures/biggan.yaml",
    "StyleGAN2": "conf/architectures/stylegan2.yaml",
    "R3GAN": "conf/architectures/r3gan.yaml",
    "VAE (no adversary)": "conf/vae.yaml",
}
FIGURES = ("fid", "coverage", "recall", "modes", "images_per_second", "kimg", "peak_memory_mib")


def train(name: str, seed: int, *limits: str) -> dict[str, float]:
    """The final figures of one training by the command line."""
    with tempfile.TemporaryDirectory() as folder:
        return _train(name, seed, Path(folder), *limits)


def _train(name: str, seed: int, folder: Path, *limits: str) -> dict[str, float]:
    command = [sys.executable, str(ROOT / "train.py"), f"--config={ROOT / FILES[name]}", f"--seed_everything={seed}"]
    command += [f"--runs={folder}", "--wandb=off", "--trainer.enable_progress_bar=false", "--samples.every_kimg=0"]
    command += ["--fidelity.every_kimg=0", "--checkpoints.every_kimg=0", *limits]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}, seed {seed}:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(next(folder.glob("*/*/summary.json")).read_text())["figures"]
    return figures


def measure(name: str, seed: int, seconds: int) -> dict[str, object]:
    """One row."""
    clock = f"00:00:{seconds // 60:02d}:{seconds % 60:02d}"
    first = train(name, seed, "--trainer.max_steps=1")
    last = train(name, seed, "--trainer.max_steps=1000000", f"--trainer.max_time={clock}")
    figures = {figure: last[figure] for figure in FIGURES}
    return {"name": name, "seed": seed, "seconds": seconds, "first_fid": first["fid"], **figures}


def parameters(name: str) -> tuple[int, int]:
    """Numbers that are learned: of everything that sampling reads, and of all the rest."""
    from lightning_mtgan.checkpoint import configured_game
    from lightning_mtgan.config_files import merged
    from lightning_mtgan.data import StackedDigits

    config = merged([ROOT / "conf" / "default.yaml", ROOT / FILES[name]], {})
    game = configured_game(config["model"]["game"], StackedDigits().spec)
    sampling = {id(p): p.numel() for module in game.sampling_modules() for p in module.parameters()}
    return sum(sampling.values()), sum(p.numel() for p in game.parameters() if id(p) not in sampling)


def table(rows: list[dict[str, object]]) -> str:
    """A Markdown table: mean, and standard deviation where there are several seeds."""
    head = ["architecture", "parameters sampled, others", "seeds", "images/s", "kimg", "MiB", "FID at first", "FID"]
    head += ["times less", "coverage", "recall", "modes"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in FILES:
        mine = [row for row in rows if row["name"] == name]
        if not mine:
            continue

        def cell(values: list[float], digits: int) -> str:
            text = f"{statistics.mean(values):,.{digits}f}"
            return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")

        def column(figure: str, digits: int, mine: list[dict[str, object]] = mine) -> str:
            return cell([float(row[figure]) for row in mine], digits)  # type: ignore[arg-type]

        ratios = [float(row["first_fid"]) / float(row["fid"]) for row in mine]  # type: ignore[arg-type]
        cells = [name, "{:,}, {:,}".format(*parameters(name)), str(len(mine))]
        cells += [column("images_per_second", 0), column("kimg", 0), column("peak_memory_mib", 0)]
        cells += [column("first_fid", 0), column("fid", 2), cell(ratios, 0)]
        cells += [column("coverage", 3), column("recall", 3), column("modes", 0)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="the first one screens all")
    parser.add_argument("--best", type=int, default=3, help="architectures that get all seeds")
    parser.add_argument("--seconds", type=int, default=300, help="of training")
    parser.add_argument("--parallel", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "architectures.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[dict[str, object]]:
        found = [json.loads(line) for line in arguments.output.read_text().splitlines()]
        return [row for row in found if row["seconds"] == arguments.seconds]

    def add(job: tuple[str, int]) -> None:
        row = measure(*job, arguments.seconds)
        with arguments.output.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{row['name']}, seed {row['seed']}: FID {row['first_fid']:.0f} to {row['fid']:.2f}", flush=True)

    def play(jobs: list[tuple[str, int]]) -> None:
        known = {(row["name"], row["seed"]) for row in rows()}
        with ThreadPoolExecutor(arguments.parallel) as pool:
            list(pool.map(add, [job for job in jobs if job not in known]))

    if not arguments.table:
        play([(name, arguments.seeds[0]) for name in FILES])
        screened = [row for row in rows() if row["seed"] == arguments.seeds[0]]
        ranked = sorted(screened, key=lambda row: float(row["fid"]))  # type: ignore[arg-type]
        best = [str(row["name"]) for row in ranked[: arguments.best]]
        play([(name, seed) for seed in arguments.seeds[1:] for name in best])
    print(table(rows()))


if __name__ == "__main__":
    main()
