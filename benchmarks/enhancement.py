"""Photographs made better: networks trained with pairs and without, beside transforms that need no training.

Patches of the right quarter of each photograph, which nothing was trained or tuned on, damaged by the mixture of the
configuration. Networks: conf/enhancement.yaml (pairs) with and without its discriminator, and
conf/enhancement_unpaired.yaml (no pairs), whole trainings by the command line, each also with a generator that
predicts the amounts of transforms. Transforms: each alone, and a pipeline of all that have an amount, amounts tuned by
Optuna on 500 damaged patches of the training parts, for PSNR and, in rows of their own, for the distance from the look
of clean images. All are measured by the same code on the same images.

"PSNR" is that of the mean squared error of all images together, "mean" that of each image, then averaged. "distance" is
the mean over contrast, two measures of sharpness, saturation and colourfulness of the 1-Wasserstein distance between
the distributions of enhanced and of clean images, in standard deviations of the clean ones. "FID" compares the features
of enhanced and of clean patches of the same parts. "accuracy": the evaluator's, which photograph a patch is from.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/enhancement.py              # about 40 minutes on 2 cores
    python benchmarks/enhancement.py --table      # only print what is there
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training import ROOT, Row, cell, kept, run_all, trained
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.cli import build
from lightning_mtgan.config_files import merged
from lightning_mtgan.corruptions import Corruption, Damaged
from lightning_mtgan.data import Photos
from lightning_mtgan.draws import seed_of
from lightning_mtgan.evaluation import Jury, Measurement, PhotosEvaluator, Protocol
from lightning_mtgan.evaluation.appearance import Appearance
from lightning_mtgan.evaluation.restoration import damage, decibels, squared_error, to_bytes
from lightning_mtgan.games import ImageGame
from lightning_mtgan.games.game import Phase
from lightning_mtgan.search.transforms import Score, tuned
from lightning_mtgan.transforms import (
    CLAHE,
    Adjustable,
    AutoContrast,
    Contrast,
    Gamma,
    HistogramEqualisation,
    Pipeline,
    Saturation,
    Transform,
    UnsharpMask,
    WhiteBalance,
)
from lightning_mtgan.types import DataSpec

PAIRED, UNPAIRED = ROOT / "conf" / "enhancement.yaml", ROOT / "conf" / "enhancement_unpaired.yaml"
NUM_IMAGES = 1000
FIGURES = ("psnr", "psnr_gain", "ssim", "look_distance", "fid", "downstream/photograph", "recovered/photograph")
L1_ALONE = {
    "model.game.adversarial": "null",
    **{f"model.{what}.discriminator": "null" for what in ("balancers", "optimizers", "schedulers")},
    "model.balancers.r1": "null",
    **{f"model.balancers.generator.weights.{loss}": "null" for loss in ("adversarial", "feature_matching")},
}
PREDICTED = {"model.game.generator": "lightning_mtgan.networks.PredictedTransforms"}
NETWORKS: dict[str, tuple[Path, dict[str, object]]] = {
    "paired, L1 alone": (PAIRED, L1_ALONE),
    "paired, L1 alone, predicted transforms": (PAIRED, L1_ALONE | PREDICTED),
    "paired, adversarial": (PAIRED, {}),
    "unpaired": (UNPAIRED, {}),
    "unpaired, predicted transforms": (UNPAIRED, PREDICTED),
}
AMOUNTS: tuple[type[Adjustable], ...] = (WhiteBalance, Gamma, Contrast, Saturation, UnsharpMask)
Make = Callable[[Score, Tensor, Tensor], Transform]


def psnr(made: Tensor, truth: Tensor) -> float:
    """Of all images together, in dB."""
    return decibels(squared_error(made, truth).mean()).item()


def likeness(made: Tensor, truth: Tensor) -> float:
    """How near the look of images is to that of others."""
    eye = Appearance()
    seen = [eye.look(image, {}) for image in (truth, made)]
    return -eye.figures(seen[0], seen[1], seen[1])["look_distance"]


def best_of(choices: Sequence[Transform], score: Score, damaged: Tensor, truth: Tensor) -> Transform:
    """The transform that scores best."""
    return max(choices, key=lambda one: score(enhanced(one, damaged), truth))


def enhanced(transform: Transform, damaged: Tensor) -> Tensor:
    """Images uint8 to what a transform makes of them, uint8."""
    return to_bytes(transform(damaged.float() / 127.5 - 1))


def searched(kinds: Sequence[type[Adjustable]], score: Score, damaged: Tensor, truth: Tensor) -> Transform:
    """Amounts found by Optuna."""
    return tuned(kinds, damaged, truth, 60 * len(kinds) if len(kinds) < 3 else 300, 0, score)[0]


def stretched(score: Score, damaged: Tensor, truth: Tensor) -> Transform:
    """Automatic contrast, then the pipeline tuned to what is left."""
    first = AutoContrast()
    after = searched(AMOUNTS, score, enhanced(first, damaged), truth)
    return Pipeline([first, after])


TRANSFORMS: dict[str, Make] = {
    **{kind.name: partial(searched, [kind]) for kind in AMOUNTS},  # type: ignore[dict-item]
    "auto_contrast": partial(best_of, [AutoContrast(low) for low in (0.0, 0.005, 0.01, 0.02, 0.05)]),
    "equalise": partial(best_of, [HistogramEqualisation()]),
    "clahe": partial(best_of, [CLAHE(clip, grid) for clip in (1.0, 2.0, 4.0) for grid in (1, 2, 4)]),
    "pipeline": partial(searched, AMOUNTS),
    "auto_contrast, pipeline": stretched,
}


class Fixed(ImageGame):
    """A transform in the place of a Game.

    Args:
        spec: What the data is.
        corruptions: What happens to images.
        transform: What is done about it.
    """

    def __init__(self, spec: DataSpec, corruptions: Mapping[str, Corruption], transform: Transform) -> None:
        super().__init__(spec)
        self.corruptions, self.transform = corruptions, transform
        self.players["nobody"] = nn.Linear(1, 1)  # who says on which device and in which type

    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        """See ImageGame."""
        return self.transform(damaged.image)

    def phases(self) -> Sequence[Phase]:
        """None."""
        return []

    def sampling_modules(self) -> Sequence[nn.Module]:
        """None."""
        return []


@cache
def setting(conf: Path) -> tuple[Photos, ImageGame]:
    """The data of a configuration, with the photographs' names, and its Game, untrained."""
    config = merged([ROOT / "conf" / "default.yaml", conf], {})
    data = {**config["data"]["init_args"], "tasks": ["photograph"]}
    photos = build(Photos, {"class_path": "lightning_mtgan.data.Photos", "init_args": data})
    game = configured_game(config["model"]["game"], photos.spec)
    assert isinstance(game, ImageGame)
    return photos, game


def measured(game: ImageGame, conf: Path) -> dict[str, float]:
    """Figures on the parts of photographs that nobody has seen."""
    photos, _ = setting(conf)
    jury = Jury.of(PhotosEvaluator(), None)
    assert jury is not None
    protocol = Protocol(
        num_images=NUM_IMAGES, num_neighbour_images=300, kid_subsets=1, num_copy_images=0, split="regions",
        num_restored_images=NUM_IMAGES, restored_split="regions",
    )  # fmt: skip
    measurement, seed = Measurement(jury, photos, game.eval(), None), seed_of("benchmark")
    with torch.no_grad():
        fake, (real, known) = measurement.generate(protocol, seed), measurement.real_images(protocol)
        found = measurement.figures(fake, real, known, None, protocol, measurement.restorations(protocol, seed))
    assert found is not None
    (name,) = game.corruptions
    figures = found[0]
    row = {one: figures[one] for one in (*FIGURES, "look_distance_input", "downstream_clean/photograph")}
    return row | {"psnr_mean": figures[f"psnr_mean/{name}"], "before": figures[f"psnr_input/{name}"]}


@cache
def pairs(conf: Path) -> tuple[Tensor, Tensor]:
    """Damaged and true training patches, uint8."""
    photos, game = setting(conf)
    truth = photos.dataset("train")[torch.arange(500)]["image"]
    (corruption,) = game.corruptions.values()
    return to_bytes(damage(corruption, truth.float() / 127.5 - 1, seed_of("tuning")).image), truth


def run_transform(name: str, conf: Path, aim: str) -> Row:
    """A transform, tuned, and its figures."""
    score: Score = {"psnr": psnr, "look": likeness}[aim]
    _, game = setting(conf)
    transform = Gamma(Gamma.neutral) if name == "nothing" else TRANSFORMS[name](score, *pairs(conf))
    row: dict[str, Any] = {"row": name, "conf": conf.stem, "aim": aim, "seed": 0}
    return row | measured(Fixed(game.spec, game.corruptions, transform), conf) | {"made of": described(transform)}


def described(transform: Transform) -> str:
    """A transform and its amounts."""
    if isinstance(transform, Pipeline):
        return ", ".join(described(one) for one in transform.transforms)
    own = [f"{value:.3g}" for value in vars(transform).values() if isinstance(value, int | float)]
    return f"{transform.name} {' '.join(own)}".strip()


def run_network(name: str, seed: int, steps: int | None) -> Row:
    """A training by the command line, and the figures of what comes of it."""
    conf, keys = NETWORKS[name]
    given: dict[str, object] = {
        **keys,
        "seed_everything": seed,
        "data.tasks": "[photograph]",
        "fidelity.final": '{"num_images": 500, "num_neighbour_images": 200, "kid_subsets": 1}',
    }
    if steps is not None:
        players = ["generator"] + (["discriminator"] if keys.get("model.game.adversarial") != "null" else [])
        given |= {"trainer.max_steps": steps, **{f"model.schedulers.{one}.num_steps": steps for one in players}}
    training = trained(conf, given)
    assert isinstance(training.game, ImageGame)
    row: dict[str, Any] = {"row": name, "conf": conf.stem, "aim": "", "seed": seed, "steps": steps}
    return row | measured(training.game, conf) | {"seconds": training.figures["seconds"]}


def table(rows: Sequence[Row], conf: Path) -> str:
    """A Markdown table of one mixture."""
    names = {"psnr": 2, "psnr_mean": 2, "psnr_gain": 2, "ssim": 3, "look_distance": 3, "fid": 1}
    names |= {"downstream/photograph": 3, "recovered/photograph": 2}
    heads = ["PSNR", "mean", "gain", "SSIM", "distance", "FID", "accuracy", "recovered"]
    lines = [f"| {conf.name} | tuned for | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 3) + "|"]
    for name, aim in dict.fromkeys((row["row"], row["aim"]) for row in rows):
        mine = [row for row in rows if (row["row"], row["aim"]) == (name, aim)]
        cells = [cell([float(row[one]) for row in mine], digits) for one, digits in names.items()]
        aims = {"psnr": "PSNR", "look": "distance", "": ""}
        lines.append(f"| {name} | {aims[aim]} | {len(mine)} | {' | '.join(cells)} |")
    clean = {row["downstream_clean/photograph"] for row in rows}
    return "\n".join([*lines, "", f"accuracy on clean patches: {', '.join(f'{one:.3f}' for one in clean)}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(NETWORKS), help="networks to train")
    parser.add_argument("--steps", type=int, help="of each training; default: as configured")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "enhancement.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the tables of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    if not arguments.table:
        rows = [row for row in kept(arguments.output) if row.get("steps") == arguments.steps]
        done = {(row["row"], row["conf"], row["aim"], row["seed"]) for row in rows}
        wanted = [("nothing", conf, "psnr") for conf in (PAIRED, UNPAIRED)]
        wanted += [(name, PAIRED, "psnr") for name in TRANSFORMS]
        wanted += [(name, UNPAIRED, aim) for aim in ("psnr", "look") for name in TRANSFORMS]
        known = {(row["row"], row["conf"], row["aim"], row["seed"]) for row in kept(arguments.output)}
        left = [job for job in wanted if (job[0], job[1].stem, job[2], 0) not in known]
        run_all(run_transform, left, arguments.jobs, arguments.output)
        trainings = [
            (name, seed, arguments.steps)
            for seed in arguments.seeds
            for name in arguments.only
            if (name, NETWORKS[name][0].stem, "", seed) not in done
        ]
        run_all(run_network, trainings, arguments.jobs, arguments.output)
    for conf in (PAIRED, UNPAIRED):
        rows = [
            row for row in kept(arguments.output, conf=conf.stem) if row.get("steps") == arguments.steps or row["aim"]
        ]
        print(table(rows, conf), end="\n\n")


if __name__ == "__main__":
    main()
