"""Several yes/no answers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lightning_mtgan.errors import UserError
from lightning_mtgan.tasks.task import Numbers


class Attributes(Numbers):
    """Several yes/no answers, by binary cross-entropy; NaN where an answer is unknown."""

    def code(self, target: Tensor) -> Tensor:
        """Answers as -1 and 1."""
        return 2 * target - 1

    def is_known(self, target: Tensor) -> Tensor:
        """Each answer by itself, (N, size)."""
        return ~target.isnan()

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of logits (N, size) against answers (N, size), each by itself."""
        return binary_cross_entropy_with_logits(
            prediction, target.nan_to_num(0.0).to(prediction.dtype), reduction="none"
        )

    def draw(self, num_images: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Answers (N, size), independent, by the prior; even odds when there is none."""
        odds = self._prior_on(device, ((0.5,),) * self.spec.size)[:, 0]
        numbers = torch.rand(num_images, self.spec.size, generator=generator, device=device, dtype=torch.float32)
        return (numbers < odds).float()

    def parse(self, text: str) -> Tensor:
        """``size`` answers, 0 or 1, separated by commas."""
        answers = super().parse(text)
        if not bool(((answers == 0) | (answers == 1)).all()):
            raise UserError(f"condition {self.name}={text}: the answers of task `{self.name}` are 0 or 1")
        return answers

    def figure(self, prediction: Tensor, target: Tensor) -> tuple[str, float]:
        """Share of equal answers."""
        return f"task_accuracy/{self.name}", (prediction == target)[self._counts(target)].double().mean().item()

    def in_words(self, target: Tensor) -> str:
        """The labels whose answer is yes."""
        answers = target.tolist()
        if len(answers) == 1:
            return "yes" if answers[0] else "no"
        labels = self.spec.labels or tuple(str(index) for index in range(self.spec.size))
        return " ".join(label for label, answer in zip(labels, answers, strict=True) if answer == 1) or "none"
