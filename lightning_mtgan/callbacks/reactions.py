"""What the collapse guard does about a verdict: one reaction, one class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer

from lightning_mtgan import distributed
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.checkpoint import BEST, FOLDER, KEY, read
from lightning_mtgan.errors import UserError
from lightning_mtgan.module import MultiTaskGAN


class Reaction:
    """What to do when a run goes wrong; called on all ranks at the same steps."""

    def check(self, trainer: Trainer) -> None:
        """Refuse a run in which the reaction would be impossible, before anything trains."""

    def react(self, trainer: Trainer, module: MultiTaskGAN, evidence: str) -> str:
        """React at the end of a step, before its checkpoint is written; says what was or will be done."""
        return "none"

    def before_step(self, trainer: Trainer, module: MultiTaskGAN) -> str | None:
        """Do what has to wait for the checkpoint; says what was done, None if there was nothing to do."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""


class Warn(Reaction):
    """Print, log, and go on."""


class Stop(Reaction):
    """End the run in order: checkpoint, final figures, summary."""

    def react(self, trainer: Trainer, module: MultiTaskGAN, evidence: str) -> str:
        """Let this step be the last."""
        trainer.should_stop = True
        module.ended = f"stopped by the collapse guard: {evidence}"
        return "the run ends here"


class RollBack(Reaction):
    """Go back to the best checkpoint, with lower learning rates; steps and images go on counting.

    Parameters, moving average, optimizers and balancers are those of the checkpoint; learning rates
    are its own times the factor, once more for each rollback. Draws and the order of the data stay
    functions of the step, so a rolled-back run is as reproducible as any other.

    Args:
        factor: What a rollback does to every learning rate, in (0, 1].
        at_most: Rollbacks in a run; after the last one the guard only warns.
    """

    def __init__(self, factor: float = 0.5, at_most: int = 3) -> None:
        if not 0 < factor <= 1 or at_most < 1:
            raise UserError(f"guard.reaction: factor is {factor} and at_most {at_most}; use (0, 1] and 1 or more")
        self.factor, self.at_most = factor, at_most
        self.count, self.scale, self._is_due = 0, 1.0, False

    def state_dict(self) -> dict[str, Any]:
        """How often, and what the learning rates have been multiplied by since the start."""
        return {"count": self.count, "scale": self.scale, "is_due": self._is_due}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.count, self.scale, self._is_due = state["count"], state["scale"], state["is_due"]

    def check(self, trainer: Trainer) -> None:
        """There must be checkpoints, and measurements to call one the best."""
        if run_folder(trainer) is None:
            raise UserError("guard.reaction RollBack needs checkpoints to go back to; leave trainer.logger as it is")
        every_kimg = next(c.every_kimg for c in trainer.callbacks if type(c).__name__ == "Fidelity")  # type: ignore[attr-defined]
        if every_kimg == 0:
            raise UserError("guard.reaction RollBack needs a best checkpoint; set fidelity.every_kimg above 0")

    def react(self, trainer: Trainer, module: MultiTaskGAN, evidence: str) -> str:
        """The checkpoint of this step comes first: it may be the best."""
        if self.count >= self.at_most:
            return f"none: all {self.at_most} rollbacks are used up"
        self._is_due = True
        return "rolling back to the best checkpoint"

    def before_step(self, trainer: Trainer, module: MultiTaskGAN) -> str | None:
        """Take up the state of the best checkpoint."""
        if not self._is_due:
            return None
        self._is_due = False
        folder = run_folder(trainer)
        assert folder is not None
        path = folder / FOLDER / BEST
        if not distributed.broadcast_object(path.exists()):
            return "no rollback: there is no best checkpoint yet"
        content = read(path)
        if content["global_step"] > module.global_step:  # left by a later part of a run that was taken up earlier
            return "no rollback: the best checkpoint is of a later step"
        self.count += 1
        stored = content["callbacks"].get("CollapseGuard", {}).get("reaction", {}).get("scale", 1.0)
        self.scale *= self.factor
        _restore(module, content, self.scale / stored)
        fid = content[KEY]["figures"].get("fid")
        quality = f", FID {fid:.2f}" if fid is not None else ""
        return (
            f"rollback {self.count} of {self.at_most}: back to the state of step {content['global_step']}{quality}, "
            f"learning rates x {self.scale / stored:g}"
        )


def _restore(module: MultiTaskGAN, content: Mapping[str, Any], scale: float) -> None:
    """Parameters, average and optimizers of a checkpoint, at scaled learning rates."""
    module.load_state_dict(content["state_dict"])
    if module.average is not None:
        module.average.load_state_dict(content[KEY]["average"])
    for mover, state in zip(module.movers, content["optimizer_states"], strict=True):
        mover.optimizer.load_state_dict(state)
        mover.settle()
    schedules = zip(module.schedules, content["lr_schedulers"], strict=True)
    for schedule, state in schedules:
        schedule.load_state_dict(state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch wants an optimizer's step before each of these
            for _ in range(module.global_step - content["global_step"]):
                schedule.step()  # the schedule belongs to the step, not to the state
        schedule.base_lrs = [rate * scale for rate in schedule.base_lrs]
    for mover in module.movers:
        for group in mover.optimizer.param_groups:
            for key in ("lr", "initial_lr"):
                if key in group:
                    group[key] *= scale
    module.watch.in_a_row = dict.fromkeys(module.watch.in_a_row, 0)
