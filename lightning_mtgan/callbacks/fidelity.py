"""Fidelity while training, and the full protocol once at the end."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan import distributed
from lightning_mtgan.callbacks.schedule import is_due
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import (
    Abandoned,
    Evaluator,
    Judged,
    Protocol,
    describe,
    generated,
    judge,
    measure,
    require_enough,
    stored,
)
from lightning_mtgan.module import MultiTaskGAN


class Fidelity(Callback):
    """Measures the averaged generator: FID, KID, precision and recall, density and coverage, modes, tasks.

    All ranks generate and extract their share; one pass serves every figure.

    Args:
        evaluator: The independent judge.
        every_kimg: Thousands of images between two measurements; 0 for none but the last.
        periodic: Protocol of the measurements while training.
        final: Protocol of the last one; null repeats the periodic one.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        every_kimg: float = 25.0,
        periodic: Protocol = Protocol(),  # noqa: B008 - frozen
        final: Protocol | None = None,
    ) -> None:
        if every_kimg < 0:
            raise UserError(f"fidelity.every_kimg is {every_kimg}; use 0 for the last measurement only, or more")
        self.evaluator, self.every_kimg = evaluator, every_kimg
        self.periodic, self.final = periodic, final or periodic
        self._is_owed = False
        self._references: dict[tuple[str, int], Judged] = {}

    def state_dict(self) -> dict[str, Any]:
        """Whether this step's measurement was abandoned because the run had to stop."""
        return {"is_owed": self._is_owed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember what is owed."""
        self._is_owed = state_dict["is_owed"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a split that the data does not have, before anything trains."""
        splits = trainer.datamodule.splits  # type: ignore[attr-defined]
        for protocol in (self.periodic, self.final):
            if protocol.split not in splits:
                raise UserError(f"fidelity: the data has no split `{protocol.split}`; it has {', '.join(splits)}")
            require_enough(len(trainer.datamodule.dataset(protocol.split)), protocol)  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse an evaluator that cannot judge these images, before anything trains."""
        assert isinstance(pl_module, MultiTaskGAN)
        images = trainer.datamodule.dataset(self.final.split)  # type: ignore[attr-defined]
        evaluator = self.evaluator.to(pl_module.device)
        try:
            image = images[torch.arange(2)]["image"].to(pl_module.device)
            evaluator.predictions(image, evaluator.features(image))
        except Exception as error:
            raise UserError(
                f"fidelity.evaluator {type(evaluator).__name__} cannot judge images of shape {tuple(image.shape[1:])} "
                f"({' '.join(str(error).split())[:120]}); name one made for this data"
            ) from error

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make up for the measurement that a stopped run has left out."""
        assert isinstance(pl_module, MultiTaskGAN)
        if self._is_owed:
            self._run_periodic(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Measure when it is due; a run that is asked to stop meanwhile does so, and owes the measurement."""
        assert isinstance(pl_module, MultiTaskGAN)
        if is_due(pl_module, self.every_kimg):
            self._run_periodic(trainer, pl_module)

    def _run_periodic(self, trainer: Trainer, module: MultiTaskGAN) -> None:
        try:
            self.run(trainer, module, self.periodic)
        except Abandoned:
            self._is_owed = module.watch.stop = True
        else:
            self._is_owed = False
            module.candidate_fid = module.figures["fid"]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure by the full protocol.

        Raises:
            Interrupted: If some rank was asked to stop; the last state is saved.
        """
        assert isinstance(pl_module, MultiTaskGAN)
        try:
            self.run(trainer, pl_module, self.final)
        except Abandoned:
            pl_module.stop_in_order()

    def run(self, trainer: Trainer, module: MultiTaskGAN, protocol: Protocol) -> None:
        """Measure, and log every figure with its protocol."""
        tasks = module.game.spec.tasks
        with module.paused(), module.sampling() as game:
            source = generated(game, self.evaluator, seed_of("fidelity", protocol.seed))
            fake = judge(source, protocol.num_images, self.evaluator, tasks, module.device, module.is_asked_to_stop)
            real = self._reference(trainer, module, protocol)
            # One rank's arithmetic for all: a last bit of difference must not split their decisions.
            figures = measure(fake, real, tasks, protocol) if trainer.is_global_zero else None
            figures = distributed.broadcast_object(figures)
        splits = trainer.datamodule.splits  # type: ignore[attr-defined]
        module.figures |= figures
        module.protocol = describe(protocol, real, self.evaluator, splits, module.device)
        for logger in trainer.loggers:
            logger.log_metrics({**figures, "kimg": module.kimg}, step=module.global_step)

    def _reference(self, trainer: Trainer, module: MultiTaskGAN, protocol: Protocol) -> Judged:
        """The real images of the protocol's split, judged once in a process."""
        images = trainer.datamodule.dataset(protocol.split)  # type: ignore[attr-defined]
        num_images = min(len(images), protocol.num_images)
        key = (protocol.split, num_images)
        if key not in self._references:
            tasks = module.game.spec.tasks
            leave = module.is_asked_to_stop
            self._references[key] = judge(stored(images), num_images, self.evaluator, tasks, module.device, leave)
        return self._references[key]
