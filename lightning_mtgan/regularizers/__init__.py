"""Penalties and regularisers that a Game takes as a list: one method, one file."""

from lightning_mtgan.regularizers.play import Pass, Play, Seen
from lightning_mtgan.regularizers.regularizer import Regularizer

__all__ = ["Pass", "Play", "Regularizer", "Seen"]
