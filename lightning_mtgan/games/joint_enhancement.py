"""Enhance and recognise in one: a network restores damaged images and learns the tasks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_mtgan.corruptions import Corruption, Damaged, Mixture
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.corruption_losses import by_corruption
from lightning_mtgan.games.game import Phase
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.losses import lost_error
from lightning_mtgan.networks.joint_network import JointNetwork
from lightning_mtgan.supervision import ADCHeads, AuxiliaryHeadsOnBoth, Supervision, TwinHeads
from lightning_mtgan.tasks import Constraint, Task
from lightning_mtgan.types import Batch, DataSpec, Terms


class JointEnhancement(ImageGame):
    """L = sum μ_j |R_j(c_j(x)) - x| + sum λ_i l_i(h_i(f(c_j(x))), y_i): one network restores and recognises.

    Each image x is damaged by one corruption c_j. The network restores it, R, and yields features f, from which heads
    h_i learn the tasks on damaged images alone; nobody shows them clean ones. Restored images must satisfy the
    constraints. The weights λ and μ stand in the Balancer, not here.

    Args:
        spec: What the data is.
        corruptions: What is taken from images, each name at most once.
        network: From the spec and the length of the condition to the network: ``NestedNetwork``, which recognises
            what it has restored, or ``ParallelNetwork``, which does both side by side.
        supervision: From the tasks and the number of features to the task heads, which are taught as a
            discriminator's by real images; such as need no fakes, ``AuxiliaryHeads`` or ``ContrastiveHeads``.
        embedding_dim: Length of the vectors that say what to restore.

    Raises:
        UserError: If two of the parts do not fit together.
    """

    def __init__(
        self,
        spec: DataSpec,
        corruptions: list[Corruption],
        network: Callable[[DataSpec, int], JointNetwork],
        supervision: Callable[[Mapping[str, Task], int], Supervision],
        embedding_dim: int = 16,
    ) -> None:
        super().__init__(spec)
        if embedding_dim < 1:
            raise UserError(f"model.game.embedding_dim is {embedding_dim}; use 1 or more")
        self.mixture = Mixture(corruptions)
        self.corruptions = {one.name: one for one in corruptions}
        for one in corruptions:
            one.require_fitting(spec)
        self.constraints = {name: task for name, task in self.tasks.items() if isinstance(task, Constraint)}
        headed = {name: task for name, task in self.tasks.items() if name not in self.constraints}
        if not headed:
            raise UserError(
                "model.game is JointEnhancement, but the data has no task to recognise; use MTS4GAN, which needs none"
            )
        self.network = network(spec, embedding_dim)
        self.embedding = nn.Embedding(len(corruptions), embedding_dim)
        self.supervision = supervision(headed, self.network.num_features)
        _require_no_fakes(self.supervision)
        self._refuse_names(spec)
        self.players["generator"] = nn.ModuleDict(
            {"network": self.network, "embedding": self.embedding, "supervision": self.supervision}
        )

    def _refuse_names(self, spec: DataSpec) -> None:
        taken = {*self.mixture.names, *self.network.penalties()}
        for task in spec.tasks:
            if task.name in taken:
                raise UserError(f"task `{task.name}` has the name of another loss of this game; rename it in the data")

    def phases(self) -> Sequence[Phase]:
        """One player, one phase."""
        return [Phase("generator", "generator", self.losses, has_pivot=self.network.has_pivot)]

    def sampling_modules(self) -> Sequence[nn.Module]:
        """All: what is recognised is read off averaged heads, too."""
        return [self.network, self.embedding, self.supervision]

    def once_differentiated(self) -> Sequence[nn.Module]:
        """The network."""
        return [self.network]

    @property
    def margin(self) -> int | None:
        """See ImageGame."""
        return self.network.margin

    def damaged(self, batch: Batch) -> tuple[Damaged, Tensor]:
        """What is left of a batch's images, and of what, int64 (N,)."""
        return self.mixture(batch["image"], batch["draws"].at("corruption"))

    def losses(self, batch: Batch) -> Terms:
        """Each corruption's error, the tasks' losses of what is recognised, and the constraints of restored images."""
        damaged, index = self.damaged(batch)
        restored, features = self._seen(damaged, index)
        targets = {name: task.target(batch) for name, task in self.tasks.items()}
        errors = lost_error(restored, batch["image"], damaged.known)
        losses = by_corruption(errors, index, self.mixture, batch["draws"].at("corruption"))
        losses |= self.supervision.discriminator_losses(features, features, targets, targets)
        losses |= {name: task.image_loss(restored, targets[name]) for name, task in self.constraints.items()}
        penalties = self.network.penalties()
        pivot = (restored,) if self.network.has_pivot else ()
        return Terms(losses | penalties, pivot, frozenset(penalties))

    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        """See ImageGame."""
        condition = self._condition(damaged, self._index(corruptions))
        return self.network.enhance(damaged.image, damaged.known, condition, base).to(damaged.image.dtype).clamp(-1, 1)

    def recognise(self, damaged: Damaged, corruptions: Sequence[str]) -> dict[str, Tensor]:
        """What the heads say of damaged images, (N, head_size) by task, logits of classes.

        Args:
            damaged: What is left of the images, (N, C, H, W) in [-1, 1], of the data's size.
            corruptions: The name of what happened to each of them, N names.
        """
        return self.supervision.predictions(self._seen(damaged, self._index(corruptions))[1])

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """No logits; what the heads say of images as they are, as if the first corruption had left no trace."""
        image = batch["image"]
        unharmed = Damaged(image, torch.zeros_like(image[:, :1]))
        return None, self.recognise(unharmed, self.mixture.names[:1] * len(image))

    def _seen(self, damaged: Damaged, index: Tensor) -> tuple[Tensor, Tensor]:
        restored, features = self.network(damaged.image, damaged.known, self._condition(damaged, index))
        return restored.to(damaged.image.dtype), features.to(damaged.image.dtype)

    def _condition(self, damaged: Damaged, index: Tensor) -> Tensor:
        return self.embedding(index).to(damaged.image.dtype)

    def _index(self, corruptions: Sequence[str]) -> Tensor:
        return torch.tensor([self.mixture.names.index(name) for name in corruptions], device=self.device)


def _require_no_fakes(supervision: Supervision) -> None:
    for part in supervision.modules():
        if isinstance(part, ADCHeads | AuxiliaryHeadsOnBoth | TwinHeads):
            raise UserError(
                f"model.game.supervision has {type(part).__name__}, which learn on generated images, too, and "
                "JointEnhancement makes none; use AuxiliaryHeads or ContrastiveHeads"
            )
