"""What a shared encoder saves (NICE-GAN): parameters, and the time of a step, beside an encoder for each player.

conf/mts4gan.yaml with ``model.game.shares_encoder`` false and true and nothing else changed, on batches of 32. Both
are stepped in turns within one process, so that a noisy machine slows both alike; what is printed are medians, and
the median, least and greatest of ratios of neighbours. A step is both players' phases, and R1 every eighth time.

    python benchmarks/shared_encoder.py                        # about 5 minutes on one core
    python benchmarks/shared_encoder.py --accelerator gpu
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.balance_cost import Way, in_turns
from lightning_mtgan.reporting import quiet_lightning

CONF = Path(__file__).resolve().parents[1] / "conf" / "mts4gan.yaml"
SEPARATE, SHARED = "separate", "shared"


def arguments_of(encoder: str, size: int, batch_size: int) -> list[str]:
    """The arguments of train.py."""
    shares = str(encoder == SHARED).lower()
    keys = {"data.image_size": size, "data.batch_size": batch_size, "model.game.shares_encoder": shares}
    return [f"--config={CONF}", *[f"--{key}={value}" for key, value in keys.items()]]


def compared(size: int, batch_size: int, turns: int, steps: int, device: torch.device) -> list[str]:
    """Rows of the table for one size of images."""
    with tempfile.TemporaryDirectory() as folder:
        ways = {one: Way(arguments_of(one, size, batch_size), device, folder) for one in (SEPARATE, SHARED)}
    times = in_turns(ways, turns, steps)
    counts = {name: sum(p.numel() for p in way.game.parameters()) for name, way in ways.items()}
    lines = []
    for name, way in ways.items():
        of_generator = sum(p.numel() for p in way.game.players["generator"].parameters())
        ratios = [mine / other for mine, other in zip(times[name], times[SEPARATE], strict=True)]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if name != SEPARATE else ""
        lines.append(
            f"| {size} x {size} | {name} | {of_generator:,} | {counts[name]:,} | {counts[name] / counts[SEPARATE]:.2f} "
            f"| {1000 * statistics.median(times[name]):.0f} | {statistics.median(ratios):.2f}{spread} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64], help="height and width in pixels")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--turns", type=int, default=11)
    parser.add_argument("--steps", type=int, default=8, help="steps of each way in a turn: R1 is played once in 8")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    arguments = parser.parse_args()
    quiet_lightning()
    if arguments.accelerator == "cpu":
        torch.set_num_threads(1)
    device = torch.device("cuda" if arguments.accelerator == "gpu" else "cpu")
    print("| images | encoder | generator's own parameters | all parameters | ratio | step, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    for size in arguments.sizes:
        rows = compared(size, arguments.batch_size, arguments.turns, arguments.steps, device)
        print("\n".join(rows), flush=True)


if __name__ == "__main__":
    main()
