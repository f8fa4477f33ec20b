"""What a domain more costs: parameters, time of a step and peak memory for n = 1, 2, 4, 8, beside n separate trainings.

CoupledGame with conf/coupled.yaml's networks on random grey images of 16 x 16 pixels, 32 of each domain; a step is
both players' phases, and R1 every fourth time. "separate" are n Games of one domain each, all in one process; the
others are one Game: nothing shared, the same grouped, and all layers of the generators but the last with 3 of the
discriminators'. Each (way, n) has a process of its own, in which its memory is measured; processes take turns, so
that a noisy machine slows all alike, and what is printed are medians over turns, and medians of ratios of neighbours.

    python benchmarks/many_domains.py                        # about 5 minutes on one core
    python benchmarks/many_domains.py --accelerator gpu
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lightning_mtgan.draws import Draws
from lightning_mtgan.games import CoupledGame
from lightning_mtgan.losses import NonSaturating
from lightning_mtgan.networks import LayeredGenerator, LayeredTrunk
from lightning_mtgan.regularizers import R1
from lightning_mtgan.types import Batch, DataSpec

SIZE, BATCH_SIZE = 16, 32
SEPARATE = "separate"
WAYS = {
    SEPARATE: (0, 0, False),
    "nothing shared": (0, 0, False),
    "nothing shared, grouped": (0, 0, True),
    "shared": (6, 3, False),
}
"""Shared layers of generators and of discriminators, and whether the others are grouped."""


class Training:
    """One Game with its optimizers, stepped by hand."""

    def __init__(self, names: list[str], way: str, device: torch.device) -> None:
        k, m, grouped = WAYS[way]
        spec = DataSpec(SIZE, 1, domains={name: DataSpec(SIZE, 1) for name in names})
        torch.manual_seed(0)
        self.game = CoupledGame(
            spec,
            LayeredGenerator,
            LayeredTrunk,
            NonSaturating(),
            shared_generator_layers=k,
            shared_discriminator_layers=m,
            regularizers=[R1(every=4)],
            grouped=grouped,
        ).to(device)
        self.optimizers = {
            name: torch.optim.Adam(player.parameters(), lr=1e-3, fused=True)
            for name, player in self.game.players.items()
        }
        shape = (BATCH_SIZE, 1, SIZE, SIZE)
        self.domains: dict[str, Batch] = {
            name: {"image": torch.rand(shape, device=device) * 2 - 1, "targets": {}} for name in names
        }
        self.device = device

    def step(self, number: int) -> None:
        """All phases of one batch."""
        for phase in self.game.phases():
            if number % phase.every:
                continue
            for name, player in self.game.players.items():
                player.requires_grad_(name == phase.player)
            draws = Draws(0, number, phase.name, device=self.device)
            losses = phase.losses({"domains": self.domains, "draws": draws}).losses
            self.optimizers[phase.player].zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            self.optimizers[phase.player].step()


def worker(way: str, n: int, accelerator: str, steps: int) -> None:
    """Answers each line of the input with the seconds of some steps; the first answer says how large all is."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if accelerator == "gpu" else "cpu")
    names = [f"d{index}" for index in range(n)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    teams = [[name] for name in names] if way == SEPARATE else [names]
    trainings = [Training(team, way, device) for team in teams]
    for number in range(8):
        for training in trainings:
            training.step(number)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    if accelerator == "gpu":
        peak = torch.cuda.max_memory_allocated() / 2**20
    games = nn.ModuleList(training.game for training in trainings)
    print(json.dumps({"parameters": sum(p.numel() for p in games.parameters()), "memory": peak}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for number in range(steps):
            for training in trainings:
                training.step(number)
        if accelerator == "gpu":
            torch.cuda.synchronize()
        print((time.perf_counter() - start) / steps, flush=True)


def measured(n: int, arguments: argparse.Namespace) -> list[str]:
    """The rows of the table for one number of domains."""
    processes = {
        way: subprocess.Popen(
            [sys.executable, __file__, "--worker", way, str(n), arguments.accelerator, str(arguments.steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for way in WAYS
    }

    def answer(way: str) -> str:
        stream = processes[way].stdout
        assert stream is not None
        return stream.readline()

    facts = {way: json.loads(answer(way)) for way in WAYS}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.turns):
        for way, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            times[way].append(float(answer(way)))
    for process in processes.values():
        process.communicate()
    lines = []
    for way in WAYS:
        ratios = [mine / other for mine, other in zip(times[way], times[SEPARATE], strict=True)]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if way != SEPARATE else ""
        lines.append(
            f"| {n} | {way} | {facts[way]['parameters']:,} | {1000 * statistics.median(times[way]):.0f} "
            f"| {statistics.median(ratios):.2f}{spread} | {facts[way]['memory']:.0f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 2, 4, 8], help="of domains")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="in a turn: R1 is played once in 4")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    arguments = parser.parse_args()
    print("| domains | way | parameters | step, ms | of the separate ones' time | memory above the start, MiB |")
    print("|---|---|---|---|---|---|")
    for n in arguments.numbers:
        print("\n".join(measured(n, arguments)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        main()
