"""The last two checkpoints and the best, each written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import WandbLogger

from lightning_mtgan import distributed
from lightning_mtgan.callbacks.durable import DurableCheckpointIO, keep_also_as, settle
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.callbacks.schedule import is_due
from lightning_mtgan.checkpoint import BEST, FOLDER, LAST, PREVIOUS
from lightning_mtgan.errors import RunFailed, UserError
from lightning_mtgan.module import MultiTaskGAN


class Checkpoints(Checkpoint):
    """Keeps ``checkpoints/last.ckpt``, the one before, and the best by the lowest FID.

    A run that was asked to stop saves here and ends; ranks that have drifted apart are found here.

    Args:
        every_kimg: Thousands of images between two saves of the last state; 0 for the end only.
    """

    def __init__(self, every_kimg: float = 25.0) -> None:
        if every_kimg < 0:
            raise UserError(f"checkpoints.every_kimg is {every_kimg}; use 0 for the end only, or more")
        self.every_kimg = every_kimg
        self.best_fid = float("inf")
        self.best_kimg = 0.0
        self.wandb_id: str | None = None
        self._saved_at: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """The best FID so far and where it was, and the W&B run that a resumed run continues."""
        return {"best_fid": self.best_fid, "best_kimg": self.best_kimg, "wandb_id": self.wandb_id}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the stored best FID."""
        self.best_fid, self.best_kimg = state_dict["best_fid"], state_dict["best_kimg"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write checkpoints our way."""
        trainer.strategy.checkpoint_io = DurableCheckpointIO()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that begins from another's checkpoint takes the best one along into its own folder."""
        assert isinstance(pl_module, MultiTaskGAN)
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        self.wandb_id = str(loggers[0].version) if loggers else None
        _require_equal_ranks(pl_module)
        resumed = trainer.ckpt_path  # type: ignore[attr-defined]
        run = run_folder(trainer)
        if resumed is not None and run is not None:
            self._take_best_along(Path(resumed), run, trainer)
        if self._is_best(pl_module):  # a measurement that the stopped run owed
            self.save(trainer, pl_module, is_best=True)

    def _take_best_along(self, resumed: Path, run: Path, trainer: Trainer) -> None:
        best, mine = resumed.with_name(BEST), run / FOLDER / BEST
        if not best.exists():
            self.best_fid = float("inf")
        elif trainer.is_global_zero and best.resolve() != mine.resolve():
            mine.parent.mkdir(parents=True, exist_ok=True)
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

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end; its figures follow another protocol, so they are not compared."""
        assert isinstance(pl_module, MultiTaskGAN)
        self.save(trainer, pl_module, is_best=self.best_fid == float("inf"))

    def _is_best(self, module: MultiTaskGAN) -> bool:
        fid, module.candidate_fid = module.candidate_fid, None
        if fid is None or fid >= self.best_fid:
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
                failure = failure or _rename(partial, folder, is_best, rotate=self._saved_at != module.global_step)
                self._saved_at = module.global_step
            failure = distributed.broadcast_object(failure)
        if failure is not None:
            raise RunFailed(
                f"checkpoint {folder / LAST} cannot be written at step {module.global_step} ({failure}); the one "
                "before is whole: make room, then go on with --ckpt_path last"
            )


def _rename(partial: Path, folder: Path, is_best: bool, rotate: bool) -> str | None:
    """Give the new file its names; the reason if that fails. At every moment some name leads to a whole file.

    Args:
        partial: The new file.
        folder: Where it goes.
        is_best: It is the best, too.
        rotate: The last one becomes the one before; not where it holds the same step.
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
