"""Images turned by quarters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from lightning_mtgan.errors import UserError
from lightning_mtgan.self_supervision.transformation import Transformation


class Rotations(Transformation):
    """Each image turned counter-clockwise by 0, 90, 180 or 270 degrees, Gidaris et al. 2018 (arXiv:1803.07728).

    With quarter turns, images that are not square lie in the middle of a square canvas of side max(H, W), also those
    that are not turned. The zeros around them then tell quarter from half turns, and where H - W is odd all turns, so
    that the task is easier than it should be.

    Args:
        turns: How many turns K: 4 are quarter turns, 2 are half turns only, which need no canvas.

    Raises:
        UserError: If there are other than 2 or 4 turns.
    """

    name = "rotation"

    def __init__(self, turns: int = 4) -> None:
        if turns not in (2, 4):
            raise UserError(f"Rotations.turns is {turns}; use 4 for quarter turns, or 2 for half turns only")
        self.turns = turns

    @property
    def count(self) -> int:
        """The turns."""
        return self.turns

    def __call__(self, image: Tensor, index: Tensor) -> Tensor:
        """Images (N, C, H, W) turned: (N, C, max(H, W), max(H, W)), with half turns only (N, C, H, W)."""
        return self._turned(self._on_canvas(image), index)

    def undone(self, image: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
        """Turned back and cut out of the canvas."""
        whole = self._turned(image, -index % self.turns)
        top, left = ((side - length) // 2 for side, length in zip(image.shape[2:], size, strict=True))
        return whole[:, :, top : top + size[0], left : left + size[1]]

    def _on_canvas(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        if self.turns == 2 or height == width:
            return image
        down, right = (max(height, width) - length for length in (height, width))
        return pad(image, (right // 2, right - right // 2, down // 2, down - down // 2))

    def _turned(self, image: Tensor, index: Tensor) -> Tensor:
        # Two choices between whole images cost less than to gather pixels, and their gradients add nothing up.
        if self.turns == 2:
            return _chosen(index == 1, image.flip(2, 3), image)
        half = _chosen(index >= 2, image.flip(2, 3), image)
        return _chosen(index % 2 == 1, half.transpose(2, 3).flip(2), half)


def _chosen(which: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Of images (N, C, H, W) those of ``one`` where ``which``, bool (N,), is true, and those of ``other`` elsewhere."""
    return torch.where(which[:, None, None, None], one, other)
