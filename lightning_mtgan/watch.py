"""What all ranks know of each step, read one step late on a GPU, so that nobody waits for the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.errors import RunFailed
from lightning_mtgan.stepping import BAD, STOP


@dataclass
class _Step:
    """What one step has left to be read: for each phase that was played its name, its losses' names and flags."""

    number: int
    phases: list[tuple[str, list[str], Tensor]] = field(default_factory=list)
    notes: list[Tensor] = field(default_factory=list)
    copied: Any = None


class Watch:
    """Counts the steps that were left out, ends a run that has too many in a row, hears who must stop.

    All ranks read the same numbers of the same step, so they decide alike.

    Args:
        patience: Steps in a row that a phase may leave out before the run ends.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.skipped: dict[str, int] = {}
        """Steps left out so far, by phase."""
        self.in_a_row: dict[str, int] = {}
        """Steps left out up to now without one in between, by phase."""
        self.stop = False
        """Whether some rank was asked to stop."""
        self._step: _Step | None = None
        self._unread: list[_Step] = []

    def begin(self, step: int) -> None:
        """A step begins."""
        self._step = _Step(step)

    def note(self, phase: str, names: list[str], flags: Tensor, notes: Tensor) -> None:
        """A phase was played.

        Args:
            phase: Its name.
            names: Names of its losses.
            flags: What of this rank was not finite, bool (K + 1,), the gradients last.
            notes: How many ranks were not finite and were asked to stop, (2,).
        """
        assert self._step is not None
        self._step.phases.append((phase, names, flags))
        self._step.notes.append(notes.clone())

    def end(self) -> None:
        """A step ends: read it, or on a GPU the one before.

        Raises:
            RunFailed: If a phase has been left out too often in a row.
        """
        step, self._step = self._step, None
        if step is None or not step.notes:
            return
        on_cpu = step.notes[0].device.type == "cpu"
        if not on_cpu:
            notes = torch.stack(step.notes)
            host = torch.empty(notes.shape, dtype=notes.dtype, pin_memory=True)
            step.notes = list(host.copy_(notes, non_blocking=True))
            step.copied = torch.cuda.Event()
            step.copied.record()
        self._unread.append(step)
        self.read(keep=0 if on_cpu else 1)

    def read(self, keep: int = 0) -> None:
        """Read all steps but the last few; those may wait for the device.

        Raises:
            RunFailed: If a phase has been left out too often in a row.
        """
        while len(self._unread) > keep:
            step = self._unread.pop(0)
            if step.copied is not None:
                step.copied.synchronize()
            for (phase, names, flags), notes in zip(step.phases, step.notes, strict=True):
                numbers = notes.tolist()
                self.stop = self.stop or numbers[STOP] > 0
                bad = numbers[BAD] > 0
                self.skipped[phase] = self.skipped.get(phase, 0) + bad
                self.in_a_row[phase] = self.in_a_row.get(phase, 0) + 1 if bad else 0
                if self.in_a_row[phase] >= self.patience:
                    raise RunFailed(self._report(step.number, phase, names, flags))

    def _report(self, step: int, phase: str, names: list[str], flags: Tensor) -> str:
        """Which losses of which ranks were not finite; every rank must ask."""
        mine = [name for name, flag in zip(names, flags.tolist()[:-1], strict=True) if flag]
        mine = mine or (["its gradient"] if flags.tolist()[-1] else [])
        found = [
            f"{', '.join(what)} on rank {rank}" for rank, what in enumerate(distributed.gather_objects(mine)) if what
        ]
        return (
            f"phase {phase}: not finite in {self.in_a_row[phase]} steps in a row up to step {step} "
            f"({'; '.join(found)}); no parameter has moved since; lower the learning rate, clip with "
            "model.max_gradient_norms, or go on from an earlier checkpoint"
        )

    def state_dict(self) -> dict[str, dict[str, int]]:
        """The counts, for checkpoints."""
        return {"skipped": dict(self.skipped), "in_a_row": dict(self.in_a_row)}

    def load_state_dict(self, state: dict[str, dict[str, int]]) -> None:
        """Go on from the counts of a checkpoint."""
        self.skipped, self.in_a_row = dict(state["skipped"]), dict(state["in_a_row"])
