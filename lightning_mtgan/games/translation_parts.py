"""The networks of a Game that translates between domains, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lightning_mtgan.errors import UserError
from lightning_mtgan.games.domain_arena import DomainDiscriminators
from lightning_mtgan.networks import (
    AdversarialHead,
    DomainEncoder,
    LayeredTrunk,
    RepresentationDecoder,
    SideBySide,
)
from lightning_mtgan.types import DataSpec


def require_domains(spec: DataSpec) -> None:
    """Refuse data that one encoder cannot see.

    Raises:
        UserError: If there are not at least two domains of one size, or their channels do not go together.
    """
    if len(spec.domains) < 2:
        raise UserError(
            "TranslationGame translates between domains; take lightning_mtgan.data.Domains with two or more as data"
        )
    for name in spec.domains:
        if not name or set(name) & set("./@"):
            raise UserError(f"data.domains.{name}: a domain's name must not be empty or hold . / or @; rename it")
    first = next(iter(spec.domains))
    for name, one in spec.domains.items():
        if one.image_size != spec.domains[first].image_size:
            raise UserError(
                f"data.domains: images of {first} have {spec.domains[first].image_size} pixels and those of {name} "
                f"{one.image_size}, but one encoder sees all of them; give all domains one image_size"
            )
    kinds = sorted({one.num_channels for one in spec.domains.values()} - {1})
    if len(kinds) > 1:
        raise UserError(
            f"data.domains: there are images of {kinds[0]} and of {kinds[1]} channels, but one encoder sees all of "
            "them; besides grey ones, take one kind"
        )


def encoder_of(encoder: Callable[[DataSpec], DomainEncoder], spec: DataSpec) -> DomainEncoder:
    """One encoder for all domains, for as many channels as one of them has."""
    return encoder(replace(spec, num_channels=max(one.num_channels for one in spec.domains.values())))


def decoders_of(
    generator: Callable[[DataSpec, int, int], RepresentationDecoder],
    spec: DataSpec,
    encoder: DomainEncoder,
    num_shared: int | None,
) -> SideBySide:
    """The generators of all domains, of which the first layers may be the same."""
    if num_shared is not None and num_shared < 0:
        raise UserError(f"model.game.shared_generator_layers is {num_shared}; use 0 for none, or null for all")
    networks = {name: generator(one, encoder.num_features, encoder.num_halvings) for name, one in spec.domains.items()}
    return SideBySide(networks, num_shared, from_end=False)


def discriminators_of(
    trunk: Callable[[DataSpec], LayeredTrunk],
    adversarial_head: Callable[[int, int], AdversarialHead],
    spec: DataSpec,
    encoder: DomainEncoder,
) -> DomainDiscriminators:
    """A discriminator for each domain, whose head reads S, the mean over its places."""
    trunks = {name: trunk(one) for name, one in spec.domains.items()}
    heads = {name: adversarial_head(one.num_features, encoder.num_features) for name, one in trunks.items()}
    return DomainDiscriminators(SideBySide(trunks, 0, from_end=True), heads, {})
