"""Losses, regularisers, augmentations, architectures and tasks go together freely; what cannot is one sentence."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lightning_mtgan.cli import main
from tests.conftest import SMALL, newest_run

NUM_VALID, NUM_INVALID = 40, 2
PACKAGE = "lightning_mtgan"


def part(room: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"{PACKAGE}.{room}.{name}", **({"init_args": arguments} if arguments else {})}


RELATIVISTIC = ("RelativisticPairing", "RelativisticAverage", "RelativisticAverageLeastSquares")
LOSSES = ("NonSaturating", "Minimax", "Hinge", "LeastSquares", "Wasserstein", *RELATIVISTIC)
TRANSLATION = part("augment", "Translation")
REGULARIZERS = {
    "r1": part("regularizers", "R1"),
    "r1 lazy": part("regularizers", "R1", every=2),
    "r2": part("regularizers", "R2"),
    "gradient penalty": part("regularizers", "GradientPenalty"),
    "lazy gradient penalty": part("regularizers", "GradientPenalty", every=2),
    "cr": part("regularizers", "RealConsistency", transform=TRANSLATION),
    "bcr": part("regularizers", "FakeConsistency", transform=TRANSLATION),
    "zcr": part("regularizers", "LatentConsistency"),
    "zcr of the generator": part("regularizers", "LatentSpread"),
    "lecam": part("regularizers", "LeCam", start=1),
    "path length": part("regularizers", "PathLength", every=2),
    "msgan": part("regularizers", "ModeSeeking"),
    "dsgan": part("regularizers", "DiversitySensitive"),
    "feature matching": part("regularizers", "FeatureMatching"),
}
AUGMENTATIONS = {
    "none": None,
    "shift": part("augment", "DiffAugment", parts=[TRANSLATION, part("augment", "Cutout")]),
    "DiffAugment": part("augment", "DiffAugment"),
    "ADA": part("augment", "ADA", probability=part("augment", "AdaptiveProbability", start=0.5)),
    "ADA by a schedule": part(
        "augment", "ADA", probability=part("augment", "ScheduledProbability", start=0.0, end=0.5, num_steps=4)
    ),
}
SPOILS_DIGITS = ("DiffAugment", "ADA", "ADA by a schedule")
ARCHITECTURES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "conv": (
        part("networks", "ConvGenerator", width=4),
        part("networks", "ConvTrunk", width=4, num_features=8),
        "ProjectionHead",
        "UnconditionalHead",
    ),
    "dcgan": (
        part("networks", "DCGANGenerator", latent_dim=8, width=4),
        part("networks", "DCGANTrunk", width=4),
        "ProjectionHead",
        "UnconditionalHead",
    ),
    "sngan": (
        part("networks", "SNGANGenerator", latent_dim=8, width=4),
        part("networks", "SNGANTrunk", width=4),
        "SpectralProjectionHead",
        "SpectralUnconditionalHead",
    ),
    "sagan": (
        part("networks", "SNGANGenerator", latent_dim=8, width=8, attention_at=8),
        part("networks", "SNGANTrunk", width=8, attention_at=4),
        "SpectralProjectionHead",
        "SpectralUnconditionalHead",
    ),
    "biggan": (
        part("networks", "BigGANGenerator", latent_dim=8, width=4),
        part("networks", "BigGANTrunk", width=4),
        "SpectralProjectionHead",
        "SpectralUnconditionalHead",
    ),
    "stylegan2": (
        part("networks", "StyleGAN2Generator", z_dim=8, style_dim=8, num_mapping_layers=2, max_channels=8),
        part("networks", "StyleGAN2Trunk", max_channels=8, deviation_group=2),
        "EqualizedProjectionHead",
        "EqualizedHead",
    ),
    "r3gan": (
        part("networks", "R3GANGenerator", latent_dim=8, max_channels=8),
        part("networks", "R3GANTrunk", max_channels=8),
        "R3GANProjectionHead",
        "R3GANHead",
    ),
}
TASKS = (
    ["red"],
    ["red", "green", "blue"],
    ["red", "even"],
    ["ink", "colour"],
    ["colour", "texture"],
    ["blue", "ink", "texture"],
)
DIGITS = ("red", "green", "blue", "even", "ink")
"""Tasks that need a head."""
SUPERVISION = (
    None,
    "SpectralHeads",
    "AuxiliaryHeads",
    "AuxiliaryHeadsOnBoth",
    "TwinHeads",
    "ADCHeads",
    "ContrastiveHeads",
)


def heads(name: str | None) -> dict[str, Any] | None:
    if name == "SpectralHeads":
        return part("supervision", name, heads=part("supervision", "AuxiliaryHeads"))
    return part("supervision", name) if name is not None else None


REASONS = (
    "task heads answer for one image each",
    "reads the condition of one image",
    "twice; name each once",
    "judges differences alone",
    "makes the targets of task",
)


@dataclass(frozen=True)
class Combination:
    """One way of putting a game together."""

    architecture: str
    loss: str
    regularizers: tuple[str, ...]
    augmentation: str
    tasks: tuple[str, ...]
    supervision: str | None
    reads_condition: bool
    clean_tasks: bool
    packing: int
    generator_every: int
    precision: str

    @classmethod
    def drawn(cls, rng: random.Random) -> Combination:
        chosen = rng.sample(sorted(REGULARIZERS), rng.choice((0, 1, 1, 2)))
        return cls(
            rng.choice(sorted(ARCHITECTURES)),
            rng.choice(LOSSES),
            tuple(chosen),
            rng.choice(sorted(AUGMENTATIONS)),
            tuple(rng.choice(TASKS)),
            rng.choice(SUPERVISION),
            rng.random() < 0.7,
            rng.random() < 0.5,
            rng.choice((1, 1, 1, 2)),
            rng.choice((1, 1, 2)),
            rng.choice(("32-true", "32-true", "bf16-mixed")),
        )

    @property
    def refusal(self) -> str | None:
        """Words of the sentence that refuses it, by what the methods themselves say; None if it is valid."""
        heads = self.supervision is not None and any(task in DIGITS for task in self.tasks)
        names = [REGULARIZERS[name]["class_path"] for name in self.regularizers]
        if self.packing > 1 and heads:
            return "task heads answer for one image each"
        if self.packing > 1 and self.reads_condition:
            return "reads the condition of one image"
        if len(set(names)) < len(names):
            return "twice; name each once"
        if "lecam" in self.regularizers and self.loss in RELATIVISTIC:
            return "judges differences alone"
        if heads and not self.clean_tasks and self.augmentation in (*SPOILS_DIGITS, "shift"):
            spoiled = DIGITS if self.augmentation in SPOILS_DIGITS else ("ink",)
            if any(task in spoiled for task in self.tasks):
                return "makes the targets of task"
        return None

    def config(self) -> dict[str, Any]:
        generator, trunk, conditional, unconditional = ARCHITECTURES[self.architecture]
        head = conditional if self.reads_condition else unconditional
        game = {
            "generator": generator,
            "trunk": trunk,
            "adversarial_head": part("networks", head),
            "adversarial": part("losses", self.loss),
            "embedding": part("networks", "TaskEmbedding", embedding_dim=4),
            "supervision": heads(self.supervision),
            "embedding_owner": "discriminator" if self.reads_condition else "generator",
            "regularizers": [REGULARIZERS[name] for name in self.regularizers],
            "augmentation": AUGMENTATIONS[self.augmentation],
            "clean_tasks": self.clean_tasks,
            "packing": self.packing,
            "generator_every": self.generator_every,
        }
        plain = {"red": None, "green": None, "blue": None}
        return {
            "trainer": {"precision": self.precision},
            "data": {"init_args": {"tasks": list(self.tasks), "batch_size": 8, "num_images": 640}},
            "model": {
                "game": {"init_args": game},
                "balancers": {
                    "discriminator": {"init_args": {"weights": {**plain, "r1": None, "r2": None}, "others": 0.5}},
                    "generator": {"init_args": {"weights": plain, "others": 0.1}},
                },
            },
            "fidelity": {"final": {"num_images": 60, "num_neighbour_images": 20, "kid_subsets": 2}},
        }


def combinations() -> tuple[list[Combination], list[Combination]]:
    """Valid ones, and of each reason some that are refused."""
    rng = random.Random(7)
    valid: list[Combination] = []
    invalid: dict[str, list[Combination]] = {reason: [] for reason in REASONS}
    while len(valid) < NUM_VALID or any(len(some) < NUM_INVALID for some in invalid.values()):
        one = Combination.drawn(rng)
        some, enough = (valid, NUM_VALID) if one.refusal is None else (invalid[one.refusal], NUM_INVALID)
        some += [one] if len(some) < enough else []
    return valid, [one for some in invalid.values() for one in some]


VALID, INVALID = combinations()
QUICK = [one for one in SMALL if "width" not in one and "fidelity.final" not in one and "fidelity.periodic" not in one]


def run(one: Combination, folder: Path) -> int:
    file = folder / "combination.yaml"
    file.write_text(yaml.safe_dump(one.config()))
    return main(
        [
            *QUICK,
            f"--config={file}",
            f"--runs={folder / 'runs'}",
            "--trainer.max_steps=3",
            "--trainer.log_every_n_steps=1",
        ]
    )


@pytest.mark.parametrize("one", VALID, ids=lambda one: f"{one.architecture}-{one.loss}")
def test_a_valid_combination_trains(one: Combination, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(one, tmp_path) == 0, (one, capsys.readouterr().err)
    content = torch.load(newest_run(tmp_path / "runs") / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == 3
    skipped = content["lightning_mtgan"]["watch"]["skipped"]
    assert skipped and not any(skipped.values()), one
    named = set(skipped)
    lazy = {
        REGULARIZERS[name]["class_path"].rpartition(".")[2]
        for name in one.regularizers
        if "every" in REGULARIZERS[name].get("init_args", {})
    }
    assert len(named) == 2 + len(lazy)


@pytest.mark.parametrize("one", INVALID, ids=lambda one: one.refusal or "")
def test_an_invalid_combination_is_one_sentence(
    one: Combination, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(one, tmp_path) == 2
    printed = capsys.readouterr().err
    assert one.refusal is not None and one.refusal in printed, (one, printed)
    assert printed.count("\n") == 1


def test_the_draw_reaches_everything() -> None:
    drawn = VALID
    assert {one.architecture for one in drawn} == set(ARCHITECTURES)
    assert {one.loss for one in drawn} == set(LOSSES)
    assert {one.augmentation for one in drawn} == set(AUGMENTATIONS)
    assert {one.supervision for one in drawn} == set(SUPERVISION)
    assert {name for one in drawn for name in one.regularizers} == set(REGULARIZERS)
