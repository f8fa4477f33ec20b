"""What a condition looks like to a network: one learned vector for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.types import TaskKind, TaskSpec, is_known


class TaskEmbedding(nn.Module):
    """A learned vector for each task's target, concatenated over the tasks.

    A class is looked up in a table; answers and numbers pass through a linear layer. A target that
    is unknown becomes the zero vector, so that a generator can be asked for nothing in particular.

    Args:
        tasks: The tasks, in the order of the result.
        code_sizes: Length of each task's code, by name; of tasks with classes unused.
        embedding_dim: Length of each task's vector.
        initial_std: Standard deviation of the numbers in the tables of classes at the start; 1 over the root of
            ``embedding_dim`` gives vectors of length 1.
    """

    def __init__(
        self,
        tasks: Sequence[TaskSpec],
        code_sizes: Mapping[str, int],
        embedding_dim: int = 16,
        initial_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.incomplete = {task.name for task in tasks if not task.is_complete}
        self.embedding_dim = embedding_dim
        self.dim = embedding_dim * len(tasks)
        self.tables = nn.ModuleDict(
            {
                task.name: nn.Embedding(task.size, embedding_dim)
                if task.kind is TaskKind.CLASSIFICATION
                else nn.Linear(code_sizes[task.name], embedding_dim)
                for task in tasks
            }
        )
        for table in self.tables.values():
            if isinstance(table, nn.Embedding) and initial_std != 1:
                nn.init.normal_(table.weight, std=initial_std)

    def forward(self, code: Mapping[str, Tensor]) -> Tensor:
        """Codes by task (classes (N,) or centred numbers (N, size)) to vectors (N, dim)."""
        return torch.cat([self._vector(name, code[name]) for name in self.tables], dim=1)

    def _vector(self, name: str, code: Tensor) -> Tensor:
        table = self.tables[name]
        if name not in self.incomplete:
            return table(code)
        whole = code.nan_to_num(0.0) if code.is_floating_point() else code.clamp(min=0)
        return table(whole) * is_known(code)[:, None]
