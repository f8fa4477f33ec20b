"""What a training of this command line would be, found out without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch

from lightning_mtgan import config_files
from lightning_mtgan.callbacks import Fidelity
from lightning_mtgan.cli import TrainingCommand
from lightning_mtgan.draws import Draws, seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import Measurement
from lightning_mtgan.games import DomainGame, Game, TranslationGame
from lightning_mtgan.search.trial import FIGURES, Goal, Kind
from lightning_mtgan.tasks import make_tasks
from lightning_mtgan.types import part_of, scaled

FEW_IMAGES = 8
"""Enough to play each phase once and to ask the judge once."""


@dataclass(frozen=True)
class Rehearsed:
    """What is known of a training before it trains.

    Args:
        config: All keys with their values, as plain values.
        losses: The names of each phase's losses.
        tasks: Those among them that are neither adversarial nor penalties.
        goal: What is weighed against the FID.
        judged: The tasks whose figures the goal weighs.
        unjudged: The other tasks of the Game: a low weight of theirs costs nothing.
        seed: ``seed_everything``.
        last_kimg: Thousands of images after which it ends; infinite where it has no number of steps.
        ranks: Processes that it trains with.
        is_on_gpus: Whether they are on GPUs.
    """

    config: Mapping[str, Any]
    losses: Mapping[str, Sequence[str]]
    tasks: Mapping[str, Sequence[str]]
    goal: Goal
    judged: Sequence[str]
    unjudged: Sequence[str]
    seed: int
    last_kimg: float
    ranks: int
    is_on_gpus: bool


class Rehearsal(TrainingCommand):
    """Parses what ``train.py`` takes and builds all of it; nothing is trained, resumed or written."""

    def before_instantiate_classes(self) -> None:
        """Only what the module asks for."""
        self.plain = self._plain_config()

    def result(self) -> Rehearsed:
        """Play each phase on a few images, and ask the judge about a few generated ones.

        Raises:
            UserError: If such a training cannot be searched.
        """
        config = config_files.parse(self.parser.dump(self.config, format="yaml"))
        trainer = self.trainer
        if trainer.num_nodes > 1:
            raise UserError("a search trains on one machine; set trainer.num_nodes to 1")
        if trainer.fast_dev_run or config["trainer"].get("logger") is not None:  # type: ignore[attr-defined]
            raise UserError("a search reads the files of its runs; leave trainer.fast_dev_run and trainer.logger away")
        self._require_an_end()
        losses, tasks = self._losses()
        goal, judged = self._goal()
        steps = trainer.max_steps
        return Rehearsed(
            config=config,
            losses=losses,
            tasks=tasks,
            goal=goal,
            judged=judged,
            unjudged=[one.name for one in self.model.game.spec.tasks if one.name not in judged],
            seed=self.config.seed_everything,
            last_kimg=steps * self.datamodule.batch_size / 1000 if steps > 0 else float("inf"),
            ranks=trainer.world_size,
            is_on_gpus=trainer.strategy.root_device.type == "cuda",
        )

    def _require_an_end(self) -> None:
        """A training without a step has no final figures, and one without an end never has them."""
        steps, epochs = self.trainer.max_steps, self.trainer.max_epochs
        for key, given in (("max_steps", steps), ("max_epochs", epochs)):
            if given == 0:
                raise UserError(f"trainer.{key} is 0, which trains nothing that could be searched; set it to 1 or more")
        if steps < 0 and (epochs is None or epochs < 0) and self.config.trainer.max_time is None:
            raise UserError(
                f"trainer.max_steps is {steps}, which sets no end; set it to 1 or more, or give "
                "trainer.max_epochs or trainer.max_time"
            )

    def _losses(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        data, module, seed = self.datamodule, self.model, self.config.seed_everything
        cpu = torch.device("cpu")
        data.trainer = SimpleNamespace(
            global_rank=0, world_size=1, global_step=0, strategy=SimpleNamespace(root_device=cpu)
        )
        data.num_workers = 0
        batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
        together = module.game.images_together
        parts = max(1, data.batch_size // (FEW_IMAGES * together))
        few = scaled(part_of({**batch, "draws": Draws(seed)}, 0, parts), torch.float32)
        losses, tasks = {}, {}
        for phase in module.phases:
            with torch.enable_grad():
                terms = phase.losses({**few, "draws": Draws(seed, 0, phase.name)})
            losses[phase.name] = list(terms.losses)
            tasks[phase.name] = [n for n in terms.losses if n not in terms.penalties and n != "adversarial"]
        return losses, tasks

    def _goal(self) -> tuple[Goal, list[str]]:
        """What is weighed against the FID, and the tasks that have such a figure."""
        fidelity = next(one for one in self.trainer.callbacks if isinstance(one, Fidelity))  # type: ignore[attr-defined]
        game: Game = self.model.game.eval()
        protocol = replace(fidelity.final, num_images=FEW_IMAGES)
        data = self.datamodule
        if isinstance(game, TranslationGame):
            raise UserError(
                "search compares images made of noise, and TranslationGame takes images; search another Game"
            )
        if isinstance(game, DomainGame):
            game, data = game.view(game.domains[0]), data.first  # which stands for all
        measurement = Measurement(fidelity.jury, data, game, None)
        with torch.no_grad():
            judged = measurement.generate(protocol, seed_of("rehearsal"))
        found: dict[Kind, list[str]] = {figure: [] for figure in FIGURES}
        if judged is not None:
            # Also of a task that none of these few images has a label of: many images will have some.
            for name, task in make_tasks(game.spec.tasks).items():
                if name in judged.predictions and name in judged.wanted:
                    called, _ = task.figure(judged.predictions[name], judged.wanted[name])
                    for figure in FIGURES:
                        found[figure] += [name] * called.startswith(f"{figure}/")
        for figure in FIGURES:
            if found[figure]:
                return Goal(figure), found[figure]
        raise UserError(
            "a search weighs the FID against how well the tasks are shown, and nobody judges them here; set "
            "fidelity.evaluator to one that sees tasks of this data"
        )
