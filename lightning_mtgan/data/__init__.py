"""Data sets: one data set, one file."""

from lightning_mtgan.data.digit_domains import Blended, DigitDomain, Domain, Edges, Negative, Plain
from lightning_mtgan.data.digits import Digits
from lightning_mtgan.data.domains import Domains
from lightning_mtgan.data.few_labels import FewLabels
from lightning_mtgan.data.image_folder import ImageFolder
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.photos import Photos
from lightning_mtgan.data.sampling import ClassBalanced, Sampling, Shuffled, TaskBalanced
from lightning_mtgan.data.shapes import Shapes
from lightning_mtgan.data.stacked_digits import StackedDigits
from lightning_mtgan.data.standard import (
    CIFAR10,
    CIFAR100,
    KMNIST,
    MNIST,
    STL10,
    SVHN,
    CelebA,
    FashionMNIST,
    StackedMNIST,
)
from lightning_mtgan.data.streams import Streamed

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "KMNIST",
    "MNIST",
    "STL10",
    "SVHN",
    "Blended",
    "CelebA",
    "ClassBalanced",
    "DigitDomain",
    "Digits",
    "Domain",
    "Domains",
    "Edges",
    "FashionMNIST",
    "FewLabels",
    "ImageDataModule",
    "ImageFolder",
    "IndexedImages",
    "Negative",
    "Photos",
    "Plain",
    "Sampling",
    "Shapes",
    "Shuffled",
    "StackedDigits",
    "StackedMNIST",
    "Streamed",
    "TaskBalanced",
]
