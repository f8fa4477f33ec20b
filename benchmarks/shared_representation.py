"""Whether generators around one representation are better than generators alone: FID in four domains of digits.

conf/shared_representation.yaml at 8 x 8 pixels: plain, negative and blended digits with 1,437 images each, outlines
with 100. 1,200 steps of 32 images of each domain, for every row the same images, and generators so wide that each row
has at least as many parameters as S and its generators; counted and printed:

- four GANs: nothing is shared;
- S learned: generators read S; α is the weight of the consensus, λ and γ are 1;
- S as the mean of all generators' features; S only as a centre that nobody reads; soft sharing of parameters;
- D shared: the last layers of the discriminators are the same, with and without S.

FID of 5,000 images against all 1,437 digits of a domain, extractor mtgan-digit-domains, also for the domain of which
100 were seen. One seed to screen, three for the rows of --repeated. Rows are appended as they finish.

    python benchmarks/shared_representation.py              # about 10 minutes on 2 cores
    python benchmarks/shared_representation.py --table      # only print what is there
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training import ROOT, Row, cell, kept, run_all, trained
from lightning_mtgan.checkpoint import configured_game
from lightning_mtgan.config_files import merged
from lightning_mtgan.data import Blended, DigitDomain, Domains, Edges, Negative, Plain
from lightning_mtgan.games import SharedRepresentationGame

KINDS = {"plain": "Plain", "negative": "Negative", "edges": "Edges", "blended": "Blended"}
FEW, NUM_FEW = "edges", 100
WIDTH = 32
FINAL = {"num_images": 5000, "num_neighbour_images": 1000, "kid_subsets": 2}
GAME = "model.game."
ALPHAS = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0)
ALONE, BOTH_D = "four GANs", "four GANs, D shared"


def weights(alpha: float, *phases: str) -> dict[str, object]:
    """The weight of the consensus in some phases."""
    return {f"model.balancers.{phase}.weights.consensus_{name}": alpha for phase in phases for name in KINDS}


def learned(alpha: float) -> dict[str, object]:
    """S learned, read by the generators."""
    return weights(alpha, "generator", "representation")


NO_S: dict[str, object] = {
    f"{GAME}representation": "null",
    "model.optimizers.representation": "null",
    "model.balancers.representation": "null",
    **dict.fromkeys(weights(0, "generator"), "null"),
}
"""Nothing of a representation."""
NO_PLAYER = {key: NO_S[key] for key in ("model.optimizers.representation", "model.balancers.representation")}
PACKAGE = "lightning_mtgan.representations"
ROWS: dict[str, dict[str, object]] = {
    ALONE: NO_S,
    **{f"S learned, α {alpha:g}": learned(alpha) for alpha in ALPHAS},
    "S mean, α 0.1": {
        f"{GAME}representation": f"{PACKAGE}.MeanRepresentation",
        **NO_PLAYER,
        **weights(0.1, "generator"),
    },
    "S a centre that is not read, α 1": {f"{GAME}reads_representation": "false", **learned(1.0)},
    "soft sharing, α 0.001": {
        **NO_S,
        f"{GAME}soft_sharing": f"{PACKAGE}.SoftSharing",
        "model.balancers.generator.weights.soft_sharing": 0.001,
    },
    BOTH_D: {**NO_S, f"{GAME}shared_discriminator_layers": 3},
    "S learned, α 0.1, D shared": {**learned(0.1), f"{GAME}shared_discriminator_layers": 3},
}


CONF = ROOT / "conf" / "shared_representation.yaml"


def domains() -> dict[str, object]:
    """The data, as a configuration has them."""
    few = {FEW: {"num_images": NUM_FEW}}
    return {
        name: {
            "class_path": "lightning_mtgan.data.DigitDomain",
            "init_args": {"domain": f"lightning_mtgan.data.{kind}", "image_size": 8, **few.get(name, {})},
        }
        for name, kind in KINDS.items()
    }


def keys(name: str, seed: int, steps: int, width: int) -> dict[str, object]:
    """Keys of train.py for one training."""
    return {
        f"{GAME}depth": 3,
        f"{GAME}shared_discriminator_layers": 0,
        f"{GAME}generator.width": width,
        f"{GAME}trunk.width": WIDTH,
        "trainer.max_steps": steps,
        "seed_everything": seed,
        "fidelity.final": json.dumps(FINAL),
        **ROWS[name],
    }


def counts(game: torch.nn.Module) -> tuple[int, int]:
    """Parameters of the generators with S, and of all players."""
    assert isinstance(game, SharedRepresentationGame)
    sizes = {name: sum(p.numel() for p in player.parameters()) for name, player in game.players.items()}
    return sum(sizes.values()) - sizes["discriminator"], sum(sizes.values())


def run(name: str, seed: int, steps: int, width: int) -> Row:
    """One training and its figures in each domain."""
    figures, game, _ = trained(CONF, keys(name, seed, steps, width), domains())
    names = [f"{figure}/{domain}" for figure in ("fid", "recall", "modes") for domain in KINDS]
    making, everything = counts(game)
    row: dict[str, Any] = {"row": name, "seed": seed, "steps": steps, "width": width, "making": making}
    row |= {"parameters": everything, "seconds": figures["seconds"], "fid": figures["fid"]}
    return row | {one: figures[one] for one in names}


def width_of(name: str) -> int:
    """How wide generators are so that all of them, with S, have as many parameters as those around S or more."""
    looks = {"plain": Plain(), "negative": Negative(), "edges": Edges(), "blended": Blended()}
    spec = Domains({one: DigitDomain(look, image_size=8) for one, look in looks.items()}).spec

    def making(of: str, width: int) -> int:
        given = {key: str(value) for key, value in keys(of, 0, 1, width).items() if key.startswith(GAME)}
        config = merged([ROOT / "conf" / "default.yaml", CONF], given)
        return counts(configured_game(config["model"]["game"], spec))[0]

    wanted = making(f"S learned, α {ALPHAS[0]:g}", WIDTH)
    return next(width for width in range(WIDTH, 99) if making(name, width) >= wanted)


def table(rows: list[Row]) -> str:
    """A Markdown table."""
    heads = ["mean", *KINDS]
    lines = [
        f"| | seeds | FID: {' | '.join(heads)} | modes | recall | making + judging | seconds |",
        "|---" * (len(heads) + 6) + "|",
    ]
    for name in ROWS:
        mine = [row for row in rows if row["row"] == name]
        if not mine:
            continue
        fids = [cell([row[f"fid/{one}" if one != "mean" else "fid"] for row in mine], 1) for one in heads]
        modes = cell([sum(row[f"modes/{one}"] for one in KINDS) / len(KINDS) for row in mine], 1)
        recall = cell([sum(row[f"recall/{one}"] for one in KINDS) / len(KINDS) for row in mine], 2)
        parameters = f"{mine[0]['making']:,} + {mine[0]['parameters'] - mine[0]['making']:,}"
        seconds = cell([row["seconds"] for row in mine], 0)
        lines.append(f"| {name} | {len(mine)} | {' | '.join(fids)} | {modes} | {recall} | {parameters} | {seconds} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="the first one is for all rows")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS), help="which rows")
    parser.add_argument("--repeated", nargs="*", default=[ALONE, "S learned, α 0.1"], help="rows that get all seeds")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "shared_representation.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    if not arguments.table:
        done = {(row["row"], row["seed"]) for row in kept(arguments.output, steps=arguments.steps)}
        wanted = [(name, arguments.seeds[0]) for name in arguments.only]
        wanted += [(n, seed) for seed in arguments.seeds[1:] for n in arguments.only if n in arguments.repeated]
        left = [(n, seed, arguments.steps, width_of(n)) for n, seed in wanted if (n, seed) not in done]
        run_all(run, left, arguments.jobs, arguments.output)
    print(table(kept(arguments.output, steps=arguments.steps)))


if __name__ == "__main__":
    main()
