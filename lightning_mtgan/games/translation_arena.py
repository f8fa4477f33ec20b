"""Images, what they have in common, and their translations: a turn of a Game that translates between domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.domain_arena import DomainDiscriminators
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import DomainEncoder, SideBySide
from lightning_mtgan.regularizers import Pass, Play, Regularizer, Seen
from lightning_mtgan.representations import normalized
from lightning_mtgan.types import Batch


@dataclass(frozen=True)
class Turn:
    """What a turn begins with.

    Args:
        draws: Every random number of the phase.
        real: Real images by domain, (N, C, H, W) in [-1, 1].
        shared: S = E(x) of them, (N, F, h, w).
        sources: Of each domain, the one that images are translated from.
    """

    draws: Draws
    real: Mapping[str, Tensor]
    shared: Mapping[str, Tensor]
    sources: Mapping[str, str]

    def wanted(self, domain: str) -> Tensor:
        """S of the images that are translated into a domain."""
        return self.shared[self.sources[domain]]


class TranslationArena:
    """What every turn of a Game that translates needs, whoever moves. It owns no network; the players do.

    Args:
        encoder: E, one for all domains.
        decoders: The generators: from S by domain to images by domain.
        discriminators: The discriminators.
        adversarial: The adversarial loss, domain by domain.
        regularizers: Penalties and regularisers by domain.
    """

    def __init__(
        self,
        encoder: DomainEncoder,
        decoders: SideBySide,
        discriminators: DomainDiscriminators,
        adversarial: AdversarialLoss,
        regularizers: Mapping[str, Sequence[Regularizer]],
    ) -> None:
        self.encoder, self.decoders, self.discriminators = encoder, decoders, discriminators
        self.adversarial, self.regularizers = adversarial, regularizers
        self.domains = tuple(decoders.routes)

    def turn(self, batch: Batch, moves_representation: bool = False) -> Turn:
        """A turn in which only S is known.

        Args:
            batch: The batch.
            moves_representation: Whether S carries gradients; otherwise it is a constant.

        Raises:
            UserError: If domains have batches of different sizes.
        """
        real = {name: batch["domains"][name]["image"] for name in self.domains}
        if len({len(image) for image in real.values()}) > 1:
            raise UserError("TranslationGame needs as many images of each domain; leave data.batch_sizes away")
        with torch.set_grad_enabled(moves_representation and torch.is_grad_enabled()):
            shared = self.represented(real)
        return Turn(batch["draws"], real, shared, self.sources(batch["draws"]))

    def sources(self, draws: Draws) -> dict[str, str]:
        """Of each domain the one that images come from: the same in all phases of a step, each once, none itself."""
        shift = 1 + draws.at("translation").seed_of("shift") % (len(self.domains) - 1)
        return {name: self.domains[(i + shift) % len(self.domains)] for i, name in enumerate(self.domains)}

    def represented(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """S of images by domain, all in one pass."""
        alike = [image.expand(-1, self.encoder.num_channels, -1, -1) for image in images.values()]
        shared = self.encoder(torch.cat(alike)).to(alike[0].dtype)
        return dict(zip(images, shared.split([len(image) for image in alike]), strict=True))

    def decoded(self, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Images by domain of what they are to show."""
        return {name: image.to(shared[name].dtype) for name, image in self.decoders(shared).items()}

    def translations(self, turn: Turn) -> dict[str, Tensor]:
        """Images of each domain, made of those of another one."""
        return self.decoded({name: turn.wanted(name) for name in self.domains})

    def see(
        self, images: Mapping[str, Sequence[Tensor]], shared: Mapping[str, Sequence[Tensor]]
    ) -> dict[str, list[Seen]]:
        """One pass of images of some kinds, by domain, each kind beside what it should show, which is a constant.

        Args:
            images: Of each kind (N, C, H, W).
            shared: S of each kind.
        """
        features = self.discriminators.trunks({name: torch.cat(list(some)) for name, some in images.items()})
        return {name: self._judged(name, some, features[name], shared[name]) for name, some in images.items()}

    def _judged(self, domain: str, images: Sequence[Tensor], features: Tensor, shared: Sequence[Tensor]) -> list[Seen]:
        like = images[0]
        told = normalized(torch.cat(list(shared)).detach().to(like.dtype)).mean((2, 3))
        with torch.autocast(like.device.type, enabled=False):  # a loss of differences needs all bits of its logits
            logits = self.discriminators.head(domain)(features.to(like.dtype), told)
        sizes = [len(image) for image in images]
        parts = zip(images, features.split(sizes), logits.split(sizes), strict=True)
        return [Seen(Pass(*part), slice(None)) for part in parts]

    def play(self, turn: Turn, domain: str, fake: Tensor | None = None) -> Play:
        """One domain's turn of the discriminator as regularisers know it.

        Translations are judged beside S of their sources, all others beside S of the real images.

        Args:
            turn: The turn.
            domain: The domain.
            fake: Its translations; None to make them when they are asked for.
        """

        def generate(_: Tensor) -> Tensor:
            return fake if fake is not None else self.decoded({domain: turn.wanted(domain)})[domain]

        def no_style(*_: Tensor) -> Tensor:
            raise TypeError("a generator that takes images has no styles")

        def judge(image: Tensor, kind: str, track: bool) -> Seen:
            shown = image.detach().requires_grad_() if track else image
            beside = turn.wanted(domain) if kind == "fake" else turn.shared[domain]
            return self.see({domain: [shown]}, {domain: [beside]})[domain][0]

        real = turn.real[domain]
        draws, nothing = turn.draws.at(f"{turn.draws.phase}/{domain}"), real.new_zeros(len(real), 0)
        return Play(draws, real, nothing, generate, no_style, no_style, judge, moves_generator=False)
