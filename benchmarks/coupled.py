"""Whether coupled generators correspond: pixel agreement, over shared layers of generators and of discriminators.

Digits beside their negatives, and beside their outlines, never seen in pairs: conf/coupled.yaml with two domains,
1,500 steps (1,000 at 32 x 32) of 32 images each, and nothing changed but how many first layers of the
generators (k of 5 at 8 x 8 pixels, of 9 at 32 x 32) and last layers of the discriminators (m of 5, of 9) are the
same. 2,000 latents: the plain digit, made a negative or an outline by the data's own function, against what the other
generator shows, both binarised at half (CoGAN, arXiv:1606.07536, section 4: .952 and .967 on MNIST with all but the
last generator layer shared). "chance" are pairs of real images: unrelated ones, and those of the same digit. "class":
how often the evaluator sees the same digit in both. FID is the mean of both domains.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/coupled.py              # about 25 minutes on 2 cores
    python benchmarks/coupled.py --table      # only print what is there
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training import ROOT, Row, cell, kept, run_all, trained
from lightning_mtgan.data import DigitDomain, Edges, Negative, Plain
from lightning_mtgan.data.digit_domains import Domain
from lightning_mtgan.evaluation import DigitDomainsEvaluator, pixel_agreement
from lightning_mtgan.games import DomainGame

OTHERS: dict[str, Domain] = {"negative": Negative(), "edges": Edges()}
NUM_LATENTS = 2000
WIDTHS = {8: (128, 64), 32: (64, 16)}
"""Channels of the generators at 4 x 4 pixels, and the least, by size."""
FINAL = {"num_images": 2000, "num_neighbour_images": 500, "kid_subsets": 2}
Job = tuple[str, int, int, int, int]
"""The other domain, size, k, m, seed."""
KEYS = ("other", "size", "k", "m", "seed")


def jobs(seeds: list[int]) -> list[Job]:
    """Seed by seed, what is asked for first first."""
    found: list[Job] = []
    for seed in seeds:
        for other in OTHERS:
            found += [(other, 32, 8, 2, seed), (other, 8, 4, 2, seed)]
            found += [(other, 8, k, 2, seed) for k in (0, 2, 3)]
            found += [(other, 8, 4, m, seed) for m in (0, 4)]
    return found


def shown(game: DomainGame, domain: str) -> Tensor:
    """Images of fixed latents, uint8."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        image = game.sample_domain(domain, NUM_LATENTS, None, generator)
    return ((image.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def as_other(digit: Tensor, other: str) -> Tensor:
    """White digits on black as the other domain shows them."""
    return OTHERS[other].show(digit, lambda: digit)


CONF = ROOT / "conf" / "coupled.yaml"


def domains(other: str, size: int) -> dict[str, object]:
    """Plain digits and those of another domain, as a configuration has them."""
    kinds = {"plain": "Plain", other: type(OTHERS[other]).__name__}
    return {
        name: {
            "class_path": "lightning_mtgan.data.DigitDomain",
            "init_args": {"domain": f"lightning_mtgan.data.{kind}", "image_size": size},
        }
        for name, kind in kinds.items()
    }


def run(job: Job, steps: int) -> Row:
    """One training by the command line, and what its generators show."""
    other, size, k, m, seed = job
    keys = {
        "model.game.generator.width": WIDTHS[size][0],
        "model.game.generator.least_width": WIDTHS[size][1],
        "model.game.trunk.width": 32,
        "model.game.shared_generator_layers": k,
        "model.game.shared_discriminator_layers": m,
        "trainer.max_steps": steps if size == 8 else steps * 2 // 3,
        "seed_everything": seed,
        "fidelity.final": json.dumps(FINAL),
    }
    figures, game, _ = trained(CONF, keys, domains(other, size))
    assert isinstance(game, DomainGame)
    plain, made = shown(game, "plain"), shown(game, other)
    evaluator = DigitDomainsEvaluator()
    digits = [evaluator.predictions(image, evaluator.features(image))["digit"] for image in (plain, made)]
    return {
        **dict(zip(KEYS, job, strict=True)),
        "steps": steps,
        "agreement": pixel_agreement(as_other(plain, other), made).mean().item(),
        "unrelated": pixel_agreement(as_other(plain, other), made.roll(1, 0)).mean().item(),
        "class": (digits[0] == digits[1]).double().mean().item(),
        "fid": figures["fid"],
        "modes": figures["modes"],
        "parameters": sum(p.numel() for p in game.parameters()),
        "seconds": figures["seconds"],
    }


@cache
def chance(other: str, size: int) -> tuple[float, float]:
    """The pixel agreement of real images: of unrelated pairs, and of pairs that show the same digit."""
    rows = DigitDomain(Plain(), image_size=size).dataset("train")[torch.arange(1437)]
    image, digit = rows["image"], rows["targets"]["digit"]
    there = as_other(image, other)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(image), generator=generator)
    unrelated = pixel_agreement(there, there[order])
    by_digit = digit.argsort(stable=True)
    neighbours = by_digit.roll(50)
    same = digit[by_digit] == digit[neighbours]
    return unrelated.mean().item(), pixel_agreement(there[by_digit], there[neighbours])[same].mean().item()


def table(rows: list[Row]) -> str:
    """A Markdown table: one line for each pair of domains, size, k and m."""
    columns = ("agreement", "unrelated latents", "class", "FID", "modes", "parameters")
    head = f"| domains | size | k | m | seeds | {' | '.join(columns)} | chance: unrelated, same digit |"
    lines = [head, "|---" * 12 + "|"]
    keys = dict.fromkeys((str(row["other"]), int(row["size"]), int(row["k"]), int(row["m"])) for row in rows)  # type: ignore[call-overload]
    for other, size, k, m in sorted(keys, key=lambda key: (key[1], key[0], key[3] != 2, key[2], key[3])):
        mine = [row for row in rows if (row["other"], row["size"], row["k"], row["m"]) == (other, size, k, m)]

        def values(name: str, mine: list[Row] = mine) -> list[float]:
            return [float(row[name]) for row in mine]  # type: ignore[arg-type]

        cells = [cell(values(name)) for name in ("agreement", "unrelated", "class")]
        cells += [cell(values("fid"), 1), cell(values("modes"), 0), f"{mine[0]['parameters']:,}"]
        lines.append(
            f"| plain, {other} | {size} | {k} | {m} | {len(mine)} | {' | '.join(cells)} | "
            + ", ".join(f"{one:.3f}" for one in chance(other, size))
            + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1500, help="at 8 x 8 pixels; two thirds of them at 32 x 32")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--most", type=int, help="trainings of this call")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "coupled.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    if not arguments.table:
        done = {tuple(row[key] for key in KEYS) for row in kept(arguments.output, steps=arguments.steps)}
        left = [job for job in jobs(arguments.seeds) if job not in done]
        run_all(run, [(job, arguments.steps) for job in left[: arguments.most]], arguments.jobs, arguments.output)
    print(table(kept(arguments.output, steps=arguments.steps)))


if __name__ == "__main__":
    main()
