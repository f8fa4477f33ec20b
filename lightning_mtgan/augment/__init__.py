"""Augmentations of what the discriminator sees: differentiable, on the device, the same on any number of ranks."""

from lightning_mtgan.augment.augmentation import Augmentation

__all__ = ["Augmentation"]
