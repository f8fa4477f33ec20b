"""Kills a training again and again, at random moments and while checkpoints are written, and compares the end.

One run of the main job (1,000 steps, a save every 10, an evaluation every 100) goes through undisturbed.
Another is killed with SIGKILL, so that nothing can be tidied up, and started again with `--ckpt_path
auto`, as often as asked. Both must end with the same parameters, average, optimizer states and logged
figures, bit for bit; the exit code says so.

    python benchmarks/torture.py --kills 50            # about 7 minutes on 2 CPU cores
    python benchmarks/torture.py --kills 50 --ranks 2  # one rank of two is killed; about 16 minutes
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
CLOCKS = ("seconds", "images_per_second")
KEYS = [
    "--wandb=off",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--samples.every_kimg=0",
    "--fidelity.every_kimg=6.4",
    "--checkpoints.every_kimg=0.64",
    '--fidelity.periodic={"num_images": 1000, "num_neighbour_images": 500, "kid_subsets": 5}',
    '--fidelity.final={"num_images": 1000, "num_neighbour_images": 500, "kid_subsets": 5}',
]
STARTING, RUNNING, SAVING = "while starting", "while training", "while saving"


class Run:
    """A training in a folder of its own, which may be started many times."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.ranks, self.runs = arguments.ranks, folder / "default"
        self.command = [sys.executable, str(ROOT / "train.py"), *KEYS, f"--runs={folder}", "--ckpt_path=auto"]
        self.command += [f"--trainer.max_steps={arguments.steps}"]
        if self.ranks > 1:
            self.command += [f"--trainer.devices={self.ranks}", "--trainer.strategy=ddp"]

    def start(self) -> subprocess.Popen[bytes]:
        """Begin, or go on."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            self.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )

    @property
    def folder(self) -> Path:
        """The newest start that has saved; a kill before the first save makes the next start a new run."""
        runs = sorted(self.runs.glob("version_*"), key=lambda path: int(path.name.removeprefix("version_")))
        return runs[-1] if runs else self.runs / "version_0"

    @property
    def partial(self) -> Path:
        """The checkpoint that is being written, while it is."""
        return self.folder / "checkpoints" / "last.ckpt.partial"

    def logged(self) -> list[dict[str, str]]:
        """What was logged so far."""
        path = self.folder / "metrics.csv"
        return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []

    def size(self) -> int:
        """Bytes logged so far."""
        path = self.folder / "metrics.csv"
        return path.stat().st_size if path.exists() else 0

    def step(self) -> int:
        """The newest step that was logged, leaving out a row that a kill has cut."""
        rows = [row for row in self.logged() if None not in row.values()]
        return int(rows[-1]["step"]) if rows else 0

    def saved_step(self) -> int:
        """The step of the last checkpoint, 0 without one."""
        path = self.folder / "checkpoints" / "last.ckpt"
        return int(torch.load(path, weights_only=True)["global_step"]) if path.exists() else 0

    def checksum(self) -> str:
        """Of parameters, average, optimizer states, and every logged figure but clocks."""
        content = torch.load(self.folder / "checkpoints" / "last.ckpt", weights_only=True)
        digest = hashlib.sha256()
        kept = [content["state_dict"], content["optimizer_states"], content["lightning_mtgan"]["average"]]
        _digest(kept, digest)
        for row in self.logged():
            digest.update(repr(sorted((k, v) for k, v in row.items() if k not in CLOCKS and v)).encode())
        return digest.hexdigest()[:16]


def _digest(tree: object, digest: hashlib._Hash) -> None:
    if isinstance(tree, torch.Tensor):
        digest.update(tree.contiguous().numpy().tobytes())
    elif isinstance(tree, dict):
        for key in sorted(tree, key=str):
            digest.update(str(key).encode())
            _digest(tree[key], digest)
    elif isinstance(tree, list | tuple):
        for value in tree:
            _digest(value, digest)
    else:
        digest.update(repr(tree).encode())


def kill_once(run: Run, moment: str, chance: random.Random) -> str | None:
    """Start the run and kill it; what it was doing, or None if it ended before."""
    run.partial.unlink(missing_ok=True)  # left by an earlier kill; a save would begin by taking it away, too
    process = run.start()
    if moment == STARTING:
        time.sleep(chance.uniform(0, 6))
    else:
        _wait_until_it_trains(run, process)
    if moment == RUNNING:
        time.sleep(chance.uniform(0, 2))
    elif moment == SAVING:
        for skipped in reversed(range(chance.randint(1, 3))):
            while not run.partial.exists() and process.poll() is None:
                pass  # a save takes a few milliseconds: no sleep in between
            while skipped and run.partial.exists() and process.poll() is None:
                pass
    if process.poll() is not None:
        return None
    victim = process.pid
    if run.ranks > 1 and moment != SAVING and chance.random() < 0.5:
        victim = _child_of(process.pid) or process.pid
    os.kill(victim, signal.SIGKILL)
    process.wait(timeout=120)
    _wait_for_group(process.pid)
    if run.partial.exists():
        return SAVING
    return RUNNING if moment == SAVING else moment


def _wait_until_it_trains(run: Run, process: subprocess.Popen[bytes]) -> None:
    """A start rewrites its table once; that it trains shows when the table grows after that."""
    before = run.size()
    while process.poll() is None and (run.size() <= before or run.size() == 0):
        before = min(before, run.size())
        time.sleep(0.01)


def _child_of(pid: int) -> int | None:
    """A rank that rank 0 has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return found[0] if found else None


def _wait_for_group(group: int) -> None:
    """Until no process of a run is left; ranks end by themselves when one is gone."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    raise SystemExit("a rank was left behind for two minutes")


def finish(run: Run) -> None:
    process = run.start()
    _, told = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run did not end: {told.decode()[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--saving", type=int, default=None, help="of these while a checkpoint is written; default: 1/4")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    saving = arguments.saving if arguments.saving is not None else -(-arguments.kills // 4)
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        straight, tortured = (Run(Path(folder) / name, arguments) for name in ("straight", "tortured"))
        started = time.monotonic()
        finish(straight)
        print(f"undisturbed: {arguments.steps} steps in {time.monotonic() - started:.0f} s", flush=True)
        done: Counter[str] = Counter()
        lost = resumes = 0
        while done.total() < arguments.kills:
            left = arguments.kills - done.total()
            if chance.random() < (saving - done[SAVING]) / left:
                moment = SAVING
            else:
                moment = STARTING if chance.random() < 0.15 else RUNNING
            began_at, logged = tortured.saved_step(), tortured.size()
            what = kill_once(tortured, moment, chance)
            if what is None:
                print("the run ended before it could be killed: raise --steps")
                break
            done[what] += 1
            step, saved = tortured.step(), tortured.saved_step()
            if tortured.size() != logged:  # it came so far as to go on, or to begin
                resumes += began_at > 0
                lost += max(0, step - saved)
            print(f"kill {done.total()}: {what}, at step {step}, goes on from {saved}", flush=True)
        resumes += tortured.saved_step() > 0
        finish(tortured)
        one, other = straight.checksum(), tortured.checksum()
        kinds = ", ".join(f"{count} {what}" for what, count in done.items())
        print(
            f"{done.total()} kills ({kinds}), {resumes} resumes, {lost} steps lost and repeated; "
            f"seed {arguments.seed}, {arguments.ranks} ranks\n"
            f"checksum undisturbed {one}, killed {other}: {'the same' if one == other else 'DIFFERENT'}"
        )
    sys.exit(0 if one == other and done.total() >= arguments.kills else 1)


if __name__ == "__main__":
    main()
