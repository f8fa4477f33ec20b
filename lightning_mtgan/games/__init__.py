"""One paper, one file, one Game."""

from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.games.mtgan import MTGAN
from lightning_mtgan.games.vae import VAE

__all__ = ["MTGAN", "VAE", "Game", "Phase"]
