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
    """What one step has left to be read: each phase that was played, with its losses and its notes."""

    number: int
    phases: list[tuple[str, dict[str, Tensor], Tensor]] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)
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

    def note(self, phase: str, losses: dict[str, Tensor], bad: Tensor, notes: Tensor) -> None:
        """A phase was played.

        Args:
            phase: Its name.
            losses: This rank's losses by name.
            bad: 0 if all of this rank's numbers were finite.
            notes: What all ranks know, (2,), as ``Mover.finish`` returns it.
        """
        assert self._step is not None
        self._step.phases.append((phase, losses, bad))
        self._step.notes.append(notes.clone() if notes.device.type == "cuda" else notes.tolist())

    def end(self) -> None:
        """A step ends: read it, or on a GPU the one before.

        Raises:
            RunFailed: If a phase has been left out too often in a row.
        """
        step, self._step = self._step, None
        if step is None or not step.notes:
            return
        on_device = isinstance(step.notes[0], Tensor)
        if on_device:
            notes = torch.stack(step.notes)
            step.notes = list(torch.empty(notes.shape, dtype=notes.dtype, pin_memory=True).copy_(notes, True))
            step.copied = torch.cuda.Event()
            step.copied.record()
        self._unread.append(step)
        self.read(keep=1 if on_device else 0)

    def read(self, keep: int = 0) -> None:
        """Read all steps but the last few; those may wait for the device.

        Raises:
            RunFailed: If a phase has been left out too often in a row.
        """
        while len(self._unread) > keep:
            step = self._unread.pop(0)
            if step.copied is not None:
                step.copied.synchronize()
            for (phase, losses, mine), notes in zip(step.phases, step.notes, strict=True):
                numbers = notes.tolist() if isinstance(notes, Tensor) else notes
                self.stop = self.stop or numbers[STOP] > 0
                bad = numbers[BAD] != 0
                self.skipped[phase] = self.skipped.get(phase, 0) + bad
                self.in_a_row[phase] = self.in_a_row.get(phase, 0) + 1 if bad else 0
                if self.in_a_row[phase] >= self.patience:
                    raise RunFailed(self._report(step.number, phase, losses, mine))

    def _report(self, step: int, phase: str, losses: dict[str, Tensor], bad: Tensor) -> str:
        """Which losses of which ranks were not finite; every rank must ask."""
        mine = [name for name, value in losses.items() if not value.isfinite()]
        mine = mine or (["the gradient"] if bad.item() != 0 else [])
        ranks = distributed.gather_objects(mine)
        found = [f"{', '.join(names)} on rank {rank}" for rank, names in enumerate(ranks) if names]
        return (
            f"phase {phase}: not finite in {self.in_a_row[phase]} steps in a row up to step {step + 1} "
            f"({'; '.join(found)}); its player has not moved since; lower the learning rate, clip "
            "with model.max_gradient_norms, or go on from an earlier checkpoint"
        )

    def state_dict(self) -> dict[str, dict[str, int]]:
        """The counts, for checkpoints."""
        return {"skipped": dict(self.skipped), "in_a_row": dict(self.in_a_row)}

    def load_state_dict(self, state: dict[str, dict[str, int]]) -> None:
        """Go on from the counts of a checkpoint."""
        self.skipped, self.in_a_row = dict(state["skipped"]), dict(state["in_a_row"])
