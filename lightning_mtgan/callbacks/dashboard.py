"""Weights & Biases without questions: online where that can work, offline where it cannot, never in the way.

``lightning_mtgan/panels.py`` lists what is shown of it.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL.Image import Image

from lightning_mtgan.figure_names import by_class, in_words
from lightning_mtgan.panels import X_AXIS, bars_key

ROOT = Path(__file__).resolve().parents[2]
WandbMode = Literal["auto", "offline", "off"]
CONNECT_SECONDS = 3.0
TITLE = 63
"""Characters of an alert's title, at most."""


class Dashboard(WandbLogger):
    """A WandbLogger that cannot end a training: what W&B refuses, or a service that has died, is said once."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row."""
        with _harmless(self):
            super().log_metrics(metrics, step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Log what the trainer knows of the configuration."""
        with _harmless(self):
            super().log_hyperparams(params, *args, **kwargs)


def record_config(trainer: Trainer, config: Mapping[str, Any]) -> None:
    """Put the run's whole configuration into W&B's, where runs are filtered, grouped and compared by it.

    A run that goes on with other values shows the newest.
    """
    _send(trainer, lambda run: run.config.update(dict(config), allow_val_change=True))


def keep_protocol(trainer: Trainer, protocol: Mapping[str, Any]) -> None:
    """Put how the newest figures were measured, in full, into the configuration: runs are compared by it, too.

    Beside the figures stands the protocol in one line, as they are logged with it.
    """
    _send(trainer, lambda run: run.config.update({"protocol": dict(protocol)}, allow_val_change=True))


def log_picture(trainer: Trainer, key: str, picture: Image, step: int) -> None:
    """Log a picture."""

    def show(run: Any) -> None:
        import wandb

        _log(run, trainer, {key: [wandb.Image(picture)]}, step)

    _send(trainer, show)


def log_classes(trainer: Trainer, figures: Mapping[str, float], step: int) -> None:
    """Draw bars, one for each class, of each task's figures that were measured class by class."""

    def draw(run: Any) -> None:
        import wandb

        row = {}
        for (task, figure), values in by_class(figures).items():
            table = wandb.Table(columns=["class", "value"], data=[[*pair] for pair in _finite(values).items()])
            row[bars_key(task, figure)] = wandb.plot.bar(
                table, "class", "value", title=f"{figure} of each {in_words(task)}"
            )
        if row:
            _log(run, trainer, row, step)

    _send(trainer, draw)


def raise_alert(trainer: Trainer, title: str, text: str) -> None:
    """Have W&B warn somebody, by mail or Slack as they have chosen; once a minute at most for each title."""
    _send(trainer, lambda run: run.alert(title[:TITLE], text, level="WARN"))


def upload_best(trainer: Trainer, path: Path, figures: Mapping[str, float]) -> None:
    """Keep a checkpoint with W&B, as the newest version of the run's best, beside its figures."""

    def upload(run: Any) -> None:
        import wandb

        name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{run.name}-best")
        artifact = wandb.Artifact(name, type="model", metadata=_finite(figures))
        artifact.add_file(str(path))
        run.log_artifact(artifact)

    _send(trainer, upload)


def finish(logger: WandbLogger) -> None:
    """End the W&B run with the training: a second one in this process would go on in it."""
    with _harmless(logger):
        logger.experiment.finish()


def _log(run: Any, trainer: Trainer, row: Mapping[str, Any], step: int) -> None:
    """Log a row with its place on the axis; W&B would give it that of the row before."""
    run.log({**row, X_AXIS: getattr(trainer.lightning_module, X_AXIS), "trainer/global_step": step})


def _send(trainer: Trainer, what: Callable[[Any], object]) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            with _harmless(logger):
                what(logger.experiment)


@contextmanager
def _harmless(logger: WandbLogger) -> Iterator[None]:
    """What fails inside is said once for each logger, and is over."""
    try:
        with _staged_in(Path(str(logger.save_dir)) / "wandb"):
            yield
    except Exception as error:  # a training is worth more than its dashboard
        if not getattr(logger, "has_failed", False):
            print(f"W&B has failed ({_short(error)}); this run goes on, its dashboard may miss something")
        logger.has_failed = True  # type: ignore[attr-defined]


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Copies that wait for their upload stay with the run; W&B would fill the user's home with them."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("WANDB_DATA_DIR", None)


def _finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """JSON knows no infinity."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


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
            why_offline = _short(error)
    try:
        logger = _started(name, folder, run_id, offline=True)
    except Exception as error:
        print(f"W&B cannot start ({_short(error)}); this run goes on without it")
        return None
    print(f"W&B is offline ({why_offline}); upload this run later with: wandb sync {folder}/wandb/offline-run-*")
    return logger


def _started(name: str, folder: Path, run_id: str | None, offline: bool) -> WandbLogger:
    """A run that has begun, with its code; its configuration follows by ``record_config``."""
    logger = Dashboard(
        project="lightning_mtgan",
        name=f"{name}-{folder.name}",
        group=name,
        save_dir=str(folder),
        offline=offline,
        id=run_id,
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning passes what W&B warns of
    logger.experiment.define_metric(X_AXIS)
    logger.experiment.define_metric("*", step_metric=X_AXIS)
    with _harmless(logger):
        _record_code(logger.experiment)
    return logger


def _record_code(run: Any) -> None:
    """The package and its configurations, and nothing beside them.

    ``run.log_code`` walks all of the folder that it is given; in the checkout, that is the data, all runs
    and the virtual environment. So it is given a copy.
    """
    files = [*(ROOT / "lightning_mtgan").rglob("*.py")]
    if (ROOT / "conf" / "default.yaml").exists():  # not there when the package alone is installed
        files += (ROOT / "conf").glob("*.yaml")
    with tempfile.TemporaryDirectory() as copy:
        for file in files:
            to = Path(copy) / file.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
        run.log_code(copy, name="lightning_mtgan-source", include_fn=lambda path: True)


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
