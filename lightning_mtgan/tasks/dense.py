"""A map beside the image: a mask, a depth, an edge map."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits

from lightning_mtgan.errors import UserError
from lightning_mtgan.image_files import CannotDecode, Format, decode, header
from lightning_mtgan.tasks.task import Task
from lightning_mtgan.types import is_known

CODE_RESOLUTION = 8
"""Height and width of the coarse map that an embedding is given."""


class Dense(Task):
    """Maps with values from 0 to 255, by binary cross-entropy of their share of 255; -1 where a pixel is unknown.

    For a mask that is the usual loss; for a depth or another grey map it is smallest at the map itself.
    """

    @property
    def head_size(self) -> int:
        """Pixels of a map."""
        return self.spec.size * self.spec.resolution**2

    @property
    def code_size(self) -> int:
        """Pixels of the coarse map."""
        return self.spec.size * min(self.spec.resolution, CODE_RESOLUTION) ** 2

    def code(self, target: Tensor) -> Tensor:
        """A coarse map in [-1, 1], flat: (N, code_size); single unknown pixels are taken for the middle value."""
        share = torch.where(target >= 0, target / 127.5 - 1, 0.0)
        coarse = adaptive_avg_pool2d(share, min(self.spec.resolution, CODE_RESOLUTION)).flatten(1)
        return coarse if self.spec.is_complete else coarse.masked_fill(~is_known(target)[:, None], torch.nan)

    def is_known(self, target: Tensor) -> Tensor:
        """Each pixel by itself, (N, head_size)."""
        return (target >= 0).flatten(1)

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of logits (N, head_size) against maps (N, size, R, R), each pixel by itself."""
        share = target.flatten(1).clamp(min=0).to(prediction.dtype) / 255
        return binary_cross_entropy_with_logits(prediction, share, reduction="none")

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """No map can be drawn from numbers alone: the data gives whole rows (``DataSpec.joint``)."""
        raise UserError(f"task `{self.name}` is a map; its data must give maps to draw from (DataSpec.joint)")

    def parse(self, text: str) -> Tensor:
        """The map in an image file, read as ``ImageFolder`` reads it: the middle square, at the task's resolution."""
        if self.spec.size not in (1, 3):
            raise UserError(f"condition {self.name}={text}: no file holds maps of {self.spec.size} channels")
        try:
            with Path(text).expanduser().open("rb") as file:
                header(file)
                file.seek(0)
                pixels = decode(file, Format(self.spec.resolution, self.spec.size, is_map=True))
        except (OSError, CannotDecode) as error:
            raise UserError(
                f"condition {self.name}={text}: task `{self.name}` takes the path of an image file ({error})"
            ) from error
        return torch.from_numpy(pixels).to(torch.int16)

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Mean absolute error of all pixels, as a share of 255."""
        return f"task_error/{self.name}", (prediction.float() - target).abs()[
            self._counts(target)
        ].double().mean().item() / 255

    def in_cell(self, target: Tensor) -> str:
        """How much of the map is filled: a table cannot hold it."""
        return self.in_words(target)

    def in_words(self, target: Tensor) -> str:
        """How much of the map is filled."""
        return f"{target.clamp(min=0).float().mean().item() / 255:.0%}"
