"""How long each of conf/recipes takes on one H100-class GPU: an estimate, counted and not measured.

Every phase of the recipe's game is played once on the CPU for a few images, and torch counts the multiplications and
additions of matrices and convolutions, forward, backward and second derivatives. Operations of a batch over all
phases by their intervals, times the batches of the recipe, over a sustained rate, are the hours. The rates are guesses:
60 TFLOP/s of float32 through TF32 tensor cores (a seventh of their dense peak of 495; small images do not fill
a large device), and twice that of bfloat16. StyleGAN2-ADA at 256 pixels reaches about a fifth of an A100's TF32 peak
(github.com/NVlabs/stylegan3, docs/configs.md: 12.5 s for 1,000 images), so hours may as well be half or double.

    python benchmarks/recipes.py     # a few minutes on 2 cores
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout, installed or not

from lightning_mtgan.augment import Augmentation  # noqa: E402
from lightning_mtgan.balancing import WeightedSum  # noqa: E402
from lightning_mtgan.checkpoint import configured_game  # noqa: E402
from lightning_mtgan.cli import DEFAULT_CONFIG  # noqa: E402
from lightning_mtgan.config_files import merged  # noqa: E402
from lightning_mtgan.data import Shapes  # noqa: E402
from lightning_mtgan.draws import Draws  # noqa: E402
from lightning_mtgan.types import Batch, DataSpec, TaskKind, TaskSpec  # noqa: E402

IMAGES = 8
TERAFLOPS = {"32-true": 60.0, "bf16-mixed": 120.0}
CLASSES = TaskSpec("object", TaskKind.CLASSIFICATION, 10)
FACES = TaskSpec("attributes", TaskKind.ATTRIBUTES, 40, prior=((0.5,),) * 40)


class Same(Augmentation):
    """Nothing happens, but images are no longer leaves, which the counter could not follow."""

    changes = frozenset()

    def forward(self, image: torch.Tensor, draws: Draws, purpose: str) -> torch.Tensor:
        return image * 1


def data_of(config: dict[str, Any]) -> tuple[DataSpec, dict[str, torch.Tensor]]:
    """What a recipe's data look like, and targets of a few images, without any download."""
    name, arguments = config["data"]["class_path"].rpartition(".")[2], config["data"]["init_args"]
    if name == "CIFAR10":
        return DataSpec(32, 3, (CLASSES,)), {"object": torch.arange(IMAGES)}
    if name == "CelebA":
        return DataSpec(64, 3, (FACES,)), {"attributes": torch.ones(IMAGES, 40)}
    shapes = Shapes(batch_size=IMAGES, num_images=64, image_size=64, tasks=arguments["tasks"])
    return shapes.spec, shapes.dataset("train")[torch.arange(IMAGES)]["targets"]


def operations(config: dict[str, Any]) -> float:
    """Floating-point operations for one image of the batch, over all phases by their intervals."""
    spec, targets = data_of(config)
    game = configured_game(config["model"]["game"], spec)
    game.augmentation = game.augmentation or Same()  # type: ignore[attr-defined]
    image = torch.rand(IMAGES, 3, spec.image_size, spec.image_size) * 2 - 1
    batch: Batch = {"image": image, "targets": targets, "draws": Draws(seed=0)}
    total = 0.0
    for phase in game.phases():
        player = game.players[phase.player]
        for name, other in game.players.items():
            other.requires_grad_(name == phase.player)
        with FlopCounterMode(display=False) as counter:
            WeightedSum().backward(phase.losses(batch), list(player.parameters()))
        total += counter.get_total_flops() / phase.every
    return total / IMAGES


def main() -> None:
    print("| recipe | GFLOP for an image | batch | batches | precision | hours |\n|---|---|---|---|---|---|")
    for file in sorted((ROOT / "conf" / "recipes").glob("*.yaml")):
        config = merged([DEFAULT_CONFIG, file], {})
        size, steps = config["data"]["init_args"]["batch_size"], config["trainer"]["max_steps"]
        precision = config["trainer"].get("precision") or "32-true"
        found = operations(config)
        hours = found * size * steps / (TERAFLOPS[precision] * 1e12) / 3600
        print(f"| {file.stem} | {found / 1e9:.1f} | {size} | {steps:,} | {precision} | {hours:.0f} |", flush=True)


if __name__ == "__main__":
    main()
