"""What restored images are good for: whether a judge of tasks recognises in them what it does in clean ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from lightning_mtgan.evaluation.evaluator import Evaluator
from lightning_mtgan.evaluation.onlooker import Onlooker
from lightning_mtgan.types import TaskKind, TaskSpec

LEAST_LOSS = 0.01
"""Accuracy that damage must cost for a share of it to be recovered: of less, the share would be noise."""


class Downstream(Onlooker):
    """Whether the evaluator sees the true class of each image.

    It never trains with the Game, and was trained on clean images only: a task that is done downstream, by someone who
    knows of no damage.

    Args:
        evaluator: Who judges.
        tasks: The tasks of the data, of which classifications count.
    """

    def __init__(self, evaluator: Evaluator, tasks: Sequence[TaskSpec]) -> None:
        self.evaluator = evaluator
        self.names = [task.name for task in tasks if task.kind is TaskKind.CLASSIFICATION]

    def look(self, image: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See Onlooker: 1 where the class is right, 0 where it is wrong, NaN where it is unknown, by task."""
        names = [name for name in self.names if name in targets]
        if not names:
            return {}
        evaluator = self.evaluator.to(image.device)
        predictions = evaluator.predictions(image, evaluator.features(image))
        truths = {name: targets[name].to(image.device) for name in names if name in predictions}
        return {
            name: (predictions[name] == truth).double().masked_fill(truth < 0, float("nan"))
            for name, truth in truths.items()
        }

    def figures(
        self, clean: Mapping[str, Tensor], damaged: Mapping[str, Tensor], restored: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """See Onlooker: accuracies by task, and how much of what the damage cost came back.

        ``downstream/<task>`` of restored images, ``downstream_input/<task>`` of damaged and ``downstream_clean/<task>``
        of clean ones; ``recovered/<task>`` is (restored - damaged) / (clean - damaged): 0 if restoring does not help, 1
        if restored images are as good as clean ones; left out where the damage costs less than 0.01.
        """
        figures = dict[str, float]()
        for name in clean:
            best, before, after = (rows[name].nanmean().item() for rows in (clean, damaged, restored))
            if best != best:  # no image has a class
                continue
            figures |= {f"downstream/{name}": after, f"downstream_input/{name}": before}
            figures[f"downstream_clean/{name}"] = best
            if best - before >= LEAST_LOSS:
                figures[f"recovered/{name}"] = (after - before) / (best - before)
        return figures
