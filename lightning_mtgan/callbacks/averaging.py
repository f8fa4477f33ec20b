"""The generator's moving average, which is what is measured, sampled and exported."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.checkpoint import KEY
from lightning_mtgan.errors import UserError
from lightning_mtgan.module import MultiTaskGAN


class Averaging(Callback):
    """Keeps an exponential moving average of what ``Game.sample`` reads.

    Args:
        half_life_kimg: Thousands of images after which an old value counts half; 0 switches the
            average off.
        rampup: Share of the images seen so far that the half-life may not exceed.
    """

    def __init__(self, half_life_kimg: float = 10.0, rampup: float = 0.05) -> None:
        if half_life_kimg < 0 or rampup <= 0:
            raise UserError(
                f"ema.half_life_kimg is {half_life_kimg} and ema.rampup {rampup}; use 0 or more, and more than 0"
            )
        self.half_life_kimg, self.rampup = half_life_kimg, rampup
        self._restored: dict[str, Any] | None = None

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the stored average until the parameters are restored and on their device."""
        self._restored = checkpoint[KEY]["average"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the average before anything trains, and take up a stored one."""
        assert isinstance(pl_module, MultiTaskGAN)
        pl_module.average = None
        if self.half_life_kimg > 0:
            pl_module.average = ParameterAverage(pl_module.game, self.half_life_kimg * 1000, self.rampup)
            if self._restored is not None:
                pl_module.average.load_state_dict(self._restored)
                self._restored = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Move the average."""
        assert isinstance(pl_module, MultiTaskGAN)
        if pl_module.average is not None:
            pl_module.average.update(pl_module.batch_size, pl_module.global_step * pl_module.batch_size)
