"""``metrics.csv``: one row for each time figures are written, whole at every moment, continued on resume."""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class MetricsFile(Logger):
    """Writes a run's figures into its folder, on the first rank.

    Lightning's CSVLogger deletes what a folder holds, and rewrites its file in place; a run that is
    killed and goes on keeps its history here.

    Args:
        folder: The run's folder.
        keep: Rows of an earlier start to keep: those that its checkpoint knew of. What came after will
            come again.
    """

    def __init__(self, folder: Path, keep: int = 0) -> None:
        super().__init__()
        self.folder, self._path = folder, folder / "metrics.csv"
        self._columns: list[str] = ["step"]
        self._rows: list[dict[str, Any]] = []
        if rank_zero_only.rank == 0 and self._path.exists():  # type: ignore[attr-defined]
            with self._path.open(newline="") as file:
                reader = csv.DictReader(file)
                self._rows = list(islice(reader, keep))
                self._columns = list(reader.fieldnames or self._columns)
            self._rewrite()

    @property
    def num_rows(self) -> int:
        """Rows so far."""
        return len(self._rows)

    @property
    def save_dir(self) -> str:
        """The run's folder, where everything else goes, too."""
        return str(self.folder)

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self.folder.parent.name

    @property
    def version(self) -> str:
        """The run's folder name."""
        return self.folder.name

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's ``config.yaml`` has them all."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; a figure that is new makes a new column."""
        row = {"step": step, **metrics}
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new or not self._path.exists():
            self._columns += sorted(new)
            self._rewrite()
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self) -> None:
        partial = self._path.with_name(self._path.name + ".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self._rows)
        os.replace(partial, self._path)
