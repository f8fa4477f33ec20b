"""Corruptions: what is taken from images so that a generator learns to bring it back, each image by its own chances."""

from lightning_mtgan.corruptions.box_inpainting import BoxInpainting
from lightning_mtgan.corruptions.colour_cast import ColourCast
from lightning_mtgan.corruptions.colourisation import Colourisation
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.deblurring import Deblurring
from lightning_mtgan.corruptions.degradations import Degradations
from lightning_mtgan.corruptions.denoising import Denoising
from lightning_mtgan.corruptions.free_form_inpainting import FreeFormInpainting
from lightning_mtgan.corruptions.inpainting import Inpainting
from lightning_mtgan.corruptions.jpeg_restoration import JPEGRestoration
from lightning_mtgan.corruptions.low_contrast import LowContrast
from lightning_mtgan.corruptions.low_light import LowLight
from lightning_mtgan.corruptions.mixture import Mixture
from lightning_mtgan.corruptions.super_resolution import SuperResolution

__all__ = [
    "BoxInpainting",
    "ColourCast",
    "Colourisation",
    "Corruption",
    "Damaged",
    "Deblurring",
    "Degradations",
    "Denoising",
    "FreeFormInpainting",
    "Inpainting",
    "JPEGRestoration",
    "LowContrast",
    "LowLight",
    "Mixture",
    "SuperResolution",
]
