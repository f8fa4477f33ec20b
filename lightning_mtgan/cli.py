"""The command line of training: LightningCLI with this project's defaults and its error contract."""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from lightning_mtgan import callbacks, checkpoint, config_files
from lightning_mtgan.callbacks.dashboard import WandbMode, wandb_logger
from lightning_mtgan.errors import UserError
from lightning_mtgan.messages import out_of_memory, parser_sentence, user_error_in
from lightning_mtgan.module import MultiTaskGAN, check_precision

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_CONFIG = ROOT / "conf" / "default.yaml"
GROUPS: dict[str, type] = {
    "ema": callbacks.Averaging,
    "samples": callbacks.Samples,
    "fidelity": callbacks.Fidelity,
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
            "--ckpt_path", type=str | None, help="checkpoint to resume: a path, or `last` for the newest run"
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
        try:
            self.config = parser.parse_args(["--config", json.dumps(merged), *others])
        except ArgumentError as error:
            known = [
                *parser.get_defaults().keys(),
                *checkpoint.flatten(config_files.merged([*base, *files], {})),
            ]
            raise UserError(parser_sentence(error.message, [key.replace(".init_args", "") for key in known])) from error
        check_precision(self.config.trainer.precision)
        if self.config.seed_everything is True or self.config.seed_everything < 0:
            raise UserError(f"seed_everything is {self.config.seed_everything}; give a whole number from 0 on")
        self.runs = Path(self.config.runs)
        self.name = self.config.name or (files[-1] if files else DEFAULT_CONFIG).stem
        self.config.name = self.name  # so that the run's own config.yaml repeats it under the same name
        self.resume_from = self._resume_from()

    def _resume_from(self) -> Path | None:
        path = self.config.ckpt_path
        if path is None:
            return None
        return checkpoint.newest(self.runs, self.name) if path == "last" else Path(path)

    def before_instantiate_classes(self) -> None:
        """Everything that can be refused without building a network is refused here."""
        self.plain = self._plain_config()
        if self.resume_from is not None:
            content = checkpoint.read(self.resume_from)
            for line in checkpoint.compare(content[checkpoint.KEY]["config"] or {}, self.plain, self.resume_from):
                print(line)
            step, last = content["global_step"], self.config.trainer.max_steps
            if 0 <= last <= step:
                raise UserError(f"checkpoint {self.resume_from} is at step {step}; raise --trainer.max_steps above it")
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            probe = self.runs / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"runs folder {self.runs} cannot be written ({error.strerror}); set --runs to another"
            ) from error

    def _plain_config(self) -> dict[str, Any]:
        """What a checkpoint carries of the configuration, as plain values."""
        text = self.parser.dump(self.config, format="yaml")
        every = config_files.parse(text)
        model = every["model"]
        keys = ("optimizers", "balancers", "schedulers")
        return {
            "game": model["game"],
            "data": every["data"],
            "seed": every["seed_everything"],
            "fidelity": every["fidelity"],
            "ema": every["ema"],
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
            return super().instantiate_trainer(**kwargs)
        except ValueError as error:
            raise UserError(f"trainer: {error}") from error

    def _instantiate_trainer(self, config: dict[str, Any], callbacks_: list[Any]) -> Trainer:
        ours = [*callbacks_, callbacks.Record()]
        if config["enable_progress_bar"] is not False:
            ours.append(callbacks.Progress())
        return super()._instantiate_trainer(config, [*ours, callbacks.Summary()])

    def train(self) -> None:
        """Train to the end.

        Raises:
            UserError: If the ranks cannot divide the batch; said before any of them is started.
        """
        batch_size, ranks = self.datamodule.batch_size, self.trainer.world_size
        if batch_size % ranks:
            raise UserError(
                f"data.batch_size {batch_size} cannot be divided by {ranks} processes; use a multiple of {ranks}"
            )
        if self.config.trainer.logger is None and not self.config.trainer.fast_dev_run:
            csv = CSVLogger(self.runs, self.name, flush_logs_every_n_steps=1)
            _ = csv.experiment  # makes the run's folder, which W&B would otherwise find first
            wandb = wandb_logger(self.config.wandb, self.name, Path(csv.log_dir))
            self.trainer.loggers = [csv, wandb] if wandb is not None else [csv]
        resume = str(self.resume_from) if self.resume_from is not None else None
        self.trainer.fit(self.model, self.datamodule, ckpt_path=resume, weights_only=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """``train.py``: returns the exit code, 2 for a mistake in the input.

    Args:
        arguments: Command line; the process's own when None.
    """
    with user_errors():
        quiet_lightning()
        TrainingCommand(sys.argv[1:] if arguments is None else arguments).train()
        return 0
    return 2


@contextmanager
def user_errors() -> Iterator[None]:
    """A user's mistake becomes one line on standard error; the block then ends."""
    try:
        yield
    except Exception as error:
        mistake = user_error_in(error)
        if mistake is not None or isinstance(error, MisconfigurationException):
            sentence = " ".join(str(mistake or error).split())
        elif isinstance(error, MemoryError | torch.OutOfMemoryError) or _is_out_of_memory(error):
            sentence = out_of_memory(str(error))
        else:
            raise
        print(f"error: {sentence}", file=sys.stderr)


def _is_out_of_memory(error: Exception) -> bool:
    """Torch reports a failed allocation on the CPU, and in CUDA's libraries, as a plain RuntimeError."""
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def quiet_lightning() -> None:
    """Lightning's greetings and hints that do not apply here stay out of the way."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in (
        "The 'train_dataloader' does not have many workers",  # images are in memory; workers only cost
        "You're resuming from a checkpoint that ended before the epoch ended",  # our order starts at the step
        "Starting from v1.9.0, `tensorboardX` has been removed",
        "GPU available but not used",
        "`isinstance(treespec, LeafSpec)` is deprecated",  # lightning 2.6 under torch 2.15
    ):
        warnings.filterwarnings("ignore", message=f".*{re.escape(message)}.*")
