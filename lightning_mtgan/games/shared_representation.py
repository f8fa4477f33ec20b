"""Several generators and discriminators around one representation, which moves in a turn of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.domain_arena import Conditions, DomainArena, regularizers_of
from lightning_mtgan.games.domain_game import DomainGame
from lightning_mtgan.games.domain_losses import DomainLosses, Fakes
from lightning_mtgan.games.domain_parts import (
    discriminators_of,
    embedding_of,
    representation_of,
    require_fitting,
    side_by_side,
)
from lightning_mtgan.games.game import Phase
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import (
    AdversarialHead,
    Layered,
    LayeredGenerator,
    LayeredTrunk,
    SideBySide,
    TaskEmbedding,
    UnconditionalHead,
)
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.representations import LearnedRepresentation, Representation, SoftSharing, consensus, vitals
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Task
from lightning_mtgan.types import Batch, DataSpec, TaskSpec, Terms


class SharedRepresentationGame(DomainGame):
    """Generators fed by one representation S: sum_i λ_i L_i(G_i, D_i) + α sum_i λ_i ||LN t_i(z) - sg LN S(z)||^2 / d.

    t_i are the features of generator i behind ``depth`` layers, S a map of their shape. D_1 ... D_n move first, then
    G_1 ... G_n, each drawn towards S as a constant; then S, drawn towards the features as constants, and, as it feeds
    the generators, by their losses (consensus ADMM, Boyd et al. 2011, section 7.1, with the two-sided constants of
    van den Oord et al. 2017, arXiv:1711.00937). In S's turn the regularisers of generators that are played every time
    count, too. Normalisation takes the reward from shrinking S; a constant S is still an optimum of the consensus
    alone, against which the adversarial losses speak where S is read, and which the guard watches for. Generators
    have no layer in common, so that moving all of them at
    once is what moving one after the other would be. The weights stand in the Balancers: λ_i with
    ``adversarial_<domain>``, α λ_i with ``consensus_<domain>``, and in the representation's turn γ λ_i with
    ``adversarial_<domain>``.

    Args:
        spec: What the data is.
        generator: From a domain's spec and the length of the condition vector to its generator.
        trunk: From a domain's spec to its discriminator's trunk.
        adversarial: The adversarial loss, both sides.
        representation: From a network of a generator's first layers and the names of the domains to S; null for none.
        depth: Layers of a generator behind which its features are compared with S, and joined with it.
        reads_representation: Generators go on with (t_i + S) / sqrt(2); false: S only draws, as a centre.
        soft_sharing: Also draws the generators' parameters towards their mean, which begin alike then; null for no.
        representation_every: Batches of which S moves in one.
        shared_discriminator_layers: Last layers that all discriminators have in common, a representation of images
            that they own; null for all.
        adversarial_head: From the number of features and the length of the condition vector to a head that judges.
        embedding: From the tasks and the lengths of their codes to their embedding, which the generators own; null
            makes them unconditional.
        supervision: From the tasks and the number of features to the task heads; null for none.
        regularizers: Penalties and regularisers of both players, each at most once, a copy for each domain.
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
        representation: Callable[[Layered, tuple[str, ...]], Representation] | None = LearnedRepresentation,
        depth: int = 2,
        reads_representation: bool = True,
        soft_sharing: SoftSharing | None = None,
        representation_every: int = 1,
        shared_discriminator_layers: int | None = 0,
        adversarial_head: Callable[[int, int], AdversarialHead] = UnconditionalHead,
        embedding: Callable[[Sequence[TaskSpec], Mapping[str, int]], TaskEmbedding] | None = None,
        supervision: Callable[[Mapping[str, Task], int], Supervision] | None = None,
        regularizers: list[Regularizer] = [],  # noqa: B006 - never changed
        grouped: bool = False,
    ) -> None:
        super().__init__(spec)
        if representation_every < 1:
            raise UserError(
                f"model.game.representation_every is {representation_every}; use 1 for every batch, or more"
            )
        require_fitting(
            adversarial,
            regularizers,
            self.all_tasks,
            self.domains,
            [*(f"consensus_{name}" for name in self.domains), "soft_sharing"],
        )
        table = embedding_of(embedding, self.all_tasks, self.tasks)
        condition_dim = table.dim if table is not None else 0
        self.depth, self.reads, self.every = depth, reads_representation, representation_every
        self.soft_sharing = soft_sharing
        generators, latent_dim = side_by_side(
            generator, spec.domains, condition_dim, 0, grouped, same_start=soft_sharing is not None
        )
        if soft_sharing is not None:
            soft_sharing.require_fitting(generators)
        shared = (
            representation_of(representation, generator, self, condition_dim, depth)
            if representation is not None
            else None
        )
        discriminators = discriminators_of(
            trunk, adversarial_head, supervision, self, condition_dim, shared_discriminator_layers, grouped
        )
        self.regularizers = regularizers_of(regularizers, self.domains)
        self.players["discriminator"] = nn.ModuleDict({"networks": discriminators})
        own = {"networks": generators} | ({"embedding": table} if table is not None else {})
        self.players["generator"] = nn.ModuleDict(own)
        if shared is not None and shared.is_learned:
            self.players["representation"] = nn.ModuleDict({"network": shared})
        self._representation = [shared]  # in a list: as a player it is registered already
        self._arena = DomainArena(
            spec.domains,
            self.tasks,
            self.pictures,
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
    def representation(self) -> Representation | None:
        """S, or None without one."""
        return self._representation[0]

    @property
    def generators(self) -> SideBySide:
        """The generators of all domains."""
        return self.players["generator"]["networks"]  # type: ignore[index, return-value]

    def phases(self) -> Sequence[Phase]:
        """All discriminators, all generators, each followed by their lazy regularisers, then the representation."""
        phases = [
            *self.losses.phases("discriminator", self.losses.discriminator),
            *self.losses.phases("generator", self.generator_losses),
        ]
        if "representation" not in self.players:
            return phases
        generators = next(phase for phase in phases if phase.name == "generator")
        unbounded = generators.unbounded if self.reads else frozenset()
        own = Phase("representation", "representation", self.representation_losses, self.every, unbounded=unbounded)
        return [*phases, own]

    def fakes(self, batch: Batch, conditions: Conditions) -> Fakes:
        """What all generators were given, and their images."""
        given = self.arena.inputs(batch, conditions)
        return given, self._typed(batch, self.pictures(given))

    def _typed(self, batch: Batch, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: image.to(batch["domains"][name]["image"].dtype) for name, image in images.items()}

    def images(self, given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Images, features and representations by domain.

        Args:
            given: Latents beside conditions, (N, latent_dim + condition_dim), by domain.
        """
        features = self.generators(given, end=self.depth)
        representations = self._representations(given, features)
        return self._finished(features, representations), features, representations

    def pictures(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Images by domain alone: S is made only where it is read."""
        features = self.generators(given, end=self.depth)
        return self._finished(features, self._representations(given, features) if self.reads else {})

    def _representations(self, given: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """S by domain; a mean of features is a constant, so that no generator moves another by it."""
        if self.representation is None:
            return {}
        shared: dict[int, Tensor] = {}
        for one in given.values():
            if id(one) not in shared:
                found = self._represented(one, given, features)
                shared[id(one)] = found if self.representation.is_learned else found.detach()
        return {name: shared[id(one)] for name, one in given.items()}

    def _finished(self, features: Mapping[str, Tensor], representations: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.reads or not representations:
            return self.generators(features, first=self.depth)
        joined = {name: (one + representations[name]) * 0.5**0.5 for name, one in features.items()}
        return self.generators(joined, first=self.depth)

    def _represented(self, one: Tensor, given: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> Tensor:
        """S of one tensor; the features that are there already are not made again."""
        assert self.representation is not None

        def every() -> Mapping[str, Tensor]:
            lacking = {name: one for name in self.domains if given.get(name) is not one}
            made = self.generators(lacking, end=self.depth) if lacking else {}
            return {name: made[name] if name in made else features[name] for name in self.domains}

        return self.representation(one, every)

    def generator_losses(self, batch: Batch) -> Terms:
        """The losses of all generators, how far their features are from S, and their parameters from the mean."""
        conditions = self.arena.conditions(batch)
        given = self.arena.inputs(batch, conditions)
        images, features, shared = self.images(given)
        terms = self.losses.generator(batch, conditions, (given, self._typed(batch, images)))
        own = {f"consensus_{name}": consensus(features[name], one) for name, one in shared.items()}
        if self.soft_sharing is not None:
            own["soft_sharing"] = self.soft_sharing.loss(self.generators)
        terms.losses |= own
        terms.penalties |= own.keys()
        if shared and batch["draws"].step % vital_signs.EVERY == 0:  # of the first domain, which stands for all
            terms.observed = {**terms.observed, **vitals(next(iter(shared.values())))}
        return terms

    def representation_losses(self, batch: Batch) -> Terms:
        """How far S is from each generator's features, and, as it feeds them, the losses of all generators."""
        conditions = self.arena.conditions(batch)
        given = self.arena.inputs(batch, conditions)
        images, features, shared = self.images(given)
        own = {f"consensus_{name}": consensus(one, features[name]) for name, one in shared.items()}
        if not self.reads:
            return Terms(own)
        terms = self.losses.generator(batch, conditions, (given, self._typed(batch, images)))
        return Terms(terms.losses | own, (), terms.penalties | own.keys())

    def sampling_modules(self) -> Sequence[nn.Module]:
        """All generators with the embedding, and S where they read it."""
        more = [self.representation] if self.representation is not None and self.reads else []
        return [self.players["generator"], *more]

    def remarks(self) -> Sequence[str]:
        """What is saved by sharing."""
        return self.arena.savings(self.generators)

    def render(self, domain: str, given: Tensor) -> Tensor:
        """See DomainGame."""
        return self.pictures({domain: given})[domain]
