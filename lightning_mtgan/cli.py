"""The command line of training: LightningCLI with this project's defaults and its error contract."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentError
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from lightning_mtgan import callbacks, config_files, processes, resume
from lightning_mtgan.callbacks.dashboard import WandbMode, finish, record_config, wandb_logger
from lightning_mtgan.callbacks.folder import locked, new_folder
from lightning_mtgan.callbacks.metrics_file import MetricsFile
from lightning_mtgan.errors import Interrupted, RunFailed, UserError
from lightning_mtgan.messages import parser_sentence
from lightning_mtgan.module import MultiTaskGAN, check_precision
from lightning_mtgan.reporting import quiet_lightning, user_errors

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_CONFIG = ROOT / "conf" / "default.yaml"
GROUPS: dict[str, type] = {
    "ema": callbacks.Averaging,
    "samples": callbacks.Samples,
    "fidelity": callbacks.Fidelity,
    "convergence": callbacks.Convergence,
    "guard": callbacks.CollapseGuard,
    "conflicts": callbacks.Conflicts,
    "checkpoints": callbacks.Checkpoints,
}
"""Callbacks that every run has, each with its own group of keys."""


class TrainingCommand(LightningCLI):
    """``python train.py``: parse, build, train."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        super().__init__(
            MultiTaskGAN,
            LightningDataModule,
            subclass_mode_data=True,
            seed_everything_default=0,
            trainer_defaults={"use_distributed_sampler": False},
            save_config_callback=SaveConfigCallback,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={
                "prog": "train.py",
                "description": "Train a multi-task GAN. Without arguments: the job of conf/default.yaml.",
                "usage": "python train.py [--config FILE ...] [--KEY VALUE ...]",
                "allow_abbrev": False,
                "exit_on_error": False,
            },
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # checkpoints carry our own description of the Game
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The run's keys, the groups of the callbacks, and what follows from what."""
        run = parser.add_argument_group("The run")
        run.add_argument(
            "--name", type=str | None, help="name of the run's folder; default: name of the last config file"
        )
        run.add_argument("--runs", type=str, default="runs", help="folder of all runs")
        run.add_argument(
            "--ckpt_path",
            type=str | None,
            help="checkpoint to resume: a path; `last` for the newest run; `auto`, which begins a run if there is none",
        )
        run.add_argument(
            "--collective_timeout",
            type=float,
            default=600.0,
            help="seconds that ranks wait for each other before the run ends; more than rank 0 needs to measure alone",
        )
        run.add_argument("--wandb", type=WandbMode, default="auto", help="Weights & Biases: auto, offline or off")
        for group, callback in GROUPS.items():
            parser.add_lightning_class_args(callback, group)  # type: ignore[arg-type]
        parser.link_arguments("seed_everything", "model.seed")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        parser.link_arguments("data.spec", "model.spec", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments that ``main`` was given, on top of the config files."""
        files, keys, others = config_files.split(self._arguments)
        base = [DEFAULT_CONFIG] if DEFAULT_CONFIG.exists() else []  # not there when the package alone is installed
        merged = config_files.merged([*base, *files], keys)
        launched = processes.as_launched(os.environ)
        merged = config_files.overlay(merged, launched)
        try:
            self.config = parser.parse_args(["--config", json.dumps(merged), *others])
        except ArgumentError as error:
            known = [
                *parser.get_defaults().keys(),
                *resume.flatten(config_files.merged([*base, *files], {})),
            ]
            raise UserError(parser_sentence(error.message, [key.replace(".init_args", "") for key in known])) from error
        check_precision(self.config.trainer.precision)
        if self.config.seed_everything is True or self.config.seed_everything < 0:
            raise UserError(f"seed_everything is {self.config.seed_everything}; give a whole number from 0 on")
        for key in ("devices", "num_nodes"):
            given, started = str(self.config.trainer[key]), launched.get("trainer", {}).get(key)
            if started is not None and given != str(started):
                raise UserError(f"trainer.{key} is {given}, but torchrun has started {started}; leave the key away")
        if not 0 < self.config.collective_timeout < 1e9:
            raise UserError(f"collective_timeout is {self.config.collective_timeout}; give seconds, more than 0")
        for key, instead in (
            ("accumulate_grad_batches", "--data.micro_batches, which splits a batch"),
            ("gradient_clip_val", "--model.max_gradient_norms, one for each player"),
            ("sync_batchnorm", "lightning_mtgan.networks.GlobalBatchNorm in the networks"),
        ):
            if self.config.trainer.get(key) not in (None, False, 1, 0):
                raise UserError(f"trainer.{key} is not for networks that move in turn; use {instead}")
        self.runs = Path(self.config.runs)
        self.name = self.config.name or (files[-1] if files else DEFAULT_CONFIG).stem
        self.config.name = self.name  # so that the run's own config.yaml repeats it under the same name

    def before_instantiate_classes(self) -> None:
        """Everything that can be refused without building a network is refused here."""
        self.plain = self._plain_config()
        asked = self.config.ckpt_path
        self.resume = resume.find(asked, self.runs, self.name) if asked is not None else None
        if self.resume is not None:
            self._check_resume(self.resume)
        if asked == "auto" or (self.resume is not None and self.resume.folder is not None):
            self.config.ckpt_path = None  # the run's own config.yaml repeats it from its beginning
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            probe = self.runs / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"runs folder {self.runs} cannot be written ({error.strerror}); set --runs to another"
            ) from error

    def _check_resume(self, found: resume.Resume) -> None:
        for line in [found.notice, *resume.compare(found.config, self.plain, found.path)]:
            if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                print(line)
        last = self.config.trainer.max_steps
        is_over = last == found.step or found.ended is not None
        if is_over and found.is_complete and self.config.ckpt_path == "auto":
            why = f" ({found.ended})" if found.ended else ""
            raise Interrupted(f"{found.folder} is complete at step {found.step}{why}; nothing to do", exit_code=0)
        if 0 <= last < found.step or (last == found.step and found.is_complete):
            raise UserError(f"checkpoint {found.path} is at step {found.step}; raise --trainer.max_steps above it")
        if found.folder is not None:
            self.save_config_kwargs["config_filename"] = f"config_from_{found.step}.yaml"

    def _plain_config(self) -> dict[str, Any]:
        """What a checkpoint carries of the configuration, as plain values."""
        text = self.parser.dump(self.config, format="yaml", skip_none=False)  # null may stand against a default
        every = config_files.parse(text)
        model = every["model"]
        keys = ("optimizers", "balancers", "schedulers", "max_gradient_norms", "channels_last", "compiler")
        return {
            "game": model["game"],
            "data": every["data"],
            "seed": every["seed_everything"],
            "fidelity": every["fidelity"],
            "ema": every["ema"],
            "trainer": {"precision": every["trainer"].get("precision") or "32-true"},
            **{key: model.get(key) for key in keys},
        }

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A trainer with this project's callbacks."""
        self.model.config = self.plain
        if self.config.trainer.logger is None:
            kwargs["logger"] = False  # ours come once nothing can be refused any more
        elif self.config.trainer.logger is False:
            self.save_config_callback = None  # it would write into the current folder
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except ValueError as error:
            raise UserError(f"trainer: {error}") from error
        processes.require_ddp(trainer)
        return trainer

    def _instantiate_trainer(self, config: dict[str, Any], callbacks_: list[Any]) -> Trainer:
        waits = processes.CollectiveTimeout(self.config.collective_timeout)
        guards = [one for one in callbacks_ if isinstance(one, callbacks.CollapseGuard)]
        others = [one for one in callbacks_ if not isinstance(one, callbacks.CollapseGuard)]
        ours = [waits, callbacks.StopSignals(), *others, callbacks.Record(), *guards]  # it judges what others measured
        if config["enable_progress_bar"] is not False:
            ours.append(callbacks.Progress())
        return super()._instantiate_trainer(config, [*ours, callbacks.Summary(), callbacks.PageWriter()])

    def train(self) -> None:
        """Train to the end.

        Raises:
            UserError: If the ranks cannot divide the batch; said before any of them is started.
        """
        self._check_division()
        self._check_data()
        with ExitStack() as run:
            if self.config.trainer.logger is None and not self.config.trainer.fast_dev_run:
                self.trainer.loggers = self._loggers(run)
                record_config(self.trainer, config_files.parse(self.parser.dump(self.config, skip_none=False)))
            self._fit()

    def _fit(self) -> None:
        path = str(self.resume.path) if self.resume is not None else None
        found, last = self.resume, self.config.trainer.max_steps
        if found is not None and (found.step == last or (found.ended is not None and not found.is_complete)):
            processes.only_finish(self.trainer)
        with processes.ending_together(self.trainer):
            self.trainer.fit(self.model, self.datamodule, ckpt_path=path, weights_only=True)

    def _check_division(self) -> None:
        data, parts, ranks = self.datamodule, self.datamodule.micro_batches, self.trainer.world_size
        together = self.model.game.images_together
        sizes = {f"batch_sizes.{name}": size for name, size in getattr(data, "batch_sizes", {}).items()}
        for key, batch_size in {"batch_size": data.batch_size, **sizes}.items():
            if batch_size % (ranks * parts * together) == 0:
                continue
            split = f"{ranks} processes" + (f" of {parts} micro-batches each" if parts > 1 else "")
            split += f" in packs of {together} images" if together > 1 else ""
            multiple = ranks * parts * together
            raise UserError(f"data.{key} {batch_size} cannot be divided by {split}; use a multiple of {multiple}")

    def _check_data(self) -> None:
        """Other images are refused before a network is found not to fit them."""
        state = self.resume.states.get(type(self.datamodule).__qualname__) if self.resume is not None else None
        if state is not None:
            self.datamodule.trainer = self.trainer
            self.datamodule.load_state_dict(state)

    def _loggers(self, run: ExitStack) -> list[Any]:
        """Where figures go: the run's own folder, and W&B.

        Raises:
            UserError: If the folder cannot be written, or another process trains in it.
        """
        folder, goes_on = self.runs / self.name, self.resume if self.resume and self.resume.folder else None
        try:
            if goes_on is not None and goes_on.folder is not None:
                folder = goes_on.folder
            elif rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                folder = new_folder(folder)
            if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                busy = f"{folder} is being trained by another process; wait for it, stop it, or use another --name"
                run.enter_context(locked(folder, busy))
            table = MetricsFile(folder, keep=goes_on.num_rows if goes_on is not None else 0)
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise UserError(f"{error.filename} cannot be written ({error.strerror}); set --runs to another") from error
        wandb = wandb_logger(self.config.wandb, self.name, folder, goes_on.wandb_id if goes_on is not None else None)
        if wandb is None:
            return [table]
        run.callback(finish, wandb)
        return [table, wandb]


class DataCommand(TrainingCommand):
    """Parses what ``train.py`` takes, and builds the data alone."""

    def before_instantiate_classes(self) -> None:
        """Nothing is trained, so nothing is resumed or written."""

    def instantiate_classes(self) -> None:
        """The data module, with the seed that a training would give it."""
        every = config_files.parse(self.parser.dump(self.config, format="yaml"))
        arguments = {**every["data"].get("init_args", {}), "seed": every["seed_everything"]}
        self.datamodule = build(LightningDataModule, {**every["data"], "init_args": arguments})


def build(kind: type, config: dict[str, Any]) -> Any:
    """An object of a class or of one derived from it, from a configuration of plain values."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, "it")
    return parser.instantiate_classes(parser.parse_object({"it": config})).it


def main(arguments: Sequence[str] | None = None) -> int:
    """``train.py``: returns the exit code, 2 for a mistake in the input, 1 for a run that cannot go on.

    Args:
        arguments: Command line; the process's own when None.
    """
    try:
        with user_errors():
            quiet_lightning()
            TrainingCommand(sys.argv[1:] if arguments is None else arguments).train()
            return 0
        return 2
    except Interrupted as stop:
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            print(stop)
        return stop.exit_code
    except RunFailed as failure:
        print(f"error: {' '.join(str(failure).split())}", file=sys.stderr)
        return 1
