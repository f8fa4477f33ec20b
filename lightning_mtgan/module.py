"""The one LightningModule: plays any Game, knows phases and optimizers, never losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from signal import SIGINT, Signals
from typing import Any, NoReturn

import lightning
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lightning_mtgan import distributed, vital_signs
from lightning_mtgan.averaging import ParameterAverage
from lightning_mtgan.balancing import Balancer, WeightedSum, Witness
from lightning_mtgan.carried import carried, take_up
from lightning_mtgan.checkpoint import FORMAT, KEY
from lightning_mtgan.compiling import compile_what_may_be, require_compiler
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import Interrupted, UserError
from lightning_mtgan.games import Game, Phase
from lightning_mtgan.networks import refuse_inexact_layers
from lightning_mtgan.stepping import BAD, Mover, correct_for_lazy_phases
from lightning_mtgan.types import Batch, DataSpec, part_of, scaled
from lightning_mtgan.watch import Watch


class MultiTaskGAN(lightning.LightningModule):
    """Plays a Game: in each step, each phase's player takes one step on that phase's losses.

    Gradients are averaged over ranks by one all-reduce of the moving player's gradients, so plain
    ``ddp`` works although no phase uses all parameters.

    Args:
        game: From the description of the data to the Game.
        spec: The description of the data; the command line takes it from the data.
        optimizers: An optimizer for each player, by the player's name. null takes one away that another
            configuration file has set.
        balancers: A Balancer for each phase, by the phase's name; a plain sum where none is given.
        schedulers: Learning-rate schedules by player, stepped once a batch; null takes one away.
        max_gradient_norms: Global norm that a player's averaged gradient may not exceed, by player.
        channels_last: Lay images and convolutions out with the channels last, which most devices
            multiply faster; the numbers are the same up to rounding.
        compiler: Backend of ``torch.compile`` for the networks that are differentiated once only, such as
            ``inductor``; null runs all of them as they are.
        max_skips: Steps in a row that a phase may leave out, because a loss or a gradient is not
            finite, before the run ends.
        seed: Seed of every random draw of the training.

    Raises:
        UserError: If optimizers, balancers, schedulers or norms do not fit the Game's players and phases.
    """

    def __init__(
        self,
        game: Callable[[DataSpec], Game],
        spec: DataSpec,
        optimizers: dict[str, OptimizerCallable | None],
        balancers: dict[str, Balancer | None] = {},  # noqa: B006 - never changed
        schedulers: dict[str, LRSchedulerCallable | None] = {},  # noqa: B006
        max_gradient_norms: dict[str, float | None] = {},  # noqa: B006
        channels_last: bool = False,
        compiler: str | None = None,
        max_skips: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.game = game(spec)
        self.game.check()
        self.seed = seed
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.game.to(memory_format=self.layout)  # type: ignore[call-overload]
        require_compiler(compiler)
        self.compiler = compiler
        self.phases = list(self.game.phases())
        self._optimizers, balancers = _given(optimizers), _given(balancers)
        self._schedulers, self.max_gradient_norms = _given(schedulers), _given(max_gradient_norms)
        players, phases = list(self.game.players), [phase.name for phase in self.phases]
        _require_known("model.optimizers", self._optimizers, players, "player")
        _require_known("model.schedulers", self._schedulers, players, "player")
        _require_known("model.max_gradient_norms", self.max_gradient_norms, players, "player")
        for name, norm in self.max_gradient_norms.items():
            if not norm > 0:
                raise UserError(f"model.max_gradient_norms.{name} is {norm}; it must be more than 0")
        if max_skips < 1:
            raise UserError(f"model.max_skips is {max_skips}; use 1 to end at the first, or more")
        _require_known("model.balancers", balancers, phases, "phase")
        for player in players:
            if player not in self._optimizers:
                raise UserError(f"model.optimizers has no optimizer for the player `{player}`; give it one")
        self.balancers = torch.nn.ModuleDict({name: balancers.get(name) or WeightedSum() for name in phases})
        for phase in self.phases:
            self.balancers[phase.name].require_valid(phase)  # type: ignore[operator]
        self.witness: Witness | None = None
        """Who looks on as gradients are made, or nobody."""
        self.losses: dict[str, Tensor] = {}
        """The last step's losses of this rank by ``phase/name``, on the device."""
        self.observed: dict[str, Tensor] = {}
        """Sums and weights (2,) of what this rank has observed since figures were last written, on the device."""
        self.watch = Watch(max_skips)
        """What all ranks know of the steps so far."""
        self.asked_to_stop: int | None = None
        """The signal that this process was sent."""
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
        self.ended: str | None = None
        """Why the training ends before its last step, or None."""
        self.is_sound = True
        """Whether the present state may become the best checkpoint."""
        self.owes_measurement = False
        """Whether a measurement of this step was left for the resumed run."""
        self.measures_anew = False
        """Whether a resumed run measures in another way, so that older figures do not compare."""
        self.config: dict[str, Any] | None = None
        """What built this module, as plain values; the command line fills it, checkpoints carry it."""

    def setup(self, stage: str) -> None:
        """Take the run's precision before a checkpoint is loaded; Lightning would round it first."""
        if str(self.trainer.precision).startswith("64"):
            self.double()

    def configure_optimizers(self) -> Any:
        """One optimizer for each player, in the order of the players."""
        optimizers = {name: self.new_optimizer(name) for name in self.game.players}
        schedulers = [schedule(optimizers[name]) for name, schedule in self._schedulers.items()]
        return list(optimizers.values()), schedulers

    def new_optimizer(self, player: str) -> torch.optim.Optimizer:
        """A new optimizer of a player, corrected for its lazy phases."""
        optimizer = self._optimizers[player](self.game.players[player].parameters())
        correct_for_lazy_phases(optimizer, [phase for phase in self.phases if phase.player == player])
        return optimizer

    def on_fit_start(self) -> None:
        """Take the gradients into our own hands: flat memory, no averaging by DDP."""
        check_precision(self.trainer.precision)
        refuse_inexact_layers(self.game, distributed.world_size())
        self._refuse_parts()
        for line in self.game.remarks():
            self.print(line)
        if self.compiler is not None:
            self.print(compile_what_may_be(self.game, self.compiler))
        if isinstance(wrapped := self.trainer.strategy.model, DistributedDataParallel):
            wrapped.require_backward_grad_sync = False
            wrapped.broadcast_buffers = False  # global statistics are the same on all ranks
        optimizers = self.optimizers(use_pl_optimizer=False)
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        self._movers = {
            name: Mover(player.parameters(), optimizer, self.max_gradient_norms.get(name))
            for (name, player), optimizer in zip(self.game.players.items(), optimizers, strict=True)
        }
        schedulers = self.lr_schedulers() or []
        self._ticks = schedulers if isinstance(schedulers, list) else [schedulers]

    def _refuse_parts(self) -> None:
        if self.trainer.datamodule.micro_batches == 1:  # type: ignore[attr-defined]
            return
        for name, balancer in self.balancers.items():
            if balancer.needs_whole_batch:
                raise UserError(
                    f"model.balancers.{name}: {type(balancer).__name__} weighs by the losses of the whole batch, which "
                    "micro-batches do not give; set data.micro_batches to 1, or take WeightedSum or ParameterJacobian"
                )

    @property
    def movers(self) -> dict[str, Mover]:
        """Who moves each player."""
        return self._movers

    @property
    def schedules(self) -> dict[str, Any]:
        """The learning-rate schedules by player, which are stepped once a batch."""
        return dict(zip(self._schedulers, self._ticks, strict=True))

    def as_configured(self, player: str) -> tuple[torch.optim.Optimizer, Any]:
        """A new optimizer of a player, and its schedule or None, as they were at the first step."""
        optimizer = self.new_optimizer(player)
        return optimizer, self._schedulers[player](optimizer) if player in self._schedulers else None

    def on_train_start(self) -> None:
        """The optimizers' state is restored by now."""
        for mover in self._movers.values():
            mover.settle()
        self.balancers.to(self.device)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """A run that had ended goes on."""
        self.ended = None

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One batch, images as uint8, through all due phases; counted as one step, whatever moved."""
        step = self.global_step
        batch = scaled(batch, self.dtype, self.layout)  # type: ignore[arg-type]
        draws = Draws(self.seed, step, "", distributed.rank(), distributed.world_size(), self.device, self.dtype)  # type: ignore[arg-type]
        self.watch.begin(step)
        for phase in self.phases:
            if step % phase.every == 0:
                self._play(phase, {**batch, "draws": draws.at(phase.name)})
        self.watch.end()
        for scheduler in self._ticks:
            scheduler.step()  # type: ignore[call-arg]
        # Lightning would count each optimizer's step; here a step is a batch, also when a phase is idle.
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    def _play(self, phase: Phase, batch: Batch) -> None:
        mover = self._movers[phase.player]
        for name, other in self._movers.items():
            for parameter in other.parameters:
                parameter.requires_grad_(name == phase.player)
        balancer: Balancer = self.balancers[phase.name]  # type: ignore[assignment]
        mover.begin()
        balancer.begin()
        parts = self.trainer.datamodule.micro_batches  # type: ignore[attr-defined]
        seen: list[dict[str, Tensor]] = []
        observed: list[dict[str, Tensor]] = []
        for part in range(parts):
            terms = phase.losses(part_of(batch, part, parts))
            terms.step, terms.seed = batch["draws"].step, batch["draws"].seed_of("balancer")
            with torch.autocast(self.device.type, enabled=False):  # a backward pass follows its forward pass's types
                if self.witness is not None:
                    self.witness.see(phase, terms, mover.parameters)
                balancer.backward(terms, mover.parameters)
            seen.append({name: value.detach() for name, value in terms.losses.items()})
            observed.append(terms.observed)
            del terms  # and with it the graph, before the next micro-batch makes its own
        losses = seen[0] if parts == 1 else {n: torch.stack([one[n] for one in seen]).mean(0) for n in seen[0]}
        with torch.autocast(self.device.type, enabled=False):
            balancer.finish(mover.parameters, parts)
        bad, notes = mover.finish(torch.stack(list(losses.values())), self.is_asked_to_stop(), parts)
        balancer.settle(notes[BAD] != 0)
        if self.witness is not None:
            self.witness.moved(phase, mover.parameters, balancer.in_use)
        self.watch.note(phase.name, losses, bad, notes)
        # Autocast keeps the low-precision copies of the parameters that have just moved.
        torch.clear_autocast_cache()
        for name, value in losses.items():
            self.losses[f"{phase.name}/{name}"] = value
        if self.global_step % vital_signs.EVERY == 0 and not phase.is_lazy:
            norm = mover.norm()  # lazy phases have gradients of another size
            observed.append({f"gradient_norm/{phase.player}": torch.stack([norm, torch.ones_like(norm)])})
        self._observe(observed)

    def _observe(self, parts: Sequence[Mapping[str, Tensor]]) -> None:
        """Add up what a phase has observed; numbers that are not finite count nothing."""
        for part in parts:
            for name, value in part.items():
                known = torch.where(value.isfinite().all(), value, torch.zeros_like(value)).float()
                before = self.observed.get(name)
                self.observed[name] = known if before is None else before.to(known) + known

    @contextmanager
    def sampling(self) -> Iterator[Game]:
        """The Game ready to sample: averaged parameters, evaluation mode, no gradients."""
        average = self.average.applied() if self.average is not None else nullcontext()
        with self.judging() as game, average:
            yield game

    @contextmanager
    def judging(self) -> Iterator[Game]:
        """The Game as it plays: its own parameters, evaluation mode, no gradients."""
        self.game.eval()
        try:
            with torch.no_grad():
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

    def is_asked_to_stop(self) -> bool:
        """Whether this process was sent a signal."""
        return self.asked_to_stop is not None

    def stop_in_order(self) -> NoReturn:
        """End a training whose state is saved, because a rank was asked to.

        Raises:
            Interrupted: Always.
        """
        who = Signals(self.asked_to_stop).name if self.asked_to_stop is not None else "a signal to another rank"
        raise Interrupted(
            f"stopped by {who} after step {self.global_step}; the state is saved: go on with --ckpt_path last",
            exit_code=130 if self.asked_to_stop == SIGINT else 0,
        )

    def common_state(self) -> dict[str, Tensor]:
        """Everything that must have the same bits on all ranks, by a name for people."""
        state = {f"game.{name}": tensor for name, tensor in self.game.state_dict().items()}
        state |= {f"balancers.{name}": tensor for name, tensor in self.balancers.state_dict().items()}
        if self.average is not None:
            state |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        for player, mover in self._movers.items():
            state |= {f"optimizers.{player}.{name}": tensor for name, tensor in mover.state(self.game.players[player])}
        return {name: tensor.to(self.device) for name, tensor in state.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the Game without its data, and what goes on with the run."""
        checkpoint[KEY] = {"format": FORMAT, **carried(self)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take that up again."""
        take_up(self, checkpoint)


def _given(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


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
