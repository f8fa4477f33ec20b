"""From an image of one domain to what it would be in the others: by the latent that gives it."""

from lightning_mtgan.translating.latent_encoder import LatentEncoder
from lightning_mtgan.translating.latent_search import LatentSearch
from lightning_mtgan.translating.mapper import Mapper, translate

__all__ = ["LatentEncoder", "LatentSearch", "Mapper", "translate"]
