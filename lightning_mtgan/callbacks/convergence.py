"""Training until convergence: the run ends when its FID no longer falls."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan.callbacks.fidelity import measures_every
from lightning_mtgan.errors import UserError
from lightning_mtgan.module import MultiTaskGAN


class Convergence(Callback):
    """Ends a run in order once no measurement has improved the FID for a while.

    Args:
        patience_kimg: Thousands of images without a better FID after which the run ends; 0 for never.
        least_gain: Share by which an FID must be below the best to count as better.
    """

    def __init__(self, patience_kimg: float = 0.0, least_gain: float = 0.01) -> None:
        if patience_kimg < 0 or not 0 <= least_gain < 1:
            raise UserError(
                f"convergence.patience_kimg is {patience_kimg} and convergence.least_gain {least_gain}; use 0 or more, "
                "and a share in [0, 1)"
            )
        self.patience_kimg, self.least_gain = patience_kimg, least_gain
        self.best_fid, self.best_kimg = float("inf"), 0.0

    def state_dict(self) -> dict[str, Any]:
        """The best FID, and where it was."""
        return {"best_fid": self.best_fid, "best_kimg": self.best_kimg}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best_fid, self.best_kimg = state_dict["best_fid"], state_dict["best_kimg"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse to wait for measurements that never come."""
        if self.patience_kimg > 0 and measures_every(trainer) == 0:
            raise UserError("convergence.patience_kimg needs measurements; set fidelity.every_kimg above 0")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at a measurement that a stopped run has left."""
        assert isinstance(pl_module, MultiTaskGAN)
        if pl_module.measures_anew:
            self.best_fid, self.best_kimg = float("inf"), pl_module.kimg
        self._look(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Look at a measurement of this step."""
        assert isinstance(pl_module, MultiTaskGAN)
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, module: MultiTaskGAN) -> None:
        fid = module.candidate_fid
        if fid is None:
            return
        if fid < self.best_fid * (1 - self.least_gain):
            self.best_fid, self.best_kimg = fid, module.kimg
        elif self.patience_kimg > 0 and module.kimg - self.best_kimg >= self.patience_kimg - 1e-9:
            trainer.should_stop = True
            module.ended = (
                f"converged: for {self.patience_kimg:g} kimg no FID was below {self.best_fid:.4g}, that of "
                f"{self.best_kimg:g} kimg"
            )
            if trainer.is_global_zero:
                print(f"step {trainer.global_step}: {module.ended}")
