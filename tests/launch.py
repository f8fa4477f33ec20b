"""Starts trainings in processes that may be killed: each runs ``train.py``'s own ``main`` on a command line.

The processes are forked from one server that has imported everything, so that each costs
milliseconds; several ranks are started as ``torchrun`` starts them.
"""

from __future__ import annotations

import atexit
import faulthandler
import multiprocessing
import os
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

PATIENCE = 120.0
"""Seconds that a training may take."""
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.warm", "tests.saboteurs"])


def _run(arguments: Sequence[str], environment: dict[str, str], output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ |= environment
    faulthandler.dump_traceback_later(PATIENCE - 10, file=2)  # where a process stands that will not end
    os.environ.pop("WANDB_SERVICE", None)  # a person's process has a service of its own
    multiprocessing.set_start_method("fork", force=True)  # for workers; a person's process has no fork server
    import torch

    from lightning_mtgan.cli import main

    torch.set_num_threads(1)
    code = 1
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # as the interpreter would
        traceback.print_exc()
    atexit._run_exitfuncs()  # which a forked process would leave out
    sys.exit(code)


class Launched:
    """The ranks of one training.

    Args:
        arguments: Command line.
        ranks: How many processes.
        output: Folder for what each prints.
    """

    def __init__(self, arguments: Sequence[str], ranks: int, output: Path) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self.runs = Path(next(a for a in reversed(arguments) if a.startswith("--runs=")).removeprefix("--runs="))
        self.outputs = [output / f"rank{rank}.txt" for rank in range(ranks)]
        port = free_port()
        self.ranks: list[BaseProcess] = []
        for rank in range(ranks):
            environment = {"OMP_NUM_THREADS": "1"}
            if ranks > 1:
                environment |= {
                    "TORCHELASTIC_RUN_ID": "test",
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": str(port),
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "GROUP_RANK": "0",
                    "WORLD_SIZE": str(ranks),
                    "LOCAL_WORLD_SIZE": str(ranks),
                }
            process = SERVER.Process(target=_run, args=(list(arguments), environment, self.outputs[rank]))
            process.start()
            self.ranks.append(process)

    def wait(self, seconds: float = PATIENCE) -> list[int]:
        """The exit codes; a process that is still there after that long is killed and fails the test."""
        deadline = time.monotonic() + seconds
        for process in self.ranks:
            process.join(max(0.0, deadline - time.monotonic()))
        late = [rank for rank, process in enumerate(self.ranks) if process.is_alive()]
        for rank in late:
            self.ranks[rank].kill()
            self.ranks[rank].join()
        assert not late, f"ranks {late} did not end within {seconds} s:\n{self.text()}"
        return [int(process.exitcode or 0) for process in self.ranks]

    def text(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in self.outputs if path.exists())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
