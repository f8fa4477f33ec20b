"""Which images are seen how often: one strategy, one class."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.order import BalancedStream, ShuffledStream, Stream
from lightning_mtgan.errors import UserError


class Sampling(ABC):
    """From a data set to the endless order in which its images are seen."""

    @abstractmethod
    def stream(self, images: IndexedImages, seed: int) -> Stream:
        """The order, a function of the seed and the position."""


class Shuffled(Sampling):
    """Each image exactly once in an epoch."""

    def stream(self, images: IndexedImages, seed: int) -> Stream:
        """A permutation of all images for each epoch."""
        return ShuffledStream(seed, len(images))


class ClassBalanced(Sampling):
    """Each class of a classification task equally often; images that lack the label are a class of their own.

    Args:
        task: Name of the task.
    """

    def __init__(self, task: str) -> None:
        self.task = task

    def stream(self, images: IndexedImages, seed: int) -> Stream:
        """One image of each class in turn.

        Raises:
            UserError: If there is no such task, or it has no classes.
        """
        targets = images.targets()
        target = targets.get(self.task)
        if target is None or target.ndim != 1:
            known = [name for name, one in targets.items() if one.ndim == 1]
            names = ", ".join(known) or "none"
            raise UserError(f"data.sampling.task is {self.task}; the classification tasks of the data are {names}")
        return BalancedStream(seed, [(target == label).nonzero()[:, 0] for label in target.unique()])


class TaskBalanced(Sampling):
    """Each task equally often, where images carry the labels of some tasks and lack those of others.

    In turn, an image that has the label of the first task, one that has the label of the second, and
    so on; an image with several labels may serve for each of them.
    """

    def stream(self, images: IndexedImages, seed: int) -> Stream:
        """One labelled image of each task in turn.

        Raises:
            UserError: If no image has a label.
        """
        groups: list[Tensor] = [known.nonzero()[:, 0] for known in images.has_target().values()]
        groups = [group for group in groups if len(group)]
        if not groups:
            raise UserError("data.sampling is TaskBalanced, but no image has a label; leave the key away")
        return BalancedStream(seed, groups)
