"""The collapse guard: says within minutes that a run goes wrong, why, and does something about it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan.callbacks.dashboard import raise_alert
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.callbacks.reactions import Reaction, Warn
from lightning_mtgan.errors import UserError
from lightning_mtgan.guard import (
    HEALTHY,
    CollapseInCondition,
    Deterioration,
    DiscriminatorDomination,
    DiscriminatorOverfitting,
    Divergence,
    History,
    Memorising,
    ModeDropping,
    RepresentationCollapse,
    Rule,
)
from lightning_mtgan.module import MultiTaskGAN

FILE = "verdicts.json"


class CollapseGuard(Callback):
    """Turns the figures of a run into a verdict whenever there are new ones, and reacts when it changes.

    Nothing is generated for it: it reads what is written every ``trainer.log_every_n_steps`` batches
    and what each measurement finds. All ranks read the same numbers, so they decide alike.

    Args:
        reaction: What to do about a verdict; null only warns.
        rules: The ways of going wrong that are looked for, the most urgent first; null for all.
        grace_kimg: Thousands of images at the beginning, and after each rollback, in which networks
            may look collapsed because they are not yet trained.
    """

    def __init__(
        self, reaction: Reaction | None = None, rules: Sequence[Rule] | None = None, grace_kimg: float = 10.0
    ) -> None:
        if grace_kimg < 0:
            raise UserError(f"guard.grace_kimg is {grace_kimg}; use 0 or more")
        self.reaction = reaction or Warn()
        self.rules = list(rules) if rules is not None else default_rules()
        self.grace_kimg = grace_kimg
        self.history = History()
        self.verdict = HEALTHY
        self.verdicts: list[dict[str, Any]] = []
        """Every change of the verdict, in order."""
        self._trusted_from = grace_kimg
        self._seen: tuple[Any, Any] = ({}, {})
        self._pending: dict[str, float] = {}
        """What was written at a step whose measurement is owed."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know to come to the same verdicts."""
        return {
            "history": self.history.state_dict(),
            "verdict": self.verdict,
            "verdicts": self.verdicts,
            "trusted_from": self._trusted_from,
            "reaction": self.reaction.state_dict(),
            "pending": self._pending,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history.load_state_dict(state_dict["history"])
        self.verdict, self.verdicts = state_dict["verdict"], list(state_dict["verdicts"])
        self._trusted_from, self._pending = state_dict["trusted_from"], dict(state_dict["pending"])
        if state_dict["reaction"].keys() == self.reaction.state_dict().keys():  # another reaction begins anew
            self.reaction.load_state_dict(state_dict["reaction"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a reaction that would be impossible; what was measured before is not new."""
        assert isinstance(pl_module, MultiTaskGAN)
        self.reaction.check(trainer)
        self._seen = (pl_module.recent, pl_module.figures)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the checkpoint knew, and judge a measurement that a stopped run has left."""
        assert isinstance(pl_module, MultiTaskGAN)
        if pl_module.measures_anew:
            self.history = History()
        folder = run_folder(trainer)
        if trainer.is_global_zero and folder is not None and (self.verdicts or (folder / FILE).exists()):
            write_verdicts(folder / FILE, self.verdicts)
        self._say_whether_sound(pl_module)
        self._look(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Do what had to wait for the checkpoint of the step before."""
        assert isinstance(pl_module, MultiTaskGAN)
        if pl_module.ended is not None:  # a run that was stopped goes on, so the guard may speak again
            self.verdict = HEALTHY
        done = self.reaction.before_step(trainer, pl_module)
        if done is None:
            return
        if done.begins_anew:
            self.history.begin_anew()
            self._trusted_from = pl_module.kimg + self.grace_kimg
            self._tell(trainer, pl_module, HEALTHY, "a new start", done.words)
        else:
            self._tell(trainer, pl_module, self.verdict, "as before", done.words)
        self._say_whether_sound(pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Judge new figures."""
        assert isinstance(pl_module, MultiTaskGAN)
        self._look(trainer, pl_module)

    def _look(self, trainer: Trainer, module: MultiTaskGAN) -> None:
        (written, measured), self._seen = self._seen, (module.recent, module.figures)
        new, gone = dict(self._pending), set()
        if module.recent is not written:
            new |= module.recent
        if module.figures is not measured:
            new |= module.figures
            gone = measured.keys() - module.figures.keys()
        # Ten steps left out in a row end a run, which is too soon to wait for the next figures.
        in_a_row = {f"in_a_row/{phase}": float(count) for phase, count in module.watch.in_a_row.items()}
        if new or max(in_a_row.values(), default=0) > 1:
            new |= in_a_row
        self._pending = new if module.owes_measurement else {}
        if self._pending or not new or module.kimg < self._trusted_from:
            return
        self.history.observe(new, gone)
        verdict, evidence = self._judge()
        if verdict == HEALTHY:
            self.history.accept()
        if verdict != self.verdict:
            done = self.reaction.react(trainer, module, f"{verdict}: {evidence}") if verdict != HEALTHY else "none"
            self._tell(trainer, module, verdict, evidence, done)
        self._say_whether_sound(module)

    def _say_whether_sound(self, module: MultiTaskGAN) -> None:
        module.is_sound = self.verdict == HEALTHY or not self.reaction.returns_to_best

    def _judge(self) -> tuple[str, str]:
        """The verdict and its evidence, from the last reading of every figure."""
        for rule in self.rules:
            evidence = rule.evidence(self.history)
            if evidence is not None:
                return rule.verdict, evidence
        return HEALTHY, "nothing speaks against it any more"

    def _tell(self, trainer: Trainer, module: MultiTaskGAN, verdict: str, evidence: str, reaction: str) -> None:
        """Say it once: on the terminal, in ``verdicts.json``, in the metrics, as an alert."""
        self.verdict = verdict
        told = {
            "step": module.global_step,
            "kimg": module.kimg,
            "verdict": verdict,
            "evidence": evidence,
            "reaction": reaction,
        }
        self.verdicts.append(told)
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        did = f"; {reaction}" if reaction != "none" else ""
        print(f"step {module.global_step}: {verdict}: {evidence}{did}", flush=True)
        if folder is not None:
            write_verdicts(folder / FILE, self.verdicts)
        for logger in trainer.loggers:
            row: dict[str, Any] = {"verdict": verdict, "evidence": evidence, "kimg": module.kimg}
            logger.log_metrics(row, step=module.global_step)
        if verdict != HEALTHY:
            raise_alert(trainer, verdict, f"{evidence}{did}")


def default_rules() -> list[Rule]:
    """Every rule, the most urgent first."""
    return [
        Divergence(),
        DiscriminatorOverfitting(),
        CollapseInCondition(),
        RepresentationCollapse(),
        ModeDropping(),
        Memorising(),
        DiscriminatorDomination(),
        Deterioration(),
    ]


def write_verdicts(path: Path, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Write all verdicts, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(list(verdicts), indent=2) + "\n")
    os.replace(partial, path)
