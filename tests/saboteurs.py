"""What can go wrong in a training, as callbacks that a command line can name, and witnesses of it."""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import resource
import signal
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan.types import Batch, Terms


class Kill(Callback):
    """This process is killed when a step begins, or while a checkpoint of that step is written.

    Args:
        step: The step.
        rank: The rank that dies.
        while_saving: After the first bytes of the checkpoint.
    """

    def __init__(self, step: int, rank: int = 0, while_saving: bool = False) -> None:
        self.step, self.rank, self.while_saving = step, rank, while_saving

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == self.step and not self.while_saving:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_save_checkpoint(self, trainer: Trainer, *_: Any) -> None:
        if self.while_saving and trainer.global_step >= self.step and trainer.global_rank == self.rank:
            torch.save = _die_after_some_bytes


def _die_after_some_bytes(content: Any, file: Any) -> None:
    file.write(b"PK half a checkpoint")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)


class SignalAt(Callback):
    """This process is sent a signal in one of Lightning's hooks, before or after what the hook does.

    Args:
        hook: Name of the hook.
        signum: Name of the signal.
        before: Name of the callback whose turn comes next; this one's own turn without.
    """

    def __init__(self, hook: str, signum: str, before: str | None = None) -> None:
        self.hook, self.signum, self.before = hook, signum, before

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        callbacks = {type(callback).__name__: callback for callback in trainer.callbacks}  # type: ignore
        victim = callbacks[self.before] if self.before is not None else self
        honest = getattr(victim, self.hook)

        def hook(*arguments: Any) -> None:
            os.kill(os.getpid(), signal.Signals[self.signum])
            honest(*arguments)

        setattr(victim, self.hook, hook)


class Raise(Callback):
    """An error on one rank.

    Args:
        step: The step at whose beginning it happens.
        rank: The rank.
    """

    def __init__(self, step: int, rank: int) -> None:
        self.step, self.rank = step, rank

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == self.step:
            raise RuntimeError("a saboteur at work")


class Poison(Callback):
    """A loss, or only its gradient, is not a number for some steps on one rank.

    Args:
        phase: The phase.
        loss: The loss.
        steps: The steps.
        rank: The rank.
        only_gradient: Leave the loss finite.
    """

    def __init__(self, phase: str, loss: str, steps: list[int], rank: int = 0, only_gradient: bool = False) -> None:
        self.phase, self.loss, self.steps, self.rank = phase, loss, steps, rank
        self.only_gradient = only_gradient

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        phases = pl_module.phases
        index = next(i for i, phase in enumerate(phases) if phase.name == self.phase)  # type: ignore
        honest = phases[index].losses  # type: ignore

        def losses(batch: Batch) -> Terms:
            terms = honest(batch)  # type: ignore
            if trainer.global_step in self.steps and trainer.global_rank == self.rank:
                value = terms.losses[self.loss]
                if self.only_gradient:
                    value.register_hook(lambda gradient: gradient * float("nan"))
                else:
                    terms.losses[self.loss] = value * float("nan")
            return terms

        phases[index] = dataclasses.replace(phases[index], losses=losses)  # type: ignore


class Idle(Callback):
    """A phase's player does not move in some steps.

    Args:
        phase: The phase, the only one of its player.
        steps: The steps.
    """

    def __init__(self, phase: str, steps: list[int]) -> None:
        self.phase, self.steps = phase, steps

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        optimizer = pl_module._movers[self.phase].optimizer  # type: ignore
        step = optimizer.step
        optimizer.step = lambda: step() if trainer.global_step not in self.steps else None


class Drift(Callback):
    """A parameter of one rank goes its own way by one bit.

    Args:
        step: The step after which it happens.
        rank: The rank.
    """

    def __init__(self, step: int, rank: int) -> None:
        self.step, self.rank = step, rank

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == self.step:
            bias = pl_module.game.generator.lift.bias  # type: ignore
            bias.data[0] = torch.nextafter(bias.data[0], torch.tensor(9.0))


class FullDisk(Callback):
    """From some step on no file may grow beyond a size, as on a full disk.

    Args:
        step: The step.
        size: Bytes.
    """

    def __init__(self, step: int, size: int = 100_000) -> None:
        self.step, self.size = step, size

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.RLIM_INFINITY))


class Witness(Callback):
    """Writes down each rank's images, and the first gradients of each player.

    Args:
        folder: Where.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.images: list[list[str]] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: dict[str, Any], batch_idx: int
    ) -> None:
        self.images.append([image.numpy().tobytes().hex() for image in batch["image"]])

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if len(self.images) == 1:
            gradients = {f"{n}": p.grad.clone() for n, p in pl_module.game.named_parameters()}  # type: ignore
            torch.save(gradients, self.folder / f"gradients{trainer.global_rank}.pt")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        (self.folder / f"images{trainer.global_rank}.json").write_text(json.dumps(self.images))


class Traffic(Callback):
    """Counts what this rank hands to torch.distributed in four steps in the middle, none of them a tenth one.

    Every collective of Python and of DDP goes through the process group's own methods, which the
    profiler sees wherever they are called from.

    Args:
        path: Where the counts go, on the first rank.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == 1:
            self.profile = torch.profiler.profile(record_shapes=True)
            self.profile.start()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step != 5:
            return
        self.profile.stop()
        calls: dict[str, int] = {}
        size = 0
        for event in self.profile.events():
            if event.name.startswith("gloo:"):
                name = event.name.removeprefix("gloo:")
                calls[name] = calls.get(name, 0) + 1
                size += 4 * sum(math.prod(shape) for shape in event.input_shapes if shape)
        if trainer.is_global_zero:
            Path(self.path).write_text(json.dumps({"steps": 4, "calls": calls, "bytes": size}))


class NoWaiting(Callback):
    """Makes every operation that waits for the GPU an error for some steps.

    Args:
        first: The first of these steps.
        last: The last of them.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if self.first <= trainer.global_step <= self.last:
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


class Dropping(torch.nn.Dropout):
    """Dropout that is given a number of channels, as a normalisation layer is."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(0.1)


class SignalBeforeEvaluation(Callback):
    """This process is sent SIGTERM when a step is done and its evaluation is about to begin.

    Args:
        step: The number of steps done.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


class SignalEverybody(Callback):
    """This process and its workers are sent SIGTERM when a step begins, as a scheduler does.

    Args:
        step: The step.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            for process in [*multiprocessing.active_children(), multiprocessing.current_process()]:
                os.kill(process.pid, signal.SIGTERM)  # type: ignore


class Signal(Callback):
    """This process is sent a signal when a step begins.

    Args:
        step: The step.
        signum: Name of the signal.
        rank: The rank.
    """

    def __init__(self, step: int, signum: str, rank: int = 0) -> None:
        self.step, self.signum, self.rank = step, signum, rank

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == self.step:
            os.kill(os.getpid(), signal.Signals[self.signum])
