"""One class of several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks.task import Task


class Classification(Task):
    """One class of several, by cross-entropy; -1 where the class is unknown."""

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of logits (N, K) against classes (N,): (N,)."""
        return cross_entropy(prediction, target, ignore_index=-1, reduction="none")

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Classes (N,) by the prior, uniform when there is none."""
        if self.spec.prior:
            weights = self._prior_on(device, ())[0]
            return torch.multinomial(weights, num_images, replacement=True, generator=generator)
        return torch.randint(self.spec.size, (num_images,), generator=generator, device=device)

    def parse(self, text: str) -> Tensor:
        """A class by its index or its label."""
        if text in self.spec.labels:
            return torch.tensor(self.spec.labels.index(text))
        if text.isdecimal() and int(text) < self.spec.size:
            return torch.tensor(int(text))
        names = f", or one of {', '.join(self.spec.labels)}" if self.spec.labels else ""
        raise UserError(
            f"condition {self.name}={text}: task `{self.name}` has the classes 0 to {self.spec.size - 1}{names}"
        )

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Share of equal classes."""
        return f"task_accuracy/{self.name}", (prediction == target)[self._counts(target)].double().mean().item()

    def in_words(self, target: Tensor) -> str:
        """The class by its label where it has one."""
        index = int(target)
        return self.spec.labels[index] if self.spec.labels else str(index)
