"""Data sets: one data set, one file."""

from lightning_mtgan.data.digits import Digits
from lightning_mtgan.data.resident import ResidentDataModule, ResidentImages
from lightning_mtgan.data.stacked_digits import StackedDigits

__all__ = ["Digits", "ResidentDataModule", "ResidentImages", "StackedDigits"]
