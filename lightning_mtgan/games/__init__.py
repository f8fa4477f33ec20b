"""One paper, one file, one Game."""

from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.games.mtgan import MTGAN

__all__ = ["MTGAN", "Game", "Phase"]
