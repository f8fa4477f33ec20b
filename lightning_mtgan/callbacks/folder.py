"""Where a run's files go."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer


def run_folder(trainer: Trainer) -> Path | None:
    """The run's folder, the same on every rank; None when nothing is to be written.

    Every rank must call it: the folder is rank 0's. A run without loggers, and a ``fast_dev_run``,
    have none.
    """
    folder = trainer.log_dir
    is_trial = bool(trainer.fast_dev_run)  # type: ignore[attr-defined]
    return Path(folder) if folder is not None and trainer.loggers and not is_trial else None
