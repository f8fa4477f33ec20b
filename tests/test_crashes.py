"""What ends a run from outside or inside: signals, ranks that die, a full disk, numbers that are none."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, SMALL, Train, farthest, newest_run, saboteur, weights
from tests.launch import Launched, free_port

Launch = Callable[..., Launched]
BAD_STEPS = [0, 4, 5, 9]


def last_step(run: Path) -> int:
    return int(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"])


@pytest.mark.parametrize(
    ("signum", "ranks", "code"), [("SIGTERM", 1, 0), ("SIGUSR1", 2, 0), ("SIGINT", 1, 130)], ids=lambda v: str(v)
)
def test_a_signal_saves_and_ends_within_a_step(
    signum: str, ranks: int, code: int, launch: Launch, train: Train
) -> None:
    """The signal reaches one rank alone, when step 7 begins; all ranks stop after that very step."""
    stopped = launch("--trainer.max_steps=3000", saboteur("Signal", step=7, signum=signum, rank=ranks - 1), ranks=ranks)
    assert stopped.wait() == [code] * ranks, stopped.text()
    told = stopped.text()
    assert "after step 8; the state is saved: go on with --ckpt_path last" in told
    assert "Traceback" not in told
    assert last_step(newest_run(stopped.runs)) == 8
    resumed = launch("--trainer.max_steps=12", "--ckpt_path=last", ranks=ranks)
    assert resumed.wait() == [0] * ranks, resumed.text()
    if ranks == 1:
        straight = train("--trainer.max_steps=12", runs="straight")
        assert farthest(weights(straight), weights(newest_run(resumed.runs))) == 0


def test_a_signal_before_the_first_step_is_heard(launch: Launch) -> None:
    stopped = launch("--trainer.max_steps=99", saboteur("SignalAt", hook="on_fit_start", signum="SIGTERM"))
    assert stopped.wait() == [0], stopped.text()
    assert "stopped by SIGTERM after step 1" in stopped.text()
    assert last_step(newest_run(stopped.runs)) == 1


def test_a_signal_to_every_process_leaves_the_workers_to_the_trainer(launch: Launch) -> None:
    stopped = launch("--trainer.max_steps=3000", "--data.num_workers=2", saboteur("SignalEverybody", step=6))
    assert stopped.wait() == [0], stopped.text()
    assert "stopped by SIGTERM after step 7" in stopped.text()
    assert last_step(newest_run(stopped.runs)) == 7


@pytest.mark.parametrize("how", ["killed", "raises"])
def test_a_rank_that_dies_ends_the_run(how: str, launch: Launch) -> None:
    kind = {"killed": "Kill", "raises": "Raise"}[how]
    started = time.monotonic()
    dying = launch("--trainer.max_steps=100000", "--data.batch_size=48", saboteur(kind, step=5, rank=1), ranks=3)
    codes = dying.wait(60)
    assert time.monotonic() - started < 60
    assert all(code not in (0, 2) for code in codes), codes
    if how == "raises":
        assert "RuntimeError: a saboteur at work" in dying.outputs[1].read_text()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["raises", "stops"])
def test_processes_started_by_train_py_end_together(how: str, tmp_path: Path) -> None:
    """As a person starts them; one that is stopped ends the run by the collective timeout."""
    does = {"raises": saboteur("Raise", step=5, rank=1), "stops": saboteur("Signal", step=5, signum="SIGSTOP", rank=1)}
    command = [sys.executable, str(ROOT / "train.py"), *SMALL, f"--runs={tmp_path}", "--trainer.max_steps=100000"]
    strategy, timeout = {"raises": ("auto", 60), "stops": ("ddp", 5)}[how]
    command += ["--trainer.devices=2", f"--trainer.strategy={strategy}", f"--collective_timeout={timeout}", does[how]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_PORT": str(free_port())}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    try:
        told, _ = process.communicate(timeout=60)  # also waits for whoever holds the output open
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert "Traceback" in told
    assert {"raises": "a saboteur at work", "stops": "Timed out"}[how].lower() in told.lower(), told[-3000:]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody is left of the whole group


@pytest.mark.parametrize("how", ["loss", "gradient", "on another rank", "unfused", "momentum"])
def test_a_step_that_is_not_finite_is_left_out_everywhere(how: str, launch: Launch, tmp_path: Path) -> None:
    """What comes out is what comes out of a training whose generator does not move in these steps."""
    ranks = 2 if how == "on another rank" else 1
    given = {"phase": "generator", "loss": "red", "steps": BAD_STEPS}
    common = ["--trainer.max_steps=12", "--trainer.log_every_n_steps=1"]
    if how == "unfused":
        common += ["--model.optimizers.generator.fused=false"]
    if how == "momentum":
        common += ['--model.optimizers.generator={"class_path": "torch.optim.SGD"}']
        common += ["--model.optimizers.generator.lr=0.01", "--model.optimizers.generator.momentum=0.9"]
        common += ["--model.optimizers.generator.fused=true"]
    poison = saboteur("Poison", **given, rank=ranks - 1, only_gradient=how == "gradient")
    bad = launch(*common, poison, ranks=ranks, runs="bad")
    assert bad.wait() == [0] * ranks, bad.text()
    idle = launch(*common, saboteur("Idle", phase="generator", steps=BAD_STEPS), ranks=ranks, runs="idle")
    assert idle.wait() == [0] * ranks, idle.text()
    run = newest_run(bad.runs)
    assert farthest(weights(run), weights(newest_run(idle.runs))) == 0
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    counts = [float(row["skipped/generator"]) for row in rows if row["skipped/generator"]]
    assert counts == [1, 1, 1, 1, 2, 3, 3, 3, 3, 4, 4, 4]
    assert "4 steps of phase generator left out so far" in bad.text()


def test_steps_left_out_are_counted_over_a_resume(launch: Launch) -> None:
    common = ["--trainer.log_every_n_steps=1", "--ckpt_path=auto"]
    poison = saboteur("Poison", phase="generator", loss="red", steps=[1, 3])
    for steps in (3, 5):
        launched = launch(*common, f"--trainer.max_steps={steps}", poison)
        assert launched.wait() == [0], launched.text()
    rows = csv.DictReader((newest_run(launched.runs) / "metrics.csv").read_text().splitlines())
    assert [float(row["skipped/generator"]) for row in rows if row["skipped/generator"]] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(("only_gradient", "what"), [(False, "r1"), (True, "the gradient")])
def test_too_many_steps_left_out_end_the_run(only_gradient: bool, what: str, launch: Launch) -> None:
    steps = list(range(7, 99))
    poison = saboteur("Poison", phase="discriminator", loss="r1", steps=steps, rank=1, only_gradient=only_gradient)
    common = ["--trainer.max_steps=99", "--checkpoints.every_kimg=0.32", "--model.max_skips=3"]
    ended = launch(*common, poison, ranks=2)
    assert ended.wait() == [1, 1], ended.text()
    told = ended.text()
    assert f"error: phase discriminator: not finite in 3 steps in a row up to step 10 ({what} on rank 1)" in told
    assert "Traceback" not in told
    run = newest_run(ended.runs)
    assert last_step(run) == 5
    assert all(tensor.isfinite().all() for tensor in weights(run).values())


def test_a_full_disk_is_one_sentence_and_leaves_the_last_checkpoint_whole(launch: Launch) -> None:
    common = ["--trainer.max_steps=20", "--checkpoints.every_kimg=0.32"]
    full = launch(*common, saboteur("FullDisk", step=8), ranks=2)
    assert full.wait() == [1, 1], full.text()
    told = full.text()
    assert "last.ckpt cannot be written at step 10 (File too large); the one before is whole" in told
    assert "Traceback" not in told
    run = newest_run(full.runs)
    assert last_step(run) == 5
    assert {path.name for path in (run / "checkpoints").iterdir()} <= {"last.ckpt", "best.ckpt", "previous.ckpt"}
    resumed = launch(*common, "--ckpt_path=last")
    assert resumed.wait() == [0], resumed.text()


@pytest.mark.slow
def test_two_machines_see_every_image_once(tmp_path: Path, train: Train) -> None:
    """Two agents of ``torchrun`` on loopback; an epoch of 1,437 digits, and the same run as one process."""
    steps, batch = 24, 60
    common = ["--config=conf/digits.yaml", f"--trainer.max_steps={steps}", f"--data.batch_size={batch}"]
    common += ["--trainer.precision=64-true"]
    one = train(*common[1:], f"--config={ROOT / 'conf' / 'digits.yaml'}", runs="one")
    folder, port = tmp_path / "witness", free_port()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--master-addr=127.0.0.1"]
    arguments = [*SMALL, *common, f"--runs={tmp_path / 'two'}", saboteur("Witness", folder=str(folder))]
    agents = [
        subprocess.Popen(
            [*torchrun, f"--node-rank={node}", f"--master-port={port}", "train.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for node in range(2)
    ]
    told = [agent.communicate(timeout=120)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], told[0][-3000:] + told[1][-3000:]
    assert farthest(weights(one), weights(newest_run(tmp_path / "two"))) < 1e-9
    shards = [json.loads((folder / f"images{rank}.json").read_text()) for rank in range(2)]
    assert all(len(step) == batch / 2 for shard in shards for step in shard)
    stream = [image for step in zip(*shards, strict=True) for shard in step for image in shard]
    from lightning_mtgan.data import Digits

    images = Digits().dataset("train")
    known = sorted(image.numpy().tobytes().hex() for image in images[torch.arange(len(images))]["image"])
    assert sorted(stream[: len(images)]) == known
