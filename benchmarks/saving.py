"""What saving checkpoints costs the main job, as a share of its training time.

Trains the job of conf/default.yaml with its own intervals and times each save: gathering the state,
comparing the ranks, writing, flushing to the disk, renaming. Evaluations and samples are left out of
the training time, so the share is of training alone.

    python benchmarks/saving.py                # about 3 minutes on 2 CPU cores
    python benchmarks/saving.py --steps 1200
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lightning_mtgan.callbacks import Checkpoints
from lightning_mtgan.cli import TrainingCommand
from lightning_mtgan.reporting import quiet_lightning


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    spent: list[float] = []
    save = Checkpoints.save

    def timed(*given: object, **named: object) -> None:
        start = time.perf_counter()
        save(*given, **named)  # type: ignore[arg-type]
        spent.append(time.perf_counter() - start)

    Checkpoints.save = timed  # type: ignore[assignment]
    quiet_lightning()
    with tempfile.TemporaryDirectory() as folder:
        command = TrainingCommand([f"--runs={folder}", "--wandb=off", f"--trainer.max_steps={arguments.steps}"])
        command.train()
        figures = command.model.figures
        size = (Path(folder) / "default" / "version_0" / "checkpoints" / "last.ckpt").stat().st_size
    training = figures["kimg"] * 1000 / figures["images_per_second"]
    print(
        f"{len(spent)} saves of {size / 2**20:.1f} MiB, {1000 * sum(spent) / len(spent):.0f} ms each (longest "
        f"{1000 * max(spent):.0f} ms), in {training:.0f} s of training: {100 * sum(spent) / training:.2f} %"
    )


if __name__ == "__main__":
    main()
