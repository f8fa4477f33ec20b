"""Heads on a hypersphere, whose gradients stay bounded."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_mtgan.losses import data_to_data_cross_entropy
from lightning_mtgan.supervision.supervision import Supervision, plain_heads
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import TaskKind


class ContrastiveHeads(Supervision):
    """Class heads by data-to-data cross-entropy, Kang et al. 2021 (ReACGAN, arXiv:2111.01118).

    Features and class proxies are unit vectors, so that no head can grow without bound; tasks that
    are no classifications keep a linear head.

    Args:
        tasks: The tasks that need a head, by name.
        num_features: Length F of the trunk's features.
        embedding_dim: Length of the unit vectors.
        margin: Positive margin of the loss, in (0, 1).
        temperature: Temperature of the loss, positive.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        num_features: int,
        embedding_dim: int = 64,
        margin: float = 0.98,
        temperature: float = 0.5,
    ) -> None:
        super().__init__(tasks, num_features)
        self.margin, self.temperature = margin, temperature
        classes = {name: task for name, task in tasks.items() if task.spec.kind is TaskKind.CLASSIFICATION}
        self.embeddings = nn.ModuleDict({name: nn.Linear(num_features, embedding_dim) for name in classes})
        self.proxies = nn.ModuleDict(
            {name: nn.Embedding(task.spec.size, embedding_dim) for name, task in classes.items()}
        )
        self.heads = plain_heads({name: task for name, task in tasks.items() if name not in classes}, num_features)

    def _losses(self, features: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        losses = {
            name: data_to_data_cross_entropy(
                normalize(self.embeddings[name](features), dim=1),
                normalize(self.proxies[name].get_parameter("weight"), dim=1),
                targets[name],
                self.margin,
                self.temperature,
            )
            for name in self.embeddings
        }
        losses |= {name: self.tasks[name].loss(head(features), targets[name]) for name, head in self.heads.items()}
        return {name: losses[name] for name in self.tasks}

    def discriminator_losses(
        self, real: Tensor, fake: Tensor, targets: Mapping[str, Tensor], conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The loss of real images by task."""
        return self._losses(real, targets)

    def generator_losses(self, fake: Tensor, conditions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of fake images against what they were asked to show, by task."""
        return self._losses(fake, conditions)

    def predictions(self, features: Tensor) -> dict[str, Tensor]:
        """Of classes the cosines between features and proxies, over the temperature."""
        found = {name: head(features) for name, head in self.heads.items()}
        for name, embedding in self.embeddings.items():
            proxies = normalize(self.proxies[name].get_parameter("weight"), dim=1)
            found[name] = normalize(embedding(features), dim=1) @ proxies.T / self.temperature
        return found
