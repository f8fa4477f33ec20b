"""Fidelity while training, and the full protocol once at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_mtgan import distributed
from lightning_mtgan.callbacks.dashboard import keep_protocol, log_classes
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.callbacks.schedule import is_due
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation import (
    Abandoned,
    Evaluator,
    Extractor,
    Jury,
    Measures,
    Protocol,
    Similarity,
    in_short,
    measurement_of,
    require_enough,
)
from lightning_mtgan.module import MultiTaskGAN
from lightning_mtgan.types import TaskKind


class Fidelity(Callback):
    """Measures the averaged generator, and asks the discriminator about new images.

    FID, KID, MIND, Inception Score, precision and recall, density and coverage, modes, tasks, each
    class, copies; overfitting and calibration of the discriminator. All ranks generate and extract
    their share; one pass serves every figure.

    Args:
        evaluator: The independent judge of the tasks, whose features serve every other figure, too; null
            if there is none for this data.
        extractor: Another network for the features, for example
            ``lightning_mtgan.evaluation.Pretrained``; null takes the evaluator's.
        every_kimg: Thousands of images between two measurements; 0 for none but the last.
        periodic: Protocol of the measurements while training.
        final: Protocol of the last one; null repeats the periodic one.
        cache: Folder where the features of real images are kept between runs; null for nowhere.
        similarity: Also compares restored images with the truth, for Games that take images:
            ``lightning_mtgan.evaluation.Similarity``; null for PSNR, SSIM and colour alone.
    """

    def __init__(
        self,
        evaluator: Evaluator | None = None,
        extractor: Extractor | None = None,
        every_kimg: float = 25.0,
        periodic: Protocol = Protocol(),  # noqa: B008 - frozen
        final: Protocol | None = None,
        cache: str | None = "data/cache",
        similarity: Similarity | None = None,
    ) -> None:
        if every_kimg < 0:
            raise UserError(f"fidelity.every_kimg is {every_kimg}; use 0 for the last measurement only, or more")
        jury = Jury.of(evaluator, extractor)
        if jury is None:
            raise UserError(
                "fidelity has neither evaluator nor extractor; set fidelity.extractor to "
                "lightning_mtgan.evaluation.Pretrained, or fidelity.evaluator to the judge of your data"
            )
        self.jury, self.every_kimg = jury, every_kimg
        self.periodic, self.final = periodic, final or periodic
        self.similarity = similarity
        self._cache = Path(cache) if cache is not None else None
        self._measurement: Measures | None = None
        self._is_owed = False
        self._way_before: str | None = None

    def state_dict(self) -> dict[str, Any]:
        """Whether this step's measurement was abandoned because the run had to stop, and how it is measured."""
        return {"is_owed": self._is_owed, "way": self._way()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember what is owed."""
        self._is_owed, self._way_before = state_dict["is_owed"], state_dict["way"]

    def _way(self) -> str:
        extractor = self.jury.extractor
        return f"{extractor.get_name()} {extractor.checksum}, {self.periodic}"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a split that the data does not have, before anything trains."""
        splits = trainer.datamodule.splits  # type: ignore[attr-defined]
        for protocol in (self.periodic, self.final):
            if protocol.split not in splits:
                raise UserError(f"fidelity: the data has no split `{protocol.split}`; it has {', '.join(splits)}")
            if protocol.restored_split not in (*splits, "held_out"):  # which not all data have
                raise UserError(
                    f"fidelity: the data has no split `{protocol.restored_split}`; it has {', '.join(splits)}"
                )
            require_enough(len(trainer.datamodule.dataset(protocol.split)), protocol)  # type: ignore[attr-defined]
            if protocol.num_images <= protocol.num_neighbours:
                raise UserError(
                    f"fidelity: num_images is {protocol.num_images}, too few for {protocol.num_neighbours} neighbours; "
                    "raise it"
                )

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse networks that cannot judge these images, before anything trains."""
        assert isinstance(pl_module, MultiTaskGAN)
        data = trainer.datamodule  # type: ignore[attr-defined]
        image = data.dataset(self.final.split)[torch.arange(2)]["image"].to(pl_module.device)
        try:
            with torch.no_grad():
                _, shown = self.jury.to(pl_module.device)(image)
        except UserError:
            raise
        except Exception as error:
            names = " and ".join(
                dict.fromkeys(type(n).__name__ for n in (self.jury.extractor, self.jury.evaluator) if n)
            )
            raise UserError(
                f"fidelity: {names} cannot judge images of shape {tuple(image.shape[1:])} "
                f"({' '.join(str(error).split())[:120]}); name one made for this data"
            ) from error
        self._require_judgement(shown, pl_module)
        if self._way_before not in (None, self._way()):
            pl_module.measures_anew = True
            if trainer.is_global_zero:
                print("resuming with other measurements; the best FID and the guard's memory begin anew")
        leaves_traces = run_folder(trainer) is not None
        self._measurement = measurement_of(
            self.jury, data, pl_module.game, self._cache if leaves_traces else None, self.similarity
        )

    def _require_judgement(self, shown: Mapping[str, Any], module: MultiTaskGAN) -> None:
        """An evaluator of other tasks would leave all of them unjudged, and nobody would notice."""
        asked = [task.name for task in module.game.spec.tasks if task.kind is not TaskKind.CONSTRAINT]
        if self.jury.evaluator is not None and asked and not set(asked) & set(shown):
            raise UserError(
                f"fidelity.evaluator judges {', '.join(shown)}, but the tasks of the data are {', '.join(asked)}; name "
                "one made for this data, or null"
            )

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
            self._is_owed = module.watch.stop = module.owes_measurement = True
        else:
            self._is_owed = module.owes_measurement = False
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
        measurement = self._measurement
        assert measurement is not None
        seed, leave = seed_of("fidelity", protocol.seed), module.is_asked_to_stop
        with module.paused():
            with module.sampling():
                fake = measurement.generate(protocol, seed, leave)
                restorations = measurement.restorations(protocol, seed, leave)
            real, known = measurement.real_images(protocol, leave)
            with module.judging() as game:
                opinions = measurement.opinions(game, protocol, seed, leave)
            # One rank's arithmetic for all: a last bit of difference must not split their decisions.
            figures, facts = distributed.broadcast_object(
                measurement.figures(fake, real, known, opinions, protocol, restorations)
            )
        module.figures, module.protocol = figures, facts
        for logger in trainer.loggers:
            row: dict[str, Any] = {**figures, "protocol": in_short(facts), "kimg": module.kimg}
            logger.log_metrics(row, step=module.global_step)
        keep_protocol(trainer, facts)
        log_classes(trainer, figures, module.global_step)


def measures_every(trainer: Trainer) -> float:
    """Thousands of images between two measurements of a training; 0 for none."""
    found = [one.every_kimg for one in trainer.callbacks if isinstance(one, Fidelity)]  # type: ignore[attr-defined]
    return found[0] if found else 0.0
