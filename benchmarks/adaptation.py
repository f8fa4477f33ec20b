"""Whether a classifier that saw labels in one domain alone knows another: unsupervised domain adaptation.

Labels of plain digits; of the other domain none is used (its weight is 0), 8 x 8 pixels, 900 steps of 32 images of
each domain. Accuracy on the 360 held-out digits of other writers:

- "plain": the discriminator's head in the domain with labels;
- "coupled": the same head in the other domain, behind that domain's own first layers and the shared last ones, as in
  CoGAN (arXiv:1606.07536, section 5: .912 from MNIST to USPS);
- "one network": all layers of the discriminators are the same, that is, the classifier as it is;
- "through the generators": an image of the other domain, its latent by a trained encoder and a search from there, the
  plain image of that latent, and what the evaluator sees in it.

Rows are appended as they finish; a second call goes on where the first one stopped.

    python benchmarks/adaptation.py              # about 10 minutes on 2 cores
    python benchmarks/adaptation.py --table      # only print what is there
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.coupled import CONF, FINAL, OTHERS, domains
from benchmarks.training import ROOT, Row, cell, kept, run_all, trained
from lightning_mtgan.data import DigitDomain
from lightning_mtgan.evaluation import DigitDomainsEvaluator
from lightning_mtgan.games import DomainGame
from lightning_mtgan.translating import LatentEncoder, LatentSearch, translate

COUPLED, ONE = "coupled", "one network"
SHARED = {COUPLED: "4", ONE: "null"}
"""Last layers of the discriminators that are the same."""
NUM_TRANSLATED, WIDTH = 360, 32


def run(way: str, other: str, seed: int, steps: int) -> Row:
    """One training, and how often the digit is told."""
    supervision = "lightning_mtgan.supervision.AuxiliaryHeads"
    figures, game, _ = trained(
        CONF,
        {
            "model.game.shared_generator_layers": 4,
            "model.game.shared_discriminator_layers": SHARED[way],
            "model.game.supervision": supervision,
            f"model.balancers.discriminator.weights.digit_{other}": 0,
            "model.game.generator.width": WIDTH,
            "model.game.trunk.width": WIDTH,
            "trainer.max_steps": steps,
            "seed_everything": seed,
            "fidelity.final": json.dumps(FINAL),
        },
        domains(other, 8),
    )
    assert isinstance(game, DomainGame)
    row = {"way": way, "other": other, "seed": seed, "steps": steps, "fid": figures["fid"]}
    row |= {name: figures[f"head_accuracy/digit@{domain}"] for name, domain in (("plain", "plain"), ("told", other))}
    return row | ({"through": through(game, other)} if way == COUPLED else {})


def through(game: DomainGame, other: str) -> float:
    """The share of the other domain's held-out images whose plain translation shows the right digit."""
    rows = DigitDomain(OTHERS[other], image_size=8).dataset("held_out")[torch.arange(NUM_TRANSLATED)]
    mapper = LatentEncoder(steps=400, refinement=LatentSearch(steps=50))
    plain = translate(game, mapper, rows["image"].float() / 127.5 - 1, other, ["plain"])["plain"]
    evaluator = DigitDomainsEvaluator()
    image = ((plain + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    told = evaluator.predictions(image, evaluator.features(image))["digit"]
    return (told == rows["targets"]["digit"]).double().mean().item()


def table(rows: list[Row]) -> str:
    """A Markdown table."""
    lines = [
        "| labels of plain digits, tested on | seeds | plain itself | one network | coupled | through the generators |"
    ]
    lines.append("|---" * 6 + "|")
    for other in OTHERS:
        mine = {way: [row for row in rows if (row["other"], row["way"]) == (other, way)] for way in SHARED}
        if all(mine.values()):
            cells = [cell([row["plain"] for row in mine[COUPLED]]), cell([row["told"] for row in mine[ONE]])]
            cells += [cell([row[name] for row in mine[COUPLED]]) for name in ("told", "through")]
            lines.append(f"| {other} | {len(mine[COUPLED])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmarks" / "adaptation.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    if not arguments.table:
        done = {(row["way"], row["other"], row["seed"]) for row in kept(arguments.output, steps=arguments.steps)}
        jobs = [(way, other, seed) for seed in arguments.seeds for other in OTHERS for way in SHARED]
        left = [(*job, arguments.steps) for job in jobs if job not in done]
        run_all(run, left, arguments.jobs, arguments.output)
    print(table(kept(arguments.output, steps=arguments.steps)))


if __name__ == "__main__":
    main()
