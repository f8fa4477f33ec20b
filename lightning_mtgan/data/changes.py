"""Which changes of an image make targets false that several data sets have."""

from __future__ import annotations

from typing import Literal

from lightning_mtgan.types import Change

ChangeName = Literal["colour", "shift", "flip", "rotation", "scale", "cutout"]
"""The values of ``Change``, as a person names them in ``data.spoiled_by``."""
SPOIL_SIGNS = frozenset({Change.FLIP, Change.ROTATION})
"""A mirrored or turned digit or letter is another sign, or none."""
SPOIL_PLACES = frozenset({Change.SHIFT, Change.FLIP, Change.ROTATION, Change.SCALE})
"""What lay at one place lies at another."""
SPOIL_MAPS = SPOIL_PLACES | {Change.CUTOUT}
"""A map beside an image is not changed with it."""
