"""Corruptions: what is taken from images so that a generator learns to bring it back, each image by its own chances."""

from lightning_mtgan.corruptions.box_inpainting import BoxInpainting
from lightning_mtgan.corruptions.colourisation import Colourisation
from lightning_mtgan.corruptions.corruption import Corruption, Damaged
from lightning_mtgan.corruptions.deblurring import Deblurring
from lightning_mtgan.corruptions.denoising import Denoising
from lightning_mtgan.corruptions.free_form_inpainting import FreeFormInpainting
from lightning_mtgan.corruptions.inpainting import Inpainting
from lightning_mtgan.corruptions.jpeg_restoration import JPEGRestoration
from lightning_mtgan.corruptions.mixture import Mixture
from lightning_mtgan.corruptions.super_resolution import SuperResolution

__all__ = [
    "BoxInpainting",
    "Colourisation",
    "Corruption",
    "Damaged",
    "Deblurring",
    "Denoising",
    "FreeFormInpainting",
    "Inpainting",
    "JPEGRestoration",
    "Mixture",
    "SuperResolution",
]
