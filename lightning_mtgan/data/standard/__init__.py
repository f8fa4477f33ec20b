"""The standard image data sets, in the files in which they were published."""

from lightning_mtgan.data.standard.celeba import CelebA
from lightning_mtgan.data.standard.cifar import CIFAR10, CIFAR100
from lightning_mtgan.data.standard.mnist import KMNIST, MNIST, FashionMNIST
from lightning_mtgan.data.standard.stacked_mnist import StackedMNIST
from lightning_mtgan.data.standard.stl10 import STL10
from lightning_mtgan.data.standard.svhn import SVHN

__all__ = ["CIFAR10", "CIFAR100", "KMNIST", "MNIST", "STL10", "SVHN", "CelebA", "FashionMNIST", "StackedMNIST"]
