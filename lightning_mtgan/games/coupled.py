"""Coupled GANs: generators that begin alike and discriminators that end alike learn a joint distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from lightning_mtgan.games.domain_arena import Conditions, DomainArena, regularizers_of
from lightning_mtgan.games.domain_game import DomainGame
from lightning_mtgan.games.domain_losses import DomainLosses, Fakes
from lightning_mtgan.games.domain_parts import discriminators_of, embedding_of, require_fitting, side_by_side
from lightning_mtgan.games.game import Phase
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import (
    AdversarialHead,
    LayeredGenerator,
    LayeredTrunk,
    SideBySide,
    TaskEmbedding,
    UnconditionalHead,
)
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import Batch, DataSpec, TaskSpec, Terms


class CoupledGame(DomainGame):
    """Coupled GAN, Liu and Tuzel 2016 (arXiv:1606.07536), equation 4: sum_i λ_i [L_adv(D_i, G_i) + sum_t l_t(G_i)].

    The first layers of all generators are the same instances, and so are the last layers of all discriminators; each
    side is one player. One latent gives corresponding images in all domains, though no pairs are ever seen. Domains
    may differ in size, channels, tasks and number of images. Weights λ_i stand in the Balancers: each loss has its
    domain's name, such as ``adversarial_negative``.

    Args:
        spec: What the data is.
        generator: From a domain's spec and the length of the condition vector to its generator.
        trunk: From a domain's spec to its discriminator's trunk.
        adversarial: The adversarial loss, both sides.
        shared_generator_layers: First layers that all generators have in common, as far as they are alike; null
            for all.
        shared_discriminator_layers: Last layers that all discriminators have in common, of which the head that
            judges is the last; null for all. Task heads are shared as soon as the features before them are.
        adversarial_head: From the number of features and the length of the condition vector to a head that judges.
        embedding: From the tasks and the lengths of their codes to their embedding, which the generators own;
            null makes them unconditional, and then only the discriminators learn the tasks.
        supervision: From the tasks and the number of features to the task heads; null for none.
        regularizers: Penalties and regularisers of both players, each at most once; a lazy one gets a phase of its own
            name. Each domain has its own copy.
        grouped: Layers that are alike but not shared run as one grouped operation.

    Raises:
        UserError: If the data has no domains, or two of the parts do not fit together.
    """

    def __init__(
        self,
        spec: DataSpec,
        generator: Callable[[DataSpec, int], LayeredGenerator],
        trunk: Callable[[DataSpec], LayeredTrunk],
        adversarial: AdversarialLoss,
        shared_generator_layers: int | None = 2,
        shared_discriminator_layers: int | None = 2,
        adversarial_head: Callable[[int, int], AdversarialHead] = UnconditionalHead,
        embedding: Callable[[Sequence[TaskSpec], Mapping[str, int]], TaskEmbedding] | None = None,
        supervision: Callable[[Mapping[str, Task], int], Supervision] | None = None,
        regularizers: list[Regularizer] = [],  # noqa: B006 - never changed
        grouped: bool = False,
    ) -> None:
        super().__init__(spec)
        require_fitting(adversarial, regularizers, self.all_tasks, self.domains)
        table = embedding_of(embedding, self.all_tasks, self.tasks)
        condition_dim = table.dim if table is not None else 0
        generators, latent_dim = side_by_side(generator, spec.domains, condition_dim, shared_generator_layers, grouped)
        discriminators = discriminators_of(
            trunk, adversarial_head, supervision, self, condition_dim, shared_discriminator_layers, grouped
        )
        self.regularizers = regularizers_of(regularizers, self.domains)
        self.players["discriminator"] = nn.ModuleDict({"networks": discriminators})
        own = {"networks": generators} | ({"embedding": table} if table is not None else {})
        self.players["generator"] = nn.ModuleDict(own)
        self._arena = DomainArena(
            spec.domains,
            self.tasks,
            generators,
            discriminators,
            adversarial,
            table,
            dict(zip(self.domains, self.regularizers, strict=True)),  # type: ignore[arg-type]
            latent_dim,
        )
        self.losses = DomainLosses(self._arena, self.fakes)

    @property
    def arena(self) -> DomainArena:
        """See DomainGame."""
        return self._arena

    @property
    def generators(self) -> SideBySide:
        """The generators of all domains."""
        return self.players["generator"]["networks"]  # type: ignore[index, return-value]

    def phases(self) -> Sequence[Phase]:
        """All discriminators, then all generators, each followed by their lazy regularisers."""
        return [
            *self.losses.phases("discriminator", self.losses.discriminator),
            *self.losses.phases("generator", self.generator_losses),
        ]

    def fakes(self, batch: Batch, conditions: Conditions) -> Fakes:
        """What all generators were given, and their images."""
        given = self.arena.inputs(batch, conditions)
        like = {name: domain["image"].dtype for name, domain in batch["domains"].items()}
        return given, {name: image.to(like[name]) for name, image in self.generators(given).items()}

    def generator_losses(self, batch: Batch) -> Terms:
        """The losses of all generators."""
        conditions = self.arena.conditions(batch)
        return self.losses.generator(batch, conditions, self.fakes(batch, conditions))

    def sampling_modules(self) -> Sequence[nn.Module]:
        """All generators, and the embedding."""
        return [self.players["generator"]]

    def remarks(self) -> Sequence[str]:
        """What is saved by sharing."""
        return self.arena.savings(self.generators)

    def render(self, domain: str, given: Tensor) -> Tensor:
        """See DomainGame."""
        return self.generators({domain: given})[domain]
