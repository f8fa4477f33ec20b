"""The one LightningModule: plays any Game, knows phases and optimizers, never losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from lightning_mtgan import distributed
from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import Balancer, WeightedSum
from lightning_mtgan.checkpoint import KEY
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import Game, Phase
from lightning_mtgan.types import Batch, DataSpec


class MultiTaskGAN(lightning.LightningModule):
    """Plays a Game: in each step, each phase's player takes one step on that phase's losses.

    Gradients are averaged over ranks by one all-reduce of the moving player's gradients, so plain
    ``ddp`` works although no phase uses all parameters.

    Args:
        game: From the description of the data to the Game.
        spec: The description of the data; the command line takes it from the data.
        optimizers: An optimizer for each player, by the player's name.
        balancers: A Balancer for each phase, by the phase's name; a plain sum where none is given.
        schedulers: Learning-rate schedules by player, stepped once a batch.
        seed: Seed of every random draw of the training.

    Raises:
        UserError: If optimizers, balancers or schedulers do not fit the Game's players and phases.
    """

    def __init__(
        self,
        game: Callable[[DataSpec], Game],
        spec: DataSpec,
        optimizers: dict[str, OptimizerCallable],
        balancers: dict[str, Balancer] = {},  # noqa: B006 - never changed
        schedulers: dict[str, LRSchedulerCallable] = {},  # noqa: B006
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.game = game(spec)
        self.game.check()
        self.seed = seed
        self.phases = list(self.game.phases())
        self._optimizers, self._schedulers = optimizers, schedulers
        players, phases = list(self.game.players), [phase.name for phase in self.phases]
        _require_known("model.optimizers", optimizers, players, "player")
        _require_known("model.schedulers", self._schedulers, players, "player")
        _require_known("model.balancers", balancers, phases, "phase")
        for player in players:
            if player not in optimizers:
                raise UserError(f"model.optimizers has no optimizer for the player `{player}`; give it one")
        self.balancers = torch.nn.ModuleDict({name: balancers.get(name) or WeightedSum() for name in phases})
        self.losses: dict[str, Tensor] = {}
        """The last step's losses of this rank by ``phase/name``, on the device."""
        self.recent: dict[str, float] = {}
        """The training figures that were last written, as means over all ranks."""
        self.figures: dict[str, float] = {}
        """The newest figures by their fixed names, written by callbacks."""
        self.candidate_fid: float | None = None
        """FID of a periodic measurement that no checkpoint has been compared by yet."""
        self.protocol: dict[str, Any] = {}
        """How the newest figures were measured."""
        self.paused_seconds = 0.0
        """Time that callbacks have spent beside the training, which no throughput should count."""
        self.average: ParameterAverage | None = None
        self.config: dict[str, Any] | None = None
        """What built this module, as plain values; the command line fills it, checkpoints carry it."""

    def configure_optimizers(self) -> Any:
        """One optimizer for each player, in the order of the players."""
        optimizers = {name: self._optimizers[name](player.parameters()) for name, player in self.game.players.items()}
        schedulers = [schedule(optimizers[name]) for name, schedule in self._schedulers.items()]
        return list(optimizers.values()), schedulers

    def on_fit_start(self) -> None:
        """Take the gradients into our own hands: flat memory, no averaging by DDP."""
        check_precision(self.trainer.precision)
        if hasattr(self.trainer.strategy.model, "require_backward_grad_sync"):
            self.trainer.strategy.model.require_backward_grad_sync = False  # type: ignore[union-attr,assignment]
        self._gradients = {n: distributed.FlatGradients(p.parameters()) for n, p in self.game.players.items()}
        optimizers = self.optimizers(use_pl_optimizer=False)
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        self._steppers = dict(zip(self.game.players, optimizers, strict=True))
        schedulers = self.lr_schedulers() or []
        self._ticks = schedulers if isinstance(schedulers, list) else [schedulers]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One batch, images as uint8, through all due phases; counted as one step, whatever moved."""
        step = self.global_step
        batch = {**batch, "image": batch["image"].to(self.dtype) / 127.5 - 1}
        draws = Draws(self.seed, step, "", distributed.rank(), distributed.world_size(), self.device, self.dtype)  # type: ignore[arg-type]
        for phase in self.phases:
            if step % phase.every == 0:
                self._play(phase, {**batch, "draws": draws.at(phase.name)})
        for scheduler in self._ticks:
            scheduler.step()  # type: ignore[call-arg]
        # Lightning would count each optimizer's step; here a step is a batch, also when a phase is idle.
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    def _play(self, phase: Phase, batch: Batch) -> None:
        gradients = self._gradients[phase.player]
        for name, others in self._gradients.items():
            for parameter in others.parameters:
                parameter.requires_grad_(name == phase.player)
        gradients.zero()
        terms = phase.losses(batch)
        with torch.autocast(self.device.type, enabled=False):  # a backward pass follows its forward pass's types
            self.balancers[phase.name].backward(terms, gradients.parameters)  # type: ignore[operator]
        gradients.average()
        self._steppers[phase.player].step()
        # Autocast keeps the low-precision copies of the parameters that have just moved.
        torch.clear_autocast_cache()
        for name, value in (terms.losses | terms.observed).items():
            self.losses[f"{phase.name}/{name}"] = value.detach()

    @contextmanager
    def sampling(self) -> Iterator[Game]:
        """The Game ready to sample: averaged parameters, evaluation mode, no gradients."""
        average = self.average.applied() if self.average is not None else nullcontext()
        self.game.eval()
        try:
            with torch.no_grad(), average:
                yield self.game
        finally:
            self.game.train()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent inside is not training time."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what is still queued is training time
        start = time.perf_counter()
        try:
            yield
        finally:
            self.paused_seconds += time.perf_counter() - start

    @property
    def batch_size(self) -> int:
        """Images in the global batch."""
        return self.trainer.datamodule.batch_size  # type: ignore[attr-defined]

    @property
    def kimg(self) -> float:
        """Thousands of real images seen, all ranks together."""
        return self.global_step * self.batch_size / 1000

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the Game without its data, the average, and the newest figures."""
        checkpoint[KEY] = {
            "config": self.config,
            "spec": self.game.spec.to_dict(),
            "seed": self.seed,
            "figures": dict(self.figures),
            "average": self.average.state_dict() if self.average is not None else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the figures back, and let optimizers that are configured anew keep their new numbers.

        Without this a stored optimizer would bring its old learning rate with it.
        """
        stored = checkpoint[KEY]
        self.figures = dict(stored["figures"])
        before, now = ((config or {}).get("optimizers", {}) for config in (stored["config"], self.config))
        for index, (name, player) in enumerate(self.game.players.items()):
            if before.get(name) != now.get(name):
                fresh = self._optimizers[name](player.parameters()).param_groups
                groups = checkpoint["optimizer_states"][index]["param_groups"]
                for old, new in zip(groups, fresh, strict=True):
                    old |= {key: value for key, value in new.items() if key != "params"}


def _require_known(key: str, given: dict[str, Any], known: list[str], what: str) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"{key} names the {what} `{name}`; this Game's {what}s are {', '.join(known)}")


def check_precision(precision: str | int | None) -> None:
    """Let only the precisions through that this package is tested in.

    Raises:
        UserError: For every other one, with the reason.
    """
    if precision not in (None, 32, 64, "32", "32-true", "64", "64-true", "bf16", "bf16-mixed"):
        raise UserError(
            f"trainer.precision {precision} is not supported: 16 bits need loss scaling, which alternating players and "
            "second derivatives break, and averages stand still in pure bf16; use 32-true, bf16-mixed or 64-true"
        )
