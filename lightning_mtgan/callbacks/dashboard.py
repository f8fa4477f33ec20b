"""Weights & Biases without questions: online where that can work, offline where it cannot."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

WandbMode = Literal["auto", "offline", "off"]
CONNECT_SECONDS = 3.0


def wandb_logger(mode: WandbMode, name: str, folder: Path, run_id: str | None = None) -> WandbLogger | None:
    """A logger for the run, or None when W&B is off or cannot start, and on every rank but the first.

    Args:
        mode: ``auto``: online where credentials are found and the server answers, else offline;
            ``offline``: never online; ``off``: not at all.
        name: The configuration's name, which groups its runs.
        folder: Where this run's files go.
        run_id: The W&B run that goes on; None begins one.
    """
    if mode == "off" or rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return None
    if os.environ.get("WANDB_MODE") == "disabled":
        return None
    os.environ.setdefault("WANDB_SILENT", "true")
    why_offline = "as asked" if mode == "offline" else _why_offline()
    if not why_offline:
        try:
            return _started(name, folder, run_id, offline=False)
        except Exception as error:  # whatever the server says, a training is worth more than its dashboard
            why_offline = " ".join(str(error).split())[:120]
    try:
        logger = _started(name, folder, run_id, offline=True)
    except Exception as error:
        print(f"W&B cannot start ({' '.join(str(error).split())[:120]}); this run goes on without it")
        return None
    print(f"W&B is offline ({why_offline}); upload this run later with: wandb sync {folder}/wandb/offline-run-*")
    return logger


def _started(name: str, folder: Path, run_id: str | None, offline: bool) -> WandbLogger:
    logger = WandbLogger(
        project="lightning_mtgan",
        name=f"{name}-{folder.name}",
        group=name,
        save_dir=str(folder),
        offline=offline,
        id=run_id,
    )
    logger.experiment.define_metric("kimg")
    logger.experiment.define_metric("*", step_metric="kimg")
    return logger


def _why_offline() -> str:
    """Why W&B cannot go online, or an empty string."""
    if os.environ.get("WANDB_MODE") == "offline":
        return "WANDB_MODE is offline"
    base = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    server = urlparse(base)
    if not os.environ.get("WANDB_API_KEY") and not _has_netrc_entry(server.hostname or ""):
        return "no credentials found"
    try:
        port = server.port or (443 if server.scheme == "https" else 80)
        socket.create_connection((server.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return f"{server.hostname} does not answer"
    return ""


def _has_netrc_entry(host: str) -> bool:
    path = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return path.is_file() and host in path.read_text(errors="ignore").split()
