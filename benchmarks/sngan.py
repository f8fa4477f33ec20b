"""How fast the program trains SNGAN of the published size, beside loops written by hand around the same networks.

4.28 M + 1.05 M parameters (mimicry's counts), 32 x 32 pixels, batch 64, one step of the discriminator for one of
the generator, hinge loss, Adam, no condition. The baseline is a plain loop in float32 with the channels first. Each
turn runs all ways once, in processes of their own; what is printed are images/s and, of each turn, the ratio to
the baseline of the same turn.

    python benchmarks/sngan.py            # about 15 minutes on 2 cores
    python benchmarks/sngan.py --table    # only print what is there
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout, installed or not
BATCH, SKIPPED, COUNTED = 64, 2, 6
HAND = {"float32": (False, False), "float32, channels last": (False, True), "bfloat16, channels last": (True, True)}
PROGRAM = {"float32": [], "float32, channels last": ["--model.channels_last=true"]}
PROGRAM["bfloat16, channels last"] = [*PROGRAM["float32, channels last"], "--trainer.precision=bf16-mixed"]
BASELINE = ("by hand", "float32")

GAME = {
    "generator": {"class_path": "lightning_mtgan.networks.SNGANGenerator"},
    "trunk": {"class_path": "lightning_mtgan.networks.SNGANTrunk"},
    "adversarial_head": {"class_path": "lightning_mtgan.networks.SpectralUnconditionalHead"},
    "adversarial": {"class_path": "lightning_mtgan.losses.Hinge"},
    "embedding": None,
    "supervision": None,
    "regularizers": [],
}
ADAM = {"init_args": {"lr": 2e-4, "betas": [0.0, 0.9]}}
OVERLAY = {
    "data": {
        "class_path": "lightning_mtgan.data.Shapes",
        "init_args": {"batch_size": BATCH, "image_size": 32, "num_images": 6400, "tasks": []},
    },
    "model": {
        "game": {"init_args": GAME},
        "balancers": {"discriminator": None, "generator": None},
        "optimizers": {"discriminator": ADAM, "generator": ADAM},
    },
    "samples": {"every_kimg": 0, "show_channels": False},
    "checkpoints": {"every_kimg": 0},
    "fidelity": {
        "every_kimg": 0,
        "evaluator": {"class_path": "lightning_mtgan.evaluation.ShapesEvaluator", "init_args": {"tasks": []}},
        "final": {"num_images": 64, "num_neighbour_images": 20, "kid_subsets": 2},
    },
}


def by_hand(mixed: bool, last: bool) -> float:
    """Images/s of a loop without any program around it."""
    from torch import nn
    from torch.nn.functional import relu

    from lightning_mtgan.networks import SNGANGenerator, SNGANTrunk, SpectralUnconditionalHead
    from lightning_mtgan.types import DataSpec

    layout = torch.channels_last if last else torch.contiguous_format
    generator = SNGANGenerator(DataSpec(32, 3), 0).to(memory_format=layout)  # type: ignore[call-overload]
    trunk = SNGANTrunk(DataSpec(32, 3))
    discriminator = nn.ModuleList([trunk, SpectralUnconditionalHead(trunk.num_features, 0)])
    discriminator.to(memory_format=layout)  # type: ignore[call-overload]
    movers = [torch.optim.Adam(one.parameters(), 2e-4, (0.0, 0.9)) for one in (discriminator, generator)]
    images = torch.rand(BATCH, 3, 32, 32).mul(2).sub(1).to(memory_format=layout)
    nothing = torch.zeros(BATCH, 0)

    def judge(image: torch.Tensor) -> torch.Tensor:
        return discriminator[1](trunk(image), nothing)

    start = 0.0
    for step in range(SKIPPED + COUNTED):
        if step == SKIPPED:
            start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, 128), nothing).float()
            real_logits, fake_logits = judge(torch.cat([images, fake])).chunk(2)
            loss = relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()
        movers[0].zero_grad()
        loss.backward()
        movers[0].step()
        discriminator.requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = -judge(generator(torch.randn(BATCH, 128), nothing)).mean()
        movers[1].zero_grad()
        loss.backward()
        movers[1].step()
        discriminator.requires_grad_(True)
    return COUNTED * BATCH / (time.perf_counter() - start)


def by_program(keys: list[str]) -> float:
    """Images/s of ``python train.py``, from its own clock between two logged steps."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sngan.yaml"
        file.write_text(yaml.safe_dump(OVERLAY))
        command = [sys.executable, str(ROOT / "train.py"), f"--config={file}", f"--runs={folder}", "--wandb=off"]
        command += ["--trainer.log_every_n_steps=2", f"--trainer.max_steps={SKIPPED + COUNTED}"]
        command += ["--trainer.enable_progress_bar=false", *keys]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        with next(Path(folder).glob("*/*/metrics.csv")).open(newline="") as table_:
            rows = list(csv.DictReader(table_))
    clock = {int(row["step"]): float(row["seconds"]) for row in rows if row["seconds"]}
    return COUNTED * BATCH / (clock[SKIPPED + COUNTED] - clock[SKIPPED])


def measure(way: str, what: str) -> float:
    """Images/s of one way, in a process of its own."""
    if way == "this program":
        return by_program(PROGRAM[what])
    command = [sys.executable, __file__, "--child", what]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def table(rows: list[dict[str, object]]) -> str:
    lines = ["| way | arithmetic | images/s | ratio to the plain loop |", "|---|---|---|---|"]
    turns = {row["turn"]: row["images_per_second"] for row in rows if (row["way"], row["what"]) == BASELINE}
    for way in ("by hand", "this program"):
        for what in HAND:
            mine = [row for row in rows if (row["way"], row["what"]) == (way, what) and row["turn"] in turns]
            if not mine:
                continue
            speeds = [float(row["images_per_second"]) for row in mine]  # type: ignore[arg-type]
            ratios = [speed / float(turns[row["turn"]]) for speed, row in zip(speeds, mine, strict=True)]  # type: ignore[arg-type]
            cells = [f"{statistics.mean(some):.{digits}f}" for some, digits in ((speeds, 1), (ratios, 2))]
            if len(mine) > 1:
                cells = [
                    f"{cell} ± {statistics.stdev(some):.2f}" for cell, some in zip(cells, (speeds, ratios), strict=True)
                ]
            lines.append(f"| {way} | {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "sngan.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(by_hand(*HAND[arguments.child]))
        return
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()

    def rows() -> list[dict[str, object]]:
        return [json.loads(line) for line in arguments.output.read_text().splitlines()]

    for turn in range(0 if arguments.table else arguments.turns):
        for what in HAND:
            for way in ("by hand", "this program"):
                if any((row["turn"], row["way"], row["what"]) == (turn, way, what) for row in rows()):
                    continue
                row = {"turn": turn, "way": way, "what": what, "images_per_second": measure(way, what)}
                with arguments.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"turn {turn}: {way}, {what}: {row['images_per_second']:.1f} images/s", flush=True)
    print(table(rows()))


if __name__ == "__main__":
    main()
