"""What the Lightning loop costs: the same training as a plain PyTorch loop and through the Trainer.

Same networks, losses, data, optimizers and draws, in turns within one process, so that a noisy
machine slows both. Evaluation, checkpoints and samples are off; logging and the progress bar are
on, as in the main job. After the last turn both sides must hold the same parameters.

    python benchmarks/loop.py                       # CPU, about 3 minutes
    python benchmarks/loop.py --accelerator gpu --precision bf16-mixed
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lightning_mtgan.cli import TrainingCommand
from lightning_mtgan.draws import Draws
from lightning_mtgan.reporting import quiet_lightning

WARMUP = 20


def command(arguments: argparse.Namespace, steps: int, folder: str) -> TrainingCommand:
    """The main job, without evaluation, checkpoints and samples."""
    built = TrainingCommand(
        [
            f"--runs={folder}",
            "--wandb=off",
            f"--trainer.max_steps={steps}",
            f"--trainer.accelerator={arguments.accelerator}",
            f"--trainer.precision={arguments.precision}",
            "--ema.half_life_kimg=0",
            *arguments.keys,
        ]
    )
    kept = ("Record", "Progress")
    built.trainer.callbacks = [c for c in built.trainer.callbacks if type(c).__name__ in kept]
    return built


def through_the_trainer(arguments: argparse.Namespace, steps: int) -> tuple[float, dict[str, torch.Tensor]]:
    """Images per second and the final parameters, through the Trainer."""
    marks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        built = command(arguments, steps, folder)
        step = built.model.training_step

        def timed(batch: object, batch_idx: int) -> None:
            if batch_idx == WARMUP:
                synchronize(arguments)
                marks[0] = time.perf_counter()
            step(batch, batch_idx)  # type: ignore[arg-type]

        built.model.training_step = timed  # type: ignore[method-assign]
        with terminal():
            built.train()
        synchronize(arguments)
        elapsed = time.perf_counter() - marks[0]
    return (steps - WARMUP) * built.model.batch_size / elapsed, built.model.game.state_dict()


def plain(arguments: argparse.Namespace, steps: int) -> tuple[float, dict[str, torch.Tensor]]:
    """Images per second and the final parameters, in a loop that somebody wrote by hand."""
    with tempfile.TemporaryDirectory() as folder:
        built = command(arguments, steps, folder)
    device = torch.device("cuda" if arguments.accelerator == "gpu" else "cpu")
    game = built.model.game.to(device)
    balancers = built.model.balancers
    optimizers = {name: built.model._optimizers[name](player.parameters()) for name, player in game.players.items()}
    data, batch_size = built.datamodule, built.datamodule.batch_size
    images = data.dataset("train")
    from lightning_mtgan.data.order import BatchOrder, ShuffledStream

    order = BatchOrder(ShuffledStream(data.seed, len(images)), batch_size, 0, 1, lambda: 0)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=arguments.precision == "bf16-mixed")
    start = 0.0
    for index in range(steps):
        if index == WARMUP:
            synchronize(arguments)
            start = time.perf_counter()
        rows = images[order.batch(index)]
        if device.type == "cuda":
            rows = {
                "image": rows["image"].pin_memory(),
                "targets": {name: target.pin_memory() for name, target in rows["targets"].items()},
            }
        image = rows["image"].to(device, non_blocking=True).float() / 127.5 - 1
        targets = {name: target.to(device, non_blocking=True) for name, target in rows["targets"].items()}
        for phase in game.phases():
            if index % phase.every:
                continue
            for name, player in game.players.items():
                player.requires_grad_(name == phase.player)
            optimizers[phase.player].zero_grad(set_to_none=True)
            draws = Draws(built.model.seed, index, phase.name, device=device)
            with autocast:
                terms = phase.losses({"image": image, "targets": targets, "draws": draws})
            balancers[phase.name].backward(terms, list(game.players[phase.player].parameters()))  # type: ignore[operator]
            optimizers[phase.player].step()
    synchronize(arguments)
    elapsed = time.perf_counter() - start
    return (steps - WARMUP) * batch_size / elapsed, game.state_dict()


def synchronize(arguments: argparse.Namespace) -> None:
    if arguments.accelerator == "gpu":
        torch.cuda.synchronize()


class _Terminal(io.StringIO):
    """A terminal as far as the progress bar can tell, so that the bar really draws."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def terminal():  # noqa: ANN201
    with contextlib.redirect_stderr(_Terminal()), contextlib.redirect_stdout(_Terminal()):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("keys", nargs="*", help="keys of train.py, for example --model.game.trunk.width=64 after --")
    arguments = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "offline")
    quiet_lightning()
    ratios, ours, theirs = [], [], []
    for turn in range(arguments.turns):
        sides = [through_the_trainer, plain] if turn % 2 == 0 else [plain, through_the_trainer]
        results = {side: side(arguments, arguments.steps) for side in sides}
        (fast, mine), (base, by_hand) = results[through_the_trainer], results[plain]
        same = all(torch.equal(mine[name].cpu(), by_hand[name].cpu()) for name in mine)
        ratios.append(fast / base)
        ours.append(fast)
        theirs.append(base)
        print(
            f"turn {turn + 1}: Trainer {fast:,.0f} images/s, plain loop {base:,.0f} images/s, "
            f"ratio {fast / base:.3f}, same parameters: {same}",
            flush=True,
        )
    print(
        f"median of {arguments.turns}: Trainer {statistics.median(ours):,.0f}, plain {statistics.median(theirs):,.0f} "
        f"images/s; ratio median {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
