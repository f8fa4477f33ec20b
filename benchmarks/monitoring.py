"""What all default monitoring costs the main job, as a share of its wall time; the final figures are not counted.

Trains the job of conf/default.yaml as it is, and times every part of the monitoring where it runs:
measurements, the collapse guard, sample sheets, the page, W&B (offline), the figures that are written
at intervals, and the signals inside the steps. Nested parts are counted once.

    python benchmarks/monitoring.py                # about 3 minutes on 2 CPU cores
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lightning_mtgan import vital_signs
from lightning_mtgan.callbacks import CollapseGuard, Fidelity, PageWriter, Record, Samples
from lightning_mtgan.cli import TrainingCommand
from lightning_mtgan.distributed import FlatGradients
from lightning_mtgan.module import MultiTaskGAN
from lightning_mtgan.reporting import quiet_lightning

PARTS: list[tuple[str, Any, str]] = [
    ("measurements", Fidelity, "on_train_batch_end"),
    ("guard", CollapseGuard, "on_train_batch_end"),
    ("samples", Samples, "on_train_batch_end"),
    ("page", PageWriter, "on_train_batch_end"),
    ("figures at intervals", Record, "on_train_batch_end"),
    ("signals in the steps", vital_signs, "margin"),
    ("signals in the steps", vital_signs, "sign_of_real"),
    ("signals in the steps", vital_signs, "distance_within"),
    ("signals in the steps", FlatGradients, "norm"),
    ("signals in the steps", MultiTaskGAN, "_observe"),
]
"""W&B is inside of these: whatever is logged is logged by them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    spent: dict[str, float] = {}
    depth = 0

    def timed(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            nonlocal depth
            depth += 1
            start = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                depth -= 1
                if depth == 0:
                    spent[part] = spent.get(part, 0.0) + time.perf_counter() - start

        return run

    for part, owner, name in PARTS:
        setattr(owner, name, timed(part, getattr(owner, name)))
    quiet_lightning()
    marks: list[float] = []
    start, end = MultiTaskGAN.on_train_start, Fidelity.on_train_end

    def begin(module: MultiTaskGAN) -> None:
        marks.append(time.perf_counter())
        start(module)

    def finish(self: Fidelity, *given: Any) -> None:
        marks.append(time.perf_counter())
        end(self, *given)

    MultiTaskGAN.on_train_start = begin  # type: ignore[method-assign]
    Fidelity.on_train_end = finish  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        keys = [f"--runs={folder}", "--wandb=offline", f"--fidelity.cache={folder}/cache"]
        TrainingCommand([*keys, f"--trainer.max_steps={arguments.steps}"]).train()
    wall = marks[1] - marks[0]
    print("| part | seconds | share of the wall time |\n|---|---|---|")
    for part, seconds in spent.items():
        print(f"| {part} | {seconds:.2f} | {100 * seconds / wall:.2f} % |")
    total = sum(spent.values())
    print(f"| all monitoring | {total:.2f} | **{100 * total / wall:.2f} %** |")
    print(f"\n{arguments.steps} steps in {wall:.0f} s without the final figures.")


if __name__ == "__main__":
    main()
