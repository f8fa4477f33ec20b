"""How much of the accuracy that degradations cost comes back: enhance and recognise in one, apart, or not at all.

Digits that are blurred, veiled, dark and noisy as in conf/nested.yaml. Every row has the same training digits in the
same order, damaged by the same chances, and as many steps of 64 of the same optimiser; the recogniser's trunk is the
same from the same first parameters, but for "side by side", one network of 106,587 parameters instead of 64,019.
Figures are of the 360 held-out digits of other writers, each degraded five times in its own ways, the same ones for
every row. "recovered" is (accuracy - degraded) / (clean - degraded), both of the classifier that was trained on clean
images with the same seed; PSNR is that of all images as of one.

"apart" is the enhancer that learns to restore alone, then the classifier of clean images, unchanged; it is the one of
"nested, gradient stopped", whose own recogniser learns on what it makes. "best transform" is, of a grid, the one
after which that classifier is right most often on degraded training digits. lambda weighs the loss of the
recogniser beside the L1 error of the enhanced image. "images of" lets the classifier of clean images
judge what a joint model's enhancer makes.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/nested.py             # about 8 minutes on 2 cores
    python benchmarks/nested.py --table     # only print what is there
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training import ROOT, Row, cell, kept, run_all
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.config_files import merged
from lightning_mtgan.corruptions.nothing_known import nothing_known
from lightning_mtgan.data import Digits
from lightning_mtgan.data.order import ShuffledStream
from lightning_mtgan.draws import Draws
from lightning_mtgan.evaluation.restoration import damage, decibels, squared_error, to_bytes
from lightning_mtgan.games.joint_enhancement import JointEnhancement
from lightning_mtgan.networks import ConvTrunk
from lightning_mtgan.schedules import CosineSchedule
from lightning_mtgan.supervision import AuxiliaryHeads
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.transforms import (
    CLAHE,
    AutoContrast,
    Gamma,
    HistogramEqualisation,
    Pipeline,
    Transform,
    UnsharpMask,
)
from lightning_mtgan.types import Batch

CONF = ROOT / "conf" / "nested.yaml"
BATCH_SIZE, NUM_TIMES = 64, 5
TASK = "digit"
CLEAN, DIRECT, STOPPED = "trained on clean images", "trained on degraded images", "nested, gradient stopped"
PARALLEL = "side by side, hard sharing"
NETWORKS = "lightning_mtgan.networks"
SIDE_BY_SIDE = {
    "class_path": f"{NETWORKS}.ParallelNetwork",
    "init_args": {
        **{"sharing": f"{NETWORKS}.sharing.HardSharing"},
        **{"width": 16, "num_features": 64, "num_halvings": 1, "num_blocks": 2},
    },
}
JOINT: dict[str, tuple[float, dict[str, str]]] = {
    "nested, lambda 0.1": (0.1, {}),
    "nested, lambda 1": (1.0, {}),
    STOPPED: (1.0, {"model.game.network.passes_gradient": "false"}),
    PARALLEL: (0.1, {"model.game.network": json.dumps(SIDE_BY_SIDE)}),
}
"""The weight lambda of each joint model, and its keys of conf/nested.yaml."""
DATA = Digits()
Job = tuple[str, int]


def digits(split: str) -> tuple[Tensor, Tensor]:
    """All images in [-1, 1] and their digits."""
    images = DATA.dataset(split)
    rows = images[torch.arange(len(images))]
    return rows["image"].float() / 127.5 - 1, rows["targets"][TASK]


def game_of(keys: dict[str, str]) -> JointEnhancement:
    """The Game of conf/nested.yaml with some keys changed."""
    game = configured_game(merged([ROOT / "conf" / "default.yaml", CONF], keys)["model"]["game"], DATA.spec)
    assert isinstance(game, JointEnhancement)
    return game


class Classifier(nn.Module):
    """The recogniser of conf/nested.yaml, alone."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = ConvTrunk(DATA.spec, width=16, num_features=64)
        self.supervision = AuxiliaryHeads(make_tasks(DATA.spec.tasks), self.trunk.num_features)

    def loss(self, image: Tensor, digit: Tensor) -> Tensor:
        """Its loss on images and their digits."""
        features, targets = self.trunk(image), {TASK: digit}
        return self.supervision.discriminator_losses(features, features, targets, targets)[TASK]

    def right(self, image: Tensor, digit: Tensor) -> float:
        """Its accuracy."""
        with torch.no_grad():
            said = self.supervision.predictions(self.trunk(image))[TASK].argmax(1)
        return (said == digit).double().mean().item()


def batches(seed: int, steps: int) -> Iterator[Batch]:
    """The training digits in their order, with the chances of their damage."""
    (image, digit), order = digits("train"), ShuffledStream(seed, len(DATA.dataset("train")))
    for step in range(steps):
        rows = order.indices(step * BATCH_SIZE, BATCH_SIZE)
        yield {"image": image[rows], "targets": {TASK: digit[rows]}, "draws": Draws(seed, step)}


def fit(network: nn.Module, loss: Callable[[Batch], Tensor], seed: int, steps: int) -> None:
    """Train by Adam; the learning rate falls to 0 along a cosine."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.9, 0.99), fused=True)
    schedule = CosineSchedule(optimizer, num_steps=steps)
    for batch in batches(seed, steps):
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        schedule.step()
    network.eval()


@cache
def classifier(seed: int, steps: int, is_degraded: bool = False) -> Classifier:
    """A classifier that was trained on clean, or on degraded images."""
    torch.manual_seed(seed)
    network, game = Classifier(), game_of({})

    def loss(batch: Batch) -> Tensor:
        image = game.damaged(batch)[0].image if is_degraded else batch["image"]
        return network.loss(image, batch["targets"][TASK])

    fit(network, loss, seed, steps)
    return network


def joint(name: str, seed: int, steps: int) -> JointEnhancement:
    """A joint model, trained."""
    weight, keys = JOINT[name]
    torch.manual_seed(seed)
    game = game_of(keys)

    def loss(batch: Batch) -> Tensor:
        losses = game.losses(batch).losses
        return losses["enhancement"] + weight * losses[TASK]

    fit(game, loss, seed, steps)
    return game


def degraded(split: str, times: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images, each degraded so many times in its own ways; as they were; and their digits."""
    (truth, digit), corruption = digits(split), game_of({}).corruptions["enhancement"]
    image = torch.cat([damage(corruption, truth, 0, number).image for number in range(times)])
    return image, truth.repeat(times, 1, 1, 1), digit.repeat(times)


def psnr(image: Tensor, truth: Tensor) -> float:
    """Of all images as of one, in dB."""
    return decibels(squared_error(to_bytes(image), to_bytes(truth)).mean()).item()


def transforms() -> dict[str, Transform]:
    """The grid."""
    found: dict[str, Transform] = {"equalisation": HistogramEqualisation()}
    found |= {f"CLAHE {clip:g}, {grid}": CLAHE(clip, grid) for clip, grid in product((2.0, 4.0, 8.0), (1, 2))}
    for low, gamma, sharp in product((0.0, 0.02, 0.1), (0.5, 0.7, 1.0, 1.4), (0.0, 0.5)):
        steps = [AutoContrast(low), Gamma(gamma), UnsharpMask(sharp)]
        found[f"stretched from {low:g}, gamma {gamma:g}, sharpened by {sharp:g}"] = Pipeline(steps)  # type: ignore[arg-type]
    return found


def best_transform(network: Classifier) -> tuple[str, Transform]:
    """The transform after which a classifier is right most often on degraded training digits."""
    image, _, digit = degraded("train", 1)
    return max(transforms().items(), key=lambda one: network.right(one[1](image), digit))


def run(name: str, seed: int, steps: int) -> Row:
    """One training, and its figures on held-out digits."""
    image, truth, digit = degraded("held_out", NUM_TIMES)
    row: Row = {"row": name, "seed": seed, "steps": steps}
    if name == DIRECT:
        return row | {"accuracy": classifier(seed, steps, True).right(image, digit)}
    clean = classifier(seed, steps)
    if name == CLEAN:
        best, transform = best_transform(clean)
        row |= {"accuracy": clean.right(*digits("held_out")), "degraded": clean.right(image, digit)}
        row |= {"degraded_psnr": psnr(image, truth), "transform": best}
        shown = transform(image)
        return row | {"images": clean.right(shown, digit), "psnr": psnr(shown, truth)}
    began = time.process_time()  # of this one thread, whatever else the machine does
    game = joint(name, seed, steps)
    seconds = time.process_time() - began
    damaged, what = nothing_known(image), ["enhancement"] * len(image)
    with torch.no_grad():
        said = game.recognise(damaged, what)[TASK].argmax(1)
        shown = game.restore(damaged, what)
    row |= {"accuracy": (said == digit).double().mean().item(), "images": clean.right(shown, digit)}
    row |= {"parameters": sum(p.numel() for p in game.parameters()), "seconds": seconds}
    return row | {"psnr": psnr(shown, truth)}


def table(rows: list[Row]) -> str:
    """A Markdown table of means and standard deviations over seeds."""
    baseline = {row["seed"]: row for row in rows if row["row"] == CLEAN}
    rows = [row for row in rows if row["seed"] in baseline]
    lines = ["| | seeds | accuracy | recovered | PSNR in dB |", "|---|---|---|---|---|"]

    def line(title: str, name: str, accuracy: str = "accuracy", psnr: str = "psnr") -> None:
        mine = [row for row in rows if row["row"] == name]
        shares = []
        for row in mine:
            best, worst = (baseline[row["seed"]][one] for one in ("accuracy", "degraded"))
            shares.append((row[accuracy] - worst) / (best - worst))
        cells = [
            cell([row[accuracy] for row in mine]),
            cell(shares),
            cell([row[psnr] for row in mine if psnr in row], 2),
        ]
        lines.append(f"| {title} | {len(mine)} | {' | '.join(cells)} |")

    line("classifier of clean images: clean ones", CLEAN, psnr="")
    line("degraded ones", CLEAN, "degraded", "degraded_psnr")
    line("after the best transform", CLEAN, "images")
    line("enhanced by a network that was trained apart", STOPPED, "images")
    for name in JOINT:
        line(f"{name}: its own recogniser", name)
    for name in [one for one in JOINT if one != STOPPED]:  # whose images are those of the network apart
        line(f"images of {name}: classifier of clean images", name, "images")
    line("classifier of degraded images", DIRECT, psnr="")
    chosen = sorted({str(row["transform"]) for row in baseline.values()})
    return "\n".join([*lines, f"Best transform: {'; '.join(chosen)}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--only", nargs="+", choices=[CLEAN, *JOINT, DIRECT], help="names of the rows; all by default")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "nested.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    if not arguments.table:
        done = {(row["row"], row["seed"]) for row in kept(arguments.output, steps=arguments.steps)}
        names = arguments.only or [CLEAN, *JOINT, DIRECT]
        left = [(name, seed, arguments.steps) for seed in arguments.seeds for name in names if (name, seed) not in done]
        run_all(run, left, arguments.jobs, arguments.output)
    print(table(kept(arguments.output, steps=arguments.steps)))


if __name__ == "__main__":
    main()
