"""Penalties and regularisers that a Game takes as a list: one method, one file."""

from lightning_mtgan.regularizers.gradient_norms import R1, R2
from lightning_mtgan.regularizers.play import Pass, Play, Seen
from lightning_mtgan.regularizers.regularizer import Regularizer

__all__ = ["R1", "R2", "Pass", "Play", "Regularizer", "Seen"]
