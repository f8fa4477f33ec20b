"""Generators of several domains that read one representation of an image, and so translate it from each to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.domain_arena import regularizers_of
from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.games.translation_arena import TranslationArena
from lightning_mtgan.games.translation_parts import (
    decoders_of,
    discriminators_of,
    encoder_of,
    require_domains,
)
from lightning_mtgan.games.without_latents import require_regularizers
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import (
    AdversarialHead,
    DomainEncoder,
    LayeredTrunk,
    ProjectionHead,
    RepresentationDecoder,
)
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.representations import consensus, vitals
from lightning_mtgan.types import Batch, DataSpec, Terms


class TranslationGame(Game):
    """Translates images between n domains by S = E(x), which all G_i: S -> image and D_i(y, S) read as a constant.

    sum_i [L_i(G_i, D_i) + ρ ||G_i(E(x_i)) - x_i||_1 + α ||LN E(G_i(S)) - sg LN S||^2 / d] with S = E(x_j), j != i.
    The last two are L_TID, here of all domains, and L_CONST, here with a learned E, of Taigman et al. 2017
    (arXiv:1611.02200); one space for all domains is the assumption of Liu et al. 2017 (UNIT, arXiv:1703.00848). No
    pairs are needed.

    D_1 ... D_n move first, each judging an image beside the S it should show: a real one beside its own, a
    translation beside its source's. Then G_1 ... G_n move; then E alone, by the same losses. Domain i gets its
    images from domain i + r (mod n), one r of 1 ... n - 1 drawn in each step. The weights stand in the Balancers:
    ρ with ``reconstruction_<domain>``, α with ``consistency_<domain>``, and γ, how much E serves the generators
    against the discriminators, with ``adversarial_<domain>`` of the phase ``representation``.

    Args:
        spec: What the data is.
        generator: From a domain's spec, the channels of S and the number of its halvings to its generator.
        trunk: From a domain's spec to its discriminator's trunk.
        adversarial: The adversarial loss, both sides.
        encoder: From a spec with as many channels as any domain has to E.
        shared_generator_layers: First layers that all generators have in common; null for all that are alike.
        adversarial_head: From the number of features and the channels of S to a head that judges.
        representation_every: Batches of which E moves in one.
        regularizers: Penalties and regularisers of the discriminators, each at most once, a copy for each domain.

    Raises:
        UserError: If there are not at least two domains of one size, or two of the parts do not fit together.
    """

    def __init__(
        self,
        spec: DataSpec,
        generator: Callable[[DataSpec, int, int], RepresentationDecoder],
        trunk: Callable[[DataSpec], LayeredTrunk],
        adversarial: AdversarialLoss,
        encoder: Callable[[DataSpec], DomainEncoder] = DomainEncoder,
        shared_generator_layers: int | None = 0,
        adversarial_head: Callable[[int, int], AdversarialHead] = ProjectionHead,
        representation_every: int = 1,
        regularizers: list[Regularizer] = [],  # noqa: B006 - never changed
    ) -> None:
        super().__init__(spec)
        require_domains(spec)
        require_regularizers("TranslationGame", adversarial, regularizers)
        if representation_every < 1:
            raise UserError(
                f"model.game.representation_every is {representation_every}; use 1 for every batch, or more"
            )
        self.every = representation_every
        network = encoder_of(encoder, spec)
        decoders = decoders_of(generator, spec, network, shared_generator_layers)
        discriminators = discriminators_of(trunk, adversarial_head, spec, network)
        self.regularizers = regularizers_of(regularizers, self.domains)
        self.players["discriminator"] = nn.ModuleDict({"networks": discriminators})
        self.players["generator"] = nn.ModuleDict({"networks": decoders})
        self.players["representation"] = nn.ModuleDict({"network": network})
        own: Mapping[str, Sequence[Regularizer]] = dict(zip(self.domains, self.regularizers, strict=True))  # type: ignore[arg-type]
        self.arena = TranslationArena(network, decoders, discriminators, adversarial, own)

    @property
    def domains(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.spec.domains)

    @property
    def obeys(self) -> bool:
        """False: an image says what is to be seen."""
        return False

    def phases(self) -> Sequence[Phase]:
        """All discriminators, their lazy regularisers, all generators, the encoder."""
        adversarial = frozenset(f"adversarial_{name}" for name in self.domains)
        sides = self.arena.adversarial.unbounded
        below = {side: adversarial if side in sides else frozenset() for side in ("discriminator", "generator")}
        moves_encoder = partial(self.generator_losses, moves_representation=True)
        return [
            Phase("discriminator", "discriminator", self.discriminator_losses, unbounded=below["discriminator"]),
            *(
                Phase(one.name, "discriminator", partial(self.lazy_losses, index), one.every, is_lazy=True)
                for index, one in enumerate(self.arena.regularizers[self.domains[0]])
                if one.every > 1
            ),
            Phase("generator", "generator", self.generator_losses, unbounded=below["generator"], has_pivot=True),
            Phase("representation", "representation", moves_encoder, self.every, unbounded=below["generator"]),
        ]

    def discriminator_losses(self, batch: Batch) -> Terms:
        """Of each domain: the adversarial loss, and the regularisers that are played every time."""
        arena, turn = self.arena, self.arena.turn(batch)
        with torch.no_grad():
            fakes = arena.translations(turn)
        seen = arena.see(
            {name: [turn.real[name], fakes[name]] for name in self.domains},
            {name: [turn.shared[name], turn.wanted(name)] for name in self.domains},
        )
        losses, penalties, observed = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
        for name, (real, fake) in seen.items():
            losses[f"adversarial_{name}"] = arena.adversarial.discriminator(real.logits, fake.logits)
            play = arena.play(turn, name, fakes[name])
            play.real, play.fake = real, fake
            penalties |= {f"{one.name}_{name}": one.loss(play) for one in arena.regularizers[name] if one.every == 1}
            if turn.draws.step % vital_signs.EVERY == 0:
                belief = arena.adversarial.belief(real.logits, fake.logits)
                signals = {
                    "signal/margin": vital_signs.margin(real.logits, fake.logits),
                    "signal/r_t": vital_signs.sign_of_real(belief),
                }
                observed |= {one: value + observed.get(one, 0.0) for one, value in signals.items()}
                observed |= {f"{one}/{name}": value for one, value in signals.items()}
        return Terms(losses | penalties, (), frozenset(penalties), observed)

    def lazy_losses(self, index: int, batch: Batch) -> Terms:
        """One regulariser of every domain alone, times the interval at which it is played."""
        turn, losses = self.arena.turn(batch), dict[str, Tensor]()
        for name in self.domains:
            one = self.arena.regularizers[name][index]
            losses[f"{one.name}_{name}"] = one.loss(self.arena.play(turn, name)) * one.every
        return Terms(losses, penalties=frozenset(losses))

    def generator_losses(self, batch: Batch, moves_representation: bool = False) -> Terms:
        """Of each domain: the adversarial loss and the consistency of translations, and the reconstruction.

        Args:
            batch: The batch.
            moves_representation: Whether S carries gradients to E; otherwise it is a constant.
        """
        arena, turn = self.arena, self.arena.turn(batch, moves_representation)
        both = arena.decoded({name: torch.cat([turn.shared[name], turn.wanted(name)]) for name in self.domains})
        parts = {name: image.tensor_split(2) for name, image in both.items()}
        fakes = {name: fake for name, (_, fake) in parts.items()}
        judged = arena.see(
            {name: [fake] for name, fake in fakes.items()}, {name: [turn.wanted(name)] for name in self.domains}
        )
        reals, shown = dict[str, Tensor](), arena.represented(fakes)
        if arena.adversarial.compares_with_real:
            with torch.no_grad():
                seen = arena.see({n: [x] for n, x in turn.real.items()}, {n: [s] for n, s in turn.shared.items()})
            reals = {name: one.logits for name, (one,) in seen.items()}
        losses: dict[str, Tensor] = {}
        for name, (fake,) in judged.items():
            losses[f"adversarial_{name}"] = arena.adversarial.generator(reals.get(name), fake.logits)
            losses[f"reconstruction_{name}"] = (parts[name][0] - turn.real[name]).abs().mean()
            losses[f"consistency_{name}"] = consensus(shown[name], turn.wanted(name))
        is_due = not moves_representation and turn.draws.step % vital_signs.EVERY == 0
        observed = vitals(torch.cat(list(turn.shared.values()))) if is_due else {}
        penalties = frozenset(f"consistency_{name}" for name in self.domains)
        return Terms(losses, () if moves_representation else tuple(both.values()), penalties, observed)

    def translate(self, image: Tensor, source: str, target: str) -> Tensor:
        """Images of one domain as they would be in another, or, with the same twice, their reconstructions.

        Args:
            image: Images (N, C, H, W) in [-1, 1] of the source.
            source: Name of the domain that they are of.
            target: Name of the domain to translate to.

        Returns:
            Images (N, C', H, W) in [-1, 1].

        Raises:
            UserError: If the Game lacks one of the domains.
        """
        for name in (source, target):
            if name not in self.domains:
                raise UserError(f"domain {name}: this game has no such domain; it has {', '.join(self.domains)}")
        return self.arena.decoded({target: self.arena.represented({source: image})[source]})[target]

    def sampling_modules(self) -> Sequence[nn.Module]:
        """The encoder and all generators."""
        return [self.players["representation"], self.players["generator"]]

    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Not without images.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{type(self).__name__} takes images; use translate")

    def judge_domain(self, domain: str, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The logits (N,) of a domain's images, each beside its own S, and no heads."""
        image = batch["image"]
        shared = self.arena.represented({domain: image})[domain]
        (seen,) = self.arena.see({domain: [image]}, {domain: [shared]})[domain]
        return seen.logits, {}

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """What the first domain's discriminator makes of its images."""
        return self.judge_domain(self.domains[0], batch)
