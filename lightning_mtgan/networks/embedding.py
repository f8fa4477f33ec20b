"""What a condition looks like to a network: one learned vector for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.types import TaskKind, TaskSpec


class TaskEmbedding(nn.Module):
    """A learned vector for each task's target, concatenated over the tasks.

    A class is looked up in a table; answers and numbers pass through a linear layer.

    Args:
        tasks: The tasks, in the order of the result.
        embedding_dim: Length of each task's vector.
    """

    def __init__(self, tasks: Sequence[TaskSpec], embedding_dim: int = 16) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.dim = embedding_dim * len(tasks)
        self.tables = nn.ModuleDict(
            {
                task.name: nn.Embedding(task.size, embedding_dim)
                if task.kind is TaskKind.CLASSIFICATION
                else nn.Linear(task.size, embedding_dim)
                for task in tasks
            }
        )

    def forward(self, code: Mapping[str, Tensor]) -> Tensor:
        """Codes by task (classes (N,) or centred numbers (N, size)) to vectors (N, dim)."""
        return torch.cat([table(code[name]) for name, table in self.tables.items()], dim=1)
