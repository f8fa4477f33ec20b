"""What each structure of lightning_mtgan.networks.sharing brings: eight tasks, beside a network for each.

Supervised learning alone, without a GAN: the classes shape, colour, texture and background, the numbers position, size
and angle, and the mask, of 10,000 rendered images of 16 x 16 pixels. A branch for each task: a column as in
``StructuredTrunk``, 32 features, a plain head. Losses are added as they are (weight 1); penalties of a structure have
the weight in the row's name. For every row of a seed the same images in the same order, Adam, and a learning rate that
falls to 0 along a cosine. Mixing coefficients learn faster by the structures' own ``rate``.

Every row has as many parameters as hard sharing, heads included, or the next fewer or more that a width gives; the
counts stand in the table. Networks for single tasks are trained side by side, which changes nothing, as Adam treats
every parameter by itself. There are two rows of them: all of them together have that count, or each has it.

Measured on 5,000 held-out images: accuracies, mean absolute errors in standard deviations of the data, for the mask as
a share of 255; and Δ_m, the mean over tasks of the relative gain over networks for single tasks, in percent, larger is
better, Maninis et al. 2019 (arXiv:1904.08918): beside those that have the count together, and each.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/sharing.py --seeds 0          # about 35 minutes of one core
    python benchmarks/sharing.py --table            # only print what is there
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training import ROOT, Row, cell, kept, run_all
from lightning_mtgan.data import Shapes
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.opinions import Opinions, calibration
from lightning_mtgan.networks.sharing import (
    MTAN,
    NDDR,
    PLE,
    ConvolutionalFusion,
    CrossStitch,
    FeatureFusion,
    GatedFusion,
    HardSharing,
    MMoE,
    Separate,
    Sharing,
    Sluice,
    SoftSharing,
    WeightedFusion,
)
from lightning_mtgan.networks.structured_trunk import BranchFeatures
from lightning_mtgan.supervision.supervision import plain_heads
from lightning_mtgan.tasks import Task, make_tasks
from lightning_mtgan.types import DataSpec

CLASSES, NUMBERS, MAPS = ("shape", "colour", "texture", "background"), ("position", "size", "angle"), ("mask",)
TASKS = (*CLASSES, *NUMBERS, *MAPS)
FIGURES = [f"head_{'accuracy' if name in CLASSES else 'error'}/{name}" for name in TASKS]
IMAGE_SIZE, NUM_IMAGES, NUM_HELD_OUT = 16, 10_000, 5_000
BATCH_SIZE, RATE = 64, 2e-3
WIDTH, BRANCH_FEATURES = 14, 32
"""Width of hard sharing's column, which sets the number of parameters of all rows."""


@dataclass(frozen=True)
class Structure:
    """One row.

    Args:
        sharing: From what makes a column and the names of the branches to the structure.
        penalty: Weight of what it asks of its parameters.
        budget: Parameters, as a multiple of hard sharing's.
    """

    sharing: Callable[..., Sharing]
    penalty: float = 0.0
    budget: int = 1


TOGETHER, EACH = "single tasks, together", "single tasks, each"
ROWS = {
    TOGETHER: Structure(Separate),
    EACH: Structure(Separate, budget=len(TASKS)),
    "hard sharing": Structure(HardSharing),
    **{f"soft sharing, {weight:g}": Structure(SoftSharing, weight) for weight in (0.001, 0.1)},
    "cross-stitch": Structure(CrossStitch),
    "sluice, 0.01": Structure(Sluice, 0.01),
    "NDDR": Structure(NDDR),
    "MTAN": Structure(MTAN),
    "MMoE": Structure(MMoE),
    "PLE": Structure(PLE),
    "fusion, weighted": Structure(partial(FeatureFusion, fusion=WeightedFusion)),
    "fusion, gated": Structure(partial(FeatureFusion, fusion=GatedFusion)),
    "fusion, convolutional": Structure(partial(FeatureFusion, fusion=ConvolutionalFusion)),
}


class Network(nn.Module):
    """A branch and a plain head for each task.

    Args:
        spec: What the data is.
        sharing: From what makes a column and the names of the branches to the structure.
        width: Channels of a column at full resolution.
    """

    def __init__(self, spec: DataSpec, sharing: Callable[..., Sharing], width: int) -> None:
        super().__init__()
        self.tasks: dict[str, Task] = make_tasks(spec.tasks)
        self.branches = BranchFeatures(spec, list(self.tasks), sharing, width, BRANCH_FEATURES)
        self.heads = plain_heads(self.tasks, BRANCH_FEATURES)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) in [-1, 1] to the output (N, head_size) of each task's head."""
        features = self.branches(image)
        return {name: head(features[name]) for name, head in self.heads.items()}

    def loss(self, image: Tensor, targets: Mapping[str, Tensor], penalty: float) -> Tensor:
        """The sum of all tasks' losses, and of the structure's penalties by their weight."""
        said = self(image)
        asked = self.branches.sharing.penalties().values()
        return sum(task.loss(said[name], targets[name]) for name, task in self.tasks.items()) + penalty * sum(asked)  # type: ignore[return-value]


@cache
def data_of(seed: int) -> Shapes:
    """The shapes of a seed."""
    return Shapes(BATCH_SIZE, seed, IMAGE_SIZE, NUM_IMAGES, TASKS)


def count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def width_of(structure: Structure) -> int:
    """The width at which a structure's number of parameters is nearest to its budget."""
    spec = data_of(0).spec
    wanted = structure.budget * count(Network(spec, HardSharing, WIDTH))
    gaps: dict[int, int] = {}
    for width in range(1, 8 * WIDTH):
        try:
            more = count(Network(spec, structure.sharing, width)) - wanted
        except UserError:  # a structure may need channels that can be parted
            continue
        gaps[width] = abs(more)
        if more >= 0:
            break
    return min(gaps, key=lambda width: gaps[width])


def orders(seed: int) -> Iterator[Tensor]:
    """Which images are in each batch, each image once in an epoch; the same for all rows of a seed."""
    generator = torch.Generator().manual_seed(seed_of("sharing", seed))
    while True:
        yield from torch.randperm(NUM_IMAGES, generator=generator).split(BATCH_SIZE)[: NUM_IMAGES // BATCH_SIZE]


def run(name: str, seed: int, steps: int, width: int) -> Row:
    """One training and its figures."""
    structure, data = ROWS[name], data_of(seed)
    torch.manual_seed(seed)
    network = Network(data.spec, structure.sharing, width)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    known = data.dataset("train")[torch.arange(NUM_IMAGES)]
    image, targets = known["image"] / 127.5 - 1, known["targets"]
    begin = time.process_time()
    for _, rows in zip(range(steps), orders(seed), strict=False):
        optimizer.zero_grad()
        network.loss(
            image[rows], {task: target[rows] for task, target in targets.items()}, structure.penalty
        ).backward()
        optimizer.step()
        schedule.step()
    seconds = time.process_time() - begin
    row: dict[str, Any] = {"row": name, "seed": seed, "steps": steps, "width": width, "parameters": count(network)}
    return row | {"seconds": seconds} | held_out(network.eval(), data)


@torch.no_grad()
def held_out(network: Network, data: Shapes) -> dict[str, float]:
    """Accuracies and errors of the heads on images that were not trained on."""
    known = data.dataset("held_out")[torch.arange(NUM_HELD_OUT)]
    parts = [network(image / 127.5 - 1) for image in known["image"].split(500)]
    heads = {name: torch.cat([part[name] for part in parts]) for name in TASKS}
    figures = calibration(Opinions(None, heads, known["targets"]), network.tasks)
    return {name: figures[name] for name in FIGURES}


def gain(row: Row, base: Row) -> float:
    """Δ_m of a row beside another, in percent."""
    signs = [1 if "accuracy" in name else -1 for name in FIGURES]
    gains = [sign * (row[name] - base[name]) / base[name] for name, sign in zip(FIGURES, signs, strict=True)]
    return 100 * statistics.mean(gains)


def table(rows: list[Row]) -> str:
    """A Markdown table."""
    heads = " | ".join(["Δ_m, % (together)", "Δ_m, % (each)", *TASKS])
    lines = [f"| | seeds | {heads} | parameters | width | seconds |", "|---" * (len(TASKS) + 7) + "|"]
    bases = {(row["row"], row["seed"]): row for row in rows if row["row"] in (TOGETHER, EACH)}
    for name in ROWS:
        mine = [row for row in rows if row["row"] == name]
        if not mine:
            continue
        cells = [
            cell([gain(row, bases[base, row["seed"]]) for row in mine if (base, row["seed"]) in bases], 1)
            for base in (TOGETHER, EACH)
        ]
        cells += [cell([row[figure] for row in mine]) for figure in FIGURES]
        cells += [f"{mine[0]['parameters']:,}", str(mine[0]["width"]), cell([row["seconds"] for row in mine], 0)]
        lines.append(f"| {name} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS), help="which rows")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "sharing.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    if not arguments.table:
        done = {(row["row"], row["seed"]) for row in kept(arguments.output, steps=arguments.steps)}
        widths = {name: width_of(ROWS[name]) for name in arguments.only}
        jobs = [(name, seed, arguments.steps, widths[name]) for seed in arguments.seeds for name in arguments.only]
        run_all(run, [job for job in jobs if job[:2] not in done], arguments.jobs, arguments.output)
    print(table(kept(arguments.output, steps=arguments.steps)))


if __name__ == "__main__":
    main()
