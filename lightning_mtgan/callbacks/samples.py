"""Pictures of the same latents over time, one row for each condition."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL.Image import Image

from lightning_mtgan.callbacks.dashboard import log_picture
from lightning_mtgan.callbacks.domain_pictures import domain_sheet
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.callbacks.restored_pictures import restored_sheet
from lightning_mtgan.callbacks.schedule import is_due
from lightning_mtgan.callbacks.translation_pictures import translation_sheet
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.games import DomainGame, Game, ImageGame, TranslationGame
from lightning_mtgan.module import MultiTaskGAN
from lightning_mtgan.pictures import beside_its_channels, save, sheet
from lightning_mtgan.types import TaskKind


class Samples(Callback):
    """Writes ``samples/kimg_*.png``: fixed latents in columns, fixed conditions in rows.

    Row r asks each classification task for one class, a different one in each row and for each
    task; where tasks depend on each other, only the first one, and the others are drawn to agree. Of a Game that
    takes images, row r shows one corruption: held-out images as the generator gets them, restored, and as they were.
    Of a Game of several domains, row r shows one domain; of one that translates, held-out images of one domain, each
    followed by its translations.

    Args:
        every_kimg: Thousands of images between two pictures; 0 for none but the last.
        num_columns: Latents, that is images in a row; three for each image that is restored, and
            one more than there are domains for each that is translated.
        num_rows: Conditions, that is rows; of restored images there is one for each corruption.
        show_channels: Also show red, green and blue of each image side by side, for data whose
            channels are images of their own.
    """

    def __init__(
        self, every_kimg: float = 20.0, num_columns: int = 8, num_rows: int = 10, show_channels: bool = False
    ) -> None:
        if every_kimg < 0 or num_columns < 1 or num_rows < 1:
            raise UserError(
                f"samples.every_kimg {every_kimg}, samples.num_columns {num_columns} and samples.num_rows {num_rows} "
                "must be at least 0, 1 and 1"
            )
        self.every_kimg, self.num_columns, self.num_rows = every_kimg, num_columns, num_rows
        self.show_channels = show_channels

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Draw a sheet when it is due."""
        assert isinstance(pl_module, MultiTaskGAN)
        if is_due(pl_module, self.every_kimg):
            self.draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last sheet."""
        assert isinstance(pl_module, MultiTaskGAN)
        if not is_due(pl_module, self.every_kimg):
            self.draw(trainer, pl_module)

    def draw(self, trainer: Trainer, module: MultiTaskGAN) -> None:
        """Write one sheet, on the first rank alone."""
        folder = run_folder(trainer)
        if not trainer.is_global_zero or folder is None:
            return
        with module.paused(), module.sampling() as game:
            if isinstance(game, ImageGame):
                picture = restored_sheet(game, self._held_out(trainer.datamodule, 3))  # type: ignore[attr-defined]
            elif isinstance(game, TranslationGame):
                every = trainer.datamodule.domains.items()  # type: ignore[attr-defined]
                picture = translation_sheet(game, {n: self._held_out(one, 1 + len(every)) for n, one in every})
            elif isinstance(game, DomainGame):
                picture = domain_sheet(game, self.num_columns)
            else:
                picture = self._sheet(game)
            save(picture, folder / "samples" / f"kimg_{module.kimg:09.3f}.png")
            log_picture(trainer, "samples", picture, module.global_step)

    def _held_out(self, data: Any, num_columns: int) -> torch.Tensor:
        """The images that are taken for every picture, uint8 (N, C, H, W): each fills so many columns."""
        splits = [
            split for split in ("regions", "held_out", "reference") if split in data.splits and len(data.dataset(split))
        ]
        images = data.dataset(splits[0])
        return images[torch.arange(min(max(1, self.num_columns // num_columns), len(images)))]["image"]

    def _sheet(self, game: Game) -> Image:
        conditions, captions = self.conditions(game)
        generator = torch.Generator(game.device).manual_seed(seed_of("samples"))
        latents = generator.get_state()
        rows = []
        for row in range(self.num_rows):
            generator.set_state(latents)
            wanted = {n: t[row].expand(self.num_columns, *t[row].shape) for n, t in conditions.items()}
            rows.append(game.sample(self.num_columns, wanted, generator))
        images = torch.cat(rows)
        return sheet(beside_its_channels(images) if self.show_channels else images, self.num_columns, captions)

    def conditions(self, game: Game) -> tuple[dict[str, torch.Tensor], list[str]]:
        """Fixed targets by task, one for each row, and the rows' captions."""
        generator = torch.Generator(game.device).manual_seed(seed_of("sample conditions"))
        rows = torch.arange(self.num_rows, device=game.device)
        classes = {
            task.name: (rows + 3 * index) % task.size
            for index, task in enumerate(game.spec.tasks)
            if task.kind is TaskKind.CLASSIFICATION
        }
        if game.spec.joint is not None:  # the other tasks follow from the first
            classes = dict(list(classes.items())[:1])
        wanted = game.draw_conditions(self.num_rows, generator, classes)
        captions = [
            "\n".join(task.describe(wanted[name][row]) for name, task in game.tasks.items())
            for row in range(self.num_rows)
        ]
        return wanted, captions
