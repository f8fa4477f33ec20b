"""One measurement of a Game of several domains: of each domain as of any Game, and of how they agree."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

from torch import Tensor

from lightning_mtgan.evaluation.figures import Known
from lightning_mtgan.evaluation.judging import Judged, Jury, never
from lightning_mtgan.evaluation.measurement import Leave, Measurement
from lightning_mtgan.evaluation.opinions import Opinions
from lightning_mtgan.evaluation.protocol import Protocol
from lightning_mtgan.evaluation.reference import Reference
from lightning_mtgan.evaluation.similarity import Similarity
from lightning_mtgan.figure_names import in_domain, is_of_a_class
from lightning_mtgan.games import DomainGame, Game, TranslationGame

ByDomain = Mapping[str, Any]


class Measures(typing.Protocol):
    """What ``Measurement`` and ``DomainMeasurement`` have in common: what one step returns, the next one takes."""

    def generate(self, protocol: Protocol, seed: int, leave: Leave = never) -> Any:
        """Generated images, judged."""

    def restorations(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, float]:
        """How near damaged images come back to what they were."""

    def real_images(self, protocol: Protocol, leave: Leave = never) -> tuple[Any, Any]:
        """Real images to compare with, and those to search for copies."""

    def opinions(self, game: Any, protocol: Protocol, seed: int, leave: Leave = never) -> Any:
        """What discriminators make of training, held-out and generated images."""

    def figures(
        self,
        fake: Any,
        real: Any,
        known: Any,
        opinions: Any,
        protocol: Protocol,
        restorations: Mapping[str, float] = MappingProxyType({}),
    ) -> tuple[dict[str, float], dict[str, Any]] | None:
        """Every figure, and the protocol in full; None on all ranks but the first."""


class DomainMeasurement:
    """Measures each domain of a Game on its own data, all with the same latents; see ``Measurement``.

    ``<figure>/<domain>``, ``<figure>/<task>@<domain>`` and ``<figure>/<task>@<domain>/<class>`` are a domain's figures.
    ``<figure>`` and ``<figure>/<task>`` are means over domains; classes have none: they break down in one domain, among
    the others of that domain. ``agreement/<task>`` is the share of latents whose images in two domains show the same
    by the jury, the mean over pairs of domains, and ``agreement/<task>@<one>@<other>`` that of a pair.

    Args:
        jury: Who judges all domains.
        data: The data, with ``domains``.
        game: The Game.
        cache: Folder where judged real images are kept between runs; None for nowhere.
    """

    def __init__(self, jury: Jury, data: Any, game: DomainGame, cache: Path | None) -> None:
        self.parts = {name: Measurement(jury, one, game.view(name), cache) for name, one in data.domains.items()}

    def generate(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, Judged | None]:
        """Generated images of each domain, judged."""
        return {name: part.generate(protocol, seed, leave) for name, part in self.parts.items()}

    def restorations(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, float]:
        """Nothing: no images are restored."""
        return {}

    def real_images(
        self, protocol: Protocol, leave: Leave = never
    ) -> tuple[dict[str, Reference | None], dict[str, Known | None]]:
        """Real images of each domain to compare with, and those to search for copies."""
        found = {name: part.real_images(protocol, leave) for name, part in self.parts.items()}
        return {name: real for name, (real, _) in found.items()}, {name: known for name, (_, known) in found.items()}

    def opinions(
        self, game: Game, protocol: Protocol, seed: int, leave: Leave = never
    ) -> dict[str, tuple[Opinions, ...] | None]:
        """What each domain's discriminator makes of training, held-out and generated images."""
        assert isinstance(game, DomainGame)
        return {name: part.opinions(game.view(name), protocol, seed, leave) for name, part in self.parts.items()}

    def figures(
        self,
        fake: ByDomain,
        real: ByDomain,
        known: ByDomain,
        opinions: ByDomain,
        protocol: Protocol,
        restorations: Mapping[str, float] = MappingProxyType({}),
    ) -> tuple[dict[str, float], dict[str, Any]] | None:
        """Every figure, and the protocol in full; None on all ranks but the first."""
        found = {
            name: part.figures(fake[name], real[name], known[name], opinions[name], protocol)
            for name, part in self.parts.items()
        }
        whole = of_all(found, self.parts, protocol)
        if whole is None:
            return None
        figures, facts = whole
        return figures | agreements({name: one.predictions for name, one in fake.items()}), facts


def of_all(
    found: Mapping[str, tuple[dict[str, float], dict[str, Any]] | None],
    parts: Mapping[str, Measurement],
    protocol: Protocol,
) -> tuple[dict[str, float], dict[str, Any]] | None:
    """Figures and facts of all domains from those of each; None where one has none, as on all ranks but the first."""
    done = {name: one for name, one in found.items() if one is not None}
    if len(done) < len(found):
        return None
    figures = over_domains({name: figures for name, (figures, _) in done.items()})
    facts = next(facts for _, facts in done.values())
    return figures, facts | {"domains": {name: part.data.splits[protocol.split] for name, part in parts.items()}}


def over_domains(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure that all domains have, and each domain's own: see ``DomainMeasurement``.

    Args:
        figures: Figures by domain and name.
    """
    common = set.intersection(*(set(own) for own in figures.values()))
    first = next(iter(figures.values()))
    shared = [name for name in first if name in common and not is_of_a_class(name)]
    means = {name: fmean(own[name] for own in figures.values()) for name in shared}
    return means | {in_domain(name, domain): value for domain, own in figures.items() for name, value in own.items()}


def agreements(predictions: Mapping[str, Mapping[str, Tensor]]) -> dict[str, float]:
    """How often images of the same latents show the same in two domains, by task: see ``DomainMeasurement``.

    Args:
        predictions: What the jury made of each domain's images, by domain and task; classes, int64 (N,), count.
    """
    figures: dict[str, float] = {}
    tasks = dict.fromkeys(task for own in predictions.values() for task in own)
    for task in tasks:
        known = {name: own[task] for name, own in predictions.items() if task in own and own[task].ndim == 1}
        pairs = {
            f"agreement/{task}@{one}@{other}": (known[one] == known[other]).double().mean().item()
            for one, other in combinations(known, 2)
        }
        if pairs:
            figures |= {f"agreement/{task}": fmean(pairs.values()), **pairs}
    return figures


def measurement_of(
    jury: Jury, data: Any, game: Game, cache: Path | None, similarity: Similarity | None = None
) -> Measures:
    """What measures a Game of this kind; the arguments are those of ``Measurement``."""
    if isinstance(game, DomainGame):
        return DomainMeasurement(jury, data, game, cache)
    if isinstance(game, TranslationGame):
        # Here, because that file builds on this one.
        from lightning_mtgan.evaluation.translation_measurement import TranslationMeasurement

        return TranslationMeasurement(jury, data, game, cache)
    return Measurement(jury, data, game, cache, similarity)
