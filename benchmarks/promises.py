"""What sharing layers is said to bring, besides images that correspond: each promise measured, kept or not.

Plain digits beside their negatives, and beside their outlines, 8 x 8 pixels, conf/coupled.yaml with two domains and
1,000 steps of 32 images of each: "coupled" shares four of five generator layers and two of five discriminator layers;
"separate" shares nothing and has the same widths; "separate, narrow" shares nothing and has as many parameters as
"coupled" or, by the next width, a few more. Nothing else differs.

Convergence is the number of images until FID, the mean of both domains, is first below 15 and below 10, measured every
thousand images of 1,000 generated ones. Steadiness is taken from the second half of each training: the standard
deviation of the players' losses, and that of the norm of a player's gradients, divided by its mean. A training has
failed if it ends with FID above 30 or fewer than ten digits in a domain. Generalisation is the last FID to the 360
digits that no training saw, beside that to those it saw.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/promises.py              # about 20 minutes on 2 cores
    python benchmarks/promises.py --table      # only print what is there
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.coupled import CONF, OTHERS, domains
from benchmarks.training import ROOT, Row, Trained, cell, kept, run_all, trained
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.config_files import merged
from lightning_mtgan.data import DigitDomain, Domains, Plain

COUPLED, SEPARATE, NARROW = "coupled", "separate", "separate, narrow"
WIDTH, TRUNK_WIDTH = 128, 32
LEVELS = (15.0, 10.0)
FAILED = 30.0
PERIODIC = {"num_images": 1000, "num_neighbour_images": 200, "kid_subsets": 1}
FINAL = {"num_images": 2000, "num_neighbour_images": 360, "kid_subsets": 1, "split": "held_out"}
Job = tuple[str, str, int]
"""Way, the other domain, seed."""


def keys(way: str, scale: float) -> dict[str, object]:
    """Keys of train.py for the networks."""
    shared = way == COUPLED
    return {
        "model.game.generator.width": round(WIDTH * scale),
        "model.game.generator.least_width": round(WIDTH * scale) // 2,
        "model.game.trunk.width": round(TRUNK_WIDTH * scale),
        "model.game.shared_generator_layers": 4 if shared else 0,
        "model.game.shared_discriminator_layers": 2 if shared else 0,
    }


def parameters(way: str, scale: float) -> int:
    """Numbers that are learned, of all players."""
    spec = Domains({name: DigitDomain(Plain(), image_size=8) for name in ("plain", "other")}).spec
    given = {key: str(value) for key, value in keys(way, scale).items()}
    config = merged([ROOT / "conf" / "default.yaml", CONF], given)
    return sum(p.numel() for p in configured_game(config["model"]["game"], spec).parameters())


def scale_of(way: str) -> float:
    """What all widths are multiplied by."""
    if way != NARROW:
        return 1.0
    wanted = parameters(COUPLED, 1.0)
    return next(n / 64 for n in range(8, 65) if parameters(NARROW, n / 64) >= wanted)


def images_until(fid: list[tuple[int, float]], kimg: dict[int, float], level: float) -> float | None:
    """Thousands of images until FID is first below a level; None if it never is."""
    return next((kimg[step] for step, value in fid if value < level), None)


def unsteady(run: Trained, steps: int) -> dict[str, float]:
    """How much losses and gradients go up and down in the second half of a training."""

    def late(name: str) -> list[float]:
        return [value for step, value in run.curves[name] if step > steps / 2]

    row: dict[str, float] = {}
    for player in ("discriminator", "generator"):
        losses = [name for name in run.curves if name.startswith(f"loss/{player}/adversarial")]
        norms = late(f"gradient_norm/{player}")
        row[f"loss/{player}"] = statistics.mean(statistics.stdev(late(name)) for name in losses)
        row[f"gradient/{player}"] = statistics.stdev(norms) / statistics.mean(norms)
    return row


def run(job: Job, steps: int, scale: float) -> Row:
    """One training by the command line."""
    way, other, seed = job
    given = {
        **keys(way, scale),
        "trainer.max_steps": steps,
        "trainer.log_every_n_steps": 5,
        "seed_everything": seed,
        "fidelity.every_kimg": 1,
        "fidelity.periodic": json.dumps(PERIODIC),
        "fidelity.final": json.dumps(FINAL),
    }
    training = trained(CONF, given, domains(other, 8))
    kimg = {int(step): value for step, value in training.curves["kimg"]}
    # The last measurement is of other images, by the final protocol.
    seen = training.curves["fid"][:-1]
    row: Row = {"way": way, "other": other, "seed": seed, "steps": steps, **unsteady(training, steps)}
    row |= {f"kimg to {level:g}": images_until(seen, kimg, level) for level in LEVELS}
    row |= {"fid": seen[-1][1], "fid held out": training.figures["fid"], "modes": training.figures["modes"]}
    parameters = sum(p.numel() for p in training.game.parameters())
    return row | {"parameters": parameters, "seconds": training.figures["seconds"]}


def table(rows: list[Row]) -> str:
    """A Markdown table."""
    columns = [f"kimg to {level:g}" for level in LEVELS]
    names = {"loss/discriminator": 3, "loss/generator": 3, "gradient/discriminator": 2, "gradient/generator": 2}
    heads = ["parameters", *columns, *names, "failed", "FID", "FID held out"]
    lines = [f"| domains | | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 3) + "|"]
    for other in OTHERS:
        for way in (COUPLED, SEPARATE, NARROW):
            mine = [row for row in rows if (row["way"], row["other"]) == (way, other)]
            if not mine:
                continue
            cells = [f"{mine[0]['parameters']:,}"]
            for column in columns:
                there = [float(row[column]) for row in mine if row[column] is not None]
                cells.append(cell(there, 1) + (f" ({len(there)} of {len(mine)})" if len(there) < len(mine) else ""))
            cells += [cell([float(row[name]) for row in mine], digits) for name, digits in names.items()]
            cells.append(str(sum(row["fid"] > FAILED or row["modes"] < 10 for row in mine)))
            cells += [cell([float(row[name]) for row in mine], 1) for name in ("fid", "fid held out")]
            lines.append(f"| plain, {other} | {way} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "promises.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    rows = kept(arguments.output, steps=arguments.steps)
    if not arguments.table:
        scales = {way: scale_of(way) for way in (COUPLED, SEPARATE, NARROW)}
        done = {(row["way"], row["other"], row["seed"]) for row in rows}
        jobs = [(way, other, seed) for seed in arguments.seeds for other in OTHERS for way in scales]
        left = [(job, arguments.steps, scales[job[0]]) for job in jobs if job not in done]
        run_all(run, left, arguments.jobs, arguments.output)
    print(table(kept(arguments.output, steps=arguments.steps)))


if __name__ == "__main__":
    main()
