"""How the processes of one training begin, wait for each other, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher

from lightning_mtgan import distributed
from lightning_mtgan.errors import Interrupted, UserError

GRACE_SECONDS = 5.0
"""What a process gets to report an error of its own after another has failed."""


def as_launched(environment: Mapping[str, str]) -> dict[str, Any]:
    """The configuration that follows from how ``torchrun`` has started this process; empty without it."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return {}
    ranks, local = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    strategy = {"strategy": "ddp"} if ranks > 1 else {}
    return {"trainer": {"devices": local, "num_nodes": ranks // local, **strategy}}


def require_ddp(trainer: Trainer) -> None:
    """Refuse what does not keep whole networks on each rank.

    Raises:
        UserError: With the name of the strategy.
    """
    is_known = isinstance(trainer.strategy, DDPStrategy | SingleDeviceStrategy)
    if not is_known or isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            f"trainer.strategy {type(trainer.strategy).__name__} is not supported; use ddp, or auto for one device"
        )


class CollectiveTimeout(Callback):
    """Lets ranks give up on one that does not answer, once all have met.

    Args:
        seconds: What a collective may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """The processes have met: starting them may take longer than one step."""
        distributed.set_timeout(self.seconds)


def only_finish(trainer: Trainer) -> None:
    """Make ``fit`` of a run whose last step is done call what comes at the end; Lightning would skip it."""
    loop = trainer.fit_loop

    def run() -> None:
        loop.setup_data()
        loop.on_run_start()
        loop.on_run_end()

    loop.run = run  # type: ignore[method-assign]


@contextmanager
def ending_together(trainer: Trainer) -> Iterator[None]:
    """If this process fails inside, no other that was started with it stays behind."""
    try:
        yield
    except BaseException as error:
        launcher = trainer.strategy.launcher
        children: list[subprocess.Popen[bytes]] = getattr(launcher, "procs", [])
        mine = list(children)
        children.clear()  # Lightning's observer would kill this process for what happens to them now
        end(mine, 60.0 if isinstance(error, Interrupted) else GRACE_SECONDS)
        by_lightning = isinstance(getattr(trainer.strategy, "cluster_environment", None), LightningEnvironment)
        if by_lightning and trainer.local_rank > 0 and not isinstance(error, Interrupted):
            with suppress(OSError):
                os.kill(os.getppid(), signal.SIGCONT)  # rank 0 has started us; stopped, it could not end
        raise


def end(children: list[subprocess.Popen[bytes]], grace: float) -> None:
    """Wait for processes to end by themselves, then end them, also stopped ones."""
    deadline = time.monotonic() + grace
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
