"""``metrics.csv``: one row for each time figures are written, whole at every moment, continued on resume."""

from __future__ import annotations

import csv
import os
import re
from argparse import Namespace
from collections.abc import Mapping
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
        after: Step from which the run goes on: later rows, which the killed run wrote, are dropped.
    """

    def __init__(self, folder: Path, after: int | None = None) -> None:
        super().__init__()
        self.folder, self._path = folder, folder / "metrics.csv"
        self._columns: list[str] = ["step"]
        self._rows: list[dict[str, Any]] = []
        if after is not None and rank_zero_only.rank == 0 and self._path.exists():  # type: ignore[attr-defined]
            with self._path.open(newline="") as file:
                reader = csv.DictReader(file)
                self._rows = [row for row in reader if _is_whole(row) and int(row["step"]) <= after]
                self._columns = list(reader.fieldnames or self._columns)
            self._rewrite()

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


def _is_whole(row: Mapping[str | None, Any]) -> bool:
    """Whether a row was written to its end: a kill may cut the last one short."""
    return None not in row and None not in row.values() and bool(re.fullmatch(r"\d+", row.get("step", "")))


def new_folder(parent: Path) -> Path:
    """Make the folder of a new run, ``version_<k>``; two runs that begin at once get two of them."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        taken = [int(m.group(1)) for path in parent.iterdir() if (m := re.fullmatch(r"version_(\d+)", path.name))]
        folder = parent / f"version_{max(taken, default=-1) + 1}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            continue
