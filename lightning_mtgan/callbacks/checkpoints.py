"""The last and the best checkpoint, each written whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lightning_mtgan import distributed
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.callbacks.schedule import is_due
from lightning_mtgan.errors import UserError
from lightning_mtgan.module import MultiTaskGAN


class Checkpoints(Checkpoint):
    """Keeps ``checkpoints/last.ckpt``, and ``checkpoints/best.ckpt`` by the lowest FID.

    Args:
        every_kimg: Thousands of images between two saves of the last state; 0 for the end only.
    """

    def __init__(self, every_kimg: float = 25.0) -> None:
        if every_kimg < 0:
            raise UserError(f"checkpoints.every_kimg is {every_kimg}; use 0 for the end only, or more")
        self.every_kimg = every_kimg
        self.best_fid = float("inf")
        self.best_kimg = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The best FID so far and where it was."""
        return {"best_fid": self.best_fid, "best_kimg": self.best_kimg}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the stored best FID."""
        self.best_fid, self.best_kimg = state_dict["best_fid"], state_dict["best_kimg"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A resumed run takes the best checkpoint along into its own folder."""
        run = run_folder(trainer)
        resumed = trainer.ckpt_path  # type: ignore[attr-defined]
        if resumed is None or run is None:
            return
        best = Path(resumed).with_name("best.ckpt")
        if not best.exists():
            self.best_fid = float("inf")
        elif trainer.is_global_zero:
            (run / "checkpoints").mkdir(parents=True, exist_ok=True)
            _copy(best, run / "checkpoints" / "best.ckpt")

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save the last state when it is due, and the best whenever there is one."""
        assert isinstance(pl_module, MultiTaskGAN)
        is_best = self._is_best(pl_module)
        is_last = trainer.global_step == trainer.max_steps  # before the final figures, which may fail
        if is_best or is_last or is_due(pl_module, self.every_kimg):
            self.save(trainer, pl_module, is_best)

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
        """Write the state under a temporary name, then rename it."""
        with module.paused():
            run = run_folder(trainer)
            if run is None:
                return
            folder = run / "checkpoints"
            partial = folder / "last.ckpt.partial"
            trainer.save_checkpoint(partial)
            if trainer.is_global_zero:
                if is_best:
                    _copy(partial, folder / "best.ckpt")
                os.replace(partial, folder / "last.ckpt")
            distributed.barrier()


def _copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    partial = target.with_name(target.name + ".partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
