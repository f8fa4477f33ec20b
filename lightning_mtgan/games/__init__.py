"""One paper, one file, one Game."""

from lightning_mtgan.games.coupled import CoupledGame
from lightning_mtgan.games.domain_game import DomainGame, DomainView
from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.games.joint_enhancement import JointEnhancement
from lightning_mtgan.games.mtgan import MTGAN
from lightning_mtgan.games.mts4gan import MTS4GAN
from lightning_mtgan.games.shared_representation import SharedRepresentationGame
from lightning_mtgan.games.translation import TranslationGame
from lightning_mtgan.games.unpaired_enhancement import UnpairedEnhancement
from lightning_mtgan.games.vae import VAE

__all__ = [
    "MTGAN",
    "MTS4GAN",
    "VAE",
    "CoupledGame",
    "DomainGame",
    "DomainView",
    "Game",
    "ImageGame",
    "JointEnhancement",
    "Phase",
    "SharedRepresentationGame",
    "TranslationGame",
    "UnpairedEnhancement",
]
