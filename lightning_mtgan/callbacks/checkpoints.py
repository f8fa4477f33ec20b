"""The last two checkpoints and the best, each written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import WandbLogger

from lightning_mtgan import distributed
from lightning_mtgan.callbacks.dashboard import upload_best
from lightning_mtgan.callbacks.durable import DurableCheckpointIO, keep_also_as, settle
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.callbacks.metrics_file import MetricsFile
from lightning_mtgan.callbacks.schedule import is_due
from lightning_mtgan.checkpoint import BEST, FOLDER, LAST, PREVIOUS
from lightning_mtgan.errors import RunFailed, UserError
from lightning_mtgan.module import MultiTaskGAN


class Checkpoints(Checkpoint):
    """Keeps ``checkpoints/last.ckpt``, the one before, and the best by the lowest FID.

    A run that was asked to stop saves here and ends; ranks that have drifted apart are found here.

    Args:
        every_kimg: Thousands of images between two saves of the last state; 0 for the end only.
        upload_best: Also give the best one to W&B, as an artifact at the end.
    """

    def __init__(self, every_kimg: float = 25.0, upload_best: bool = False) -> None:
        if every_kimg < 0:
            raise UserError(f"checkpoints.every_kimg is {every_kimg}; use 0 for the end only, or more")
        self.every_kimg, self.upload_best = every_kimg, upload_best
        self.best_fid = float("inf")
        self.best_kimg = 0.0
        self.wandb_id: str | None = None
        self._table: MetricsFile | None = None
        self._saved_at: int | None = None
        """The step of a last.ckpt that is worth keeping as the one before; None without."""

    def state_dict(self) -> dict[str, Any]:
        """The best FID so far and where it was, the W&B run that goes on, and what was logged until now."""
        return {
            "best_fid": self.best_fid,
            "best_kimg": self.best_kimg,
            "wandb_id": self.wandb_id,
            "num_rows": self._table.num_rows if self._table is not None else 0,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the stored best FID."""
        self.best_fid, self.best_kimg = state_dict["best_fid"], state_dict["best_kimg"]
        self.wandb_id = state_dict["wandb_id"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write checkpoints our way."""
        trainer.strategy.checkpoint_io = DurableCheckpointIO()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out where a resumed run stands, and save what it has caught up with."""
        assert isinstance(pl_module, MultiTaskGAN)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                self.wandb_id = str(logger.version)
            elif isinstance(logger, MetricsFile):
                self._table = logger
        steps = distributed.gather_objects(trainer.global_step)
        if len(set(steps)) > 1:
            raise RunFailed(
                f"ranks go on from the steps {', '.join(map(str, steps))}; all machines must see the same --runs"
            )
        _require_equal_ranks(pl_module)
        if pl_module.measures_anew:
            self.best_fid = float("inf")
        resumed = trainer.ckpt_path  # type: ignore[attr-defined]
        run = run_folder(trainer)
        if resumed is not None and run is not None:
            self._take_stock(Path(resumed), run / FOLDER, trainer)
        if pl_module.candidate_fid is not None:  # a measurement that the stopped run owed
            self.save(trainer, pl_module, self._is_best(pl_module))
        if pl_module.watch.stop:  # ... and owes again
            self.save(trainer, pl_module, is_best=False)
            pl_module.stop_in_order()

    def _take_stock(self, resumed: Path, folder: Path, trainer: Trainer) -> None:
        """What is in the folder; a run that begins from another's checkpoint takes the best one along."""
        if resumed.resolve() == (folder / LAST).resolve():
            self._saved_at = trainer.global_step
        best, mine = resumed.with_name(BEST), folder / BEST
        if not distributed.broadcast_object(best.exists()):
            self.best_fid = float("inf")
        elif trainer.is_global_zero and best.resolve() != mine.resolve():
            folder.mkdir(parents=True, exist_ok=True)
            keep_also_as(best, mine)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save the last state when it is due, and the best whenever there is one.

        Raises:
            Interrupted: After the save, if some rank was asked to stop.
        """
        assert isinstance(pl_module, MultiTaskGAN)
        is_best = self._is_best(pl_module)
        is_last = trainer.global_step == trainer.max_steps  # before the final figures, which may fail
        if is_best or is_last or pl_module.watch.stop or is_due(pl_module, self.every_kimg):
            self.save(trainer, pl_module, is_best)
        if pl_module.watch.stop:
            pl_module.stop_in_order()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end, too, of a training that does not end by its number of steps."""
        assert isinstance(pl_module, MultiTaskGAN)
        if self._saved_at != trainer.global_step and trainer.fit_loop.done:
            self.save(trainer, pl_module, is_best=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end; its figures follow another protocol, so they are not compared."""
        assert isinstance(pl_module, MultiTaskGAN)
        self.save(trainer, pl_module, is_best=self.best_fid == float("inf"))
        run = run_folder(trainer)
        if self.upload_best and run is not None:
            upload_best(trainer, run / FOLDER / BEST, {"fid": self.best_fid, "kimg": self.best_kimg})

    def _is_best(self, module: MultiTaskGAN) -> bool:
        fid, module.candidate_fid = module.candidate_fid, None
        if fid is None or fid >= self.best_fid or not module.is_sound:
            return False
        self.best_fid, self.best_kimg = fid, module.kimg
        return True

    def save(self, trainer: Trainer, module: MultiTaskGAN, is_best: bool) -> None:
        """Write the state under a temporary name, then rename it; the last one becomes the previous.

        Raises:
            RunFailed: If the ranks differ, or the disk does not take the file.
        """
        with module.paused():
            run = run_folder(trainer)
            if run is None:
                return
            module.watch.read()
            _require_equal_ranks(module)
            folder = run / FOLDER
            partial = folder / f"{LAST}.partial"
            trainer.save_checkpoint(partial)
            failure = None
            if trainer.is_global_zero:
                writer = trainer.strategy.checkpoint_io
                failure = writer.failure if isinstance(writer, DurableCheckpointIO) else None
                rotate = self._saved_at not in (None, module.global_step)
                failure = failure or _rename(partial, folder, is_best, rotate)
            failure = distributed.broadcast_object(failure)
        if failure is not None:
            raise RunFailed(
                f"checkpoint {folder / LAST} cannot be written at step {module.global_step} ({failure}); the one "
                "before is whole: make room, then go on with --ckpt_path last"
            )
        self._saved_at = module.global_step


def _rename(partial: Path, folder: Path, is_best: bool, rotate: bool) -> str | None:
    """Give the new file its names; the reason if that fails. At every moment some name leads to a whole file.

    Args:
        partial: The new file.
        folder: Where it goes.
        is_best: It is the best, too.
        rotate: The last one becomes the one before.
    """
    try:
        if is_best:
            keep_also_as(partial, folder / BEST)
        if rotate and (folder / LAST).exists():
            keep_also_as(folder / LAST, folder / PREVIOUS)
        os.replace(partial, folder / LAST)
        settle(folder)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _require_equal_ranks(module: MultiTaskGAN) -> None:
    differs = distributed.first_difference(module.common_state())
    if differs is not None:
        raise RunFailed(
            f"ranks have drifted apart: {differs} is not the same on all of them at step {module.global_step}; "
            "something in the Game is not a function of (seed, step, purpose). No checkpoint was written; "
            "the last one is from before"
        )
