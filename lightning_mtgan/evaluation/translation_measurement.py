"""One measurement of a Game that translates between domains: what comes out in each of them, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from lightning_mtgan.evaluation.domain_measurement import ByDomain, of_all, over_domains
from lightning_mtgan.evaluation.figures import Known
from lightning_mtgan.evaluation.judging import BATCH, Judged, Jury, Source, in_batches, never, stored
from lightning_mtgan.evaluation.measurement import Leave, Measurement
from lightning_mtgan.evaluation.opinions import Opinions
from lightning_mtgan.evaluation.protocol import Protocol
from lightning_mtgan.evaluation.reference import Reference
from lightning_mtgan.evaluation.restoration import CHUNK, decibels, squared_error, to_bytes
from lightning_mtgan.games import DomainView, Game, TranslationGame
from lightning_mtgan.types import TaskKind

SOURCE = "source@"
"""Name, which no task can have, of the number of the domain that an image was translated from."""


class TranslationMeasurement:
    """Measures the translations into each domain on its own data; see ``Measurement`` and ``DomainMeasurement``.

    Translation i into a domain is made of image i of the protocol's split of the (i mod n - 1)-th of the others.
    ``translation_accuracy/<task>@<domain>`` is the share of translations into a domain of which the jury says what is
    true of the image they were made of, ``translation_accuracy/<task>@<source>@<domain>`` of those from one source,
    and ``translation_accuracy/<task>`` the mean over domains. ``psnr/<domain>`` is of images that were encoded and
    decoded in their own domain. Nothing is said of memorisation: a translation of a training image may well be one.

    Args:
        jury: Who judges all domains.
        data: The data, with ``domains``.
        game: The Game.
        cache: Folder where judged real images are kept between runs; None for nowhere.
    """

    def __init__(self, jury: Jury, data: Any, game: TranslationGame, cache: Path | None) -> None:
        self.parts = {name: IntoDomain(jury, data, game, name, cache) for name in game.domains}

    def generate(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, Judged | None]:
        """Translations into each domain, judged."""
        return {name: part.generate(protocol, seed, leave) for name, part in self.parts.items()}

    def restorations(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, float]:
        """How near held-out images come back to what they were when they are translated to their own domain."""
        found = {name: part.restorations(protocol, seed, leave) for name, part in self.parts.items()}
        return over_domains(found)

    def real_images(
        self, protocol: Protocol, leave: Leave = never
    ) -> tuple[dict[str, Reference | None], dict[str, Known | None]]:
        """Real images of each domain to compare with, and none to search for copies."""
        real = {name: part.real_images(protocol, leave)[0] for name, part in self.parts.items()}
        return real, dict.fromkeys(real)

    def opinions(
        self, game: Game, protocol: Protocol, seed: int, leave: Leave = never
    ) -> dict[str, tuple[Opinions, ...] | None]:
        """What each domain's discriminator makes of training, held-out and translated images, each beside its own S."""
        assert isinstance(game, TranslationGame)
        return {name: part.opinions(View(game, name), protocol, seed, leave) for name, part in self.parts.items()}

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
        return {**figures, **accuracies(fake), **restorations}, facts


class View(DomainView):
    """One domain of a Game that translates, for whoever measures what it makes there."""

    def sample(self, *_: Any, **__: Any) -> Tensor:
        """Not without images."""
        return self.whole.sample(0)


class IntoDomain(Measurement):
    """Measures what comes out in one domain.

    Args:
        jury: Who judges.
        data: The data, with ``domains``.
        game: The Game.
        domain: The domain.
        cache: Folder where judged real images are kept between runs; None for nowhere.
    """

    def __init__(self, jury: Jury, data: Any, game: TranslationGame, domain: str, cache: Path | None) -> None:
        super().__init__(jury, data.domains[domain], View(game, domain), cache)
        self.whole, self.domain = game, domain
        self.others = {name: one for name, one in data.domains.items() if name != domain}

    def _num_made(self, wanted: int, protocol: Protocol) -> int:
        return min(wanted, *(len(one.dataset(protocol.split)) for one in self.others.values()))

    def _made(self, game: Game, protocol: Protocol, seed: int) -> Source:
        assert isinstance(game, View)
        images = {name: one.dataset(protocol.split) for name, one in self.others.items()}
        return translations(game.whole, self.jury, images, game.domain)

    def restorations(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, float]:
        """``psnr`` of this domain's reconstructions, in dB."""
        if protocol.num_restored_images == 0:
            return {}
        split, count = self._restored_images(protocol)

        def work(truth: Tensor, _: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
            again = to_bytes(translated(self.whole, truth, self.domain, self.domain))
            return {"": {"error": squared_error(again, truth)}}

        rows = in_batches(stored(self.data.dataset(split)), count, work, self.whole.device, leave)
        return {"psnr": decibels(rows[""]["error"].mean()).item()} if rows is not None else {}

    def figures(
        self,
        fake: Judged | None,
        real: Reference | None,
        known: Known | None,
        opinions: tuple[Opinions, ...] | None,
        protocol: Protocol,
        restorations: Mapping[str, float] = MappingProxyType({}),
    ) -> tuple[dict[str, float], dict[str, Any]] | None:
        """See ``Measurement``; the protocol says how many images there were."""
        found = super().figures(fake, real, known, opinions, protocol, restorations)
        if found is None or fake is None:
            return None
        split, count = self._restored_images(protocol)
        more = {"num_images": len(fake.features), "restored_split": split, "num_restored_images": count}
        return found[0], {**found[1], **more, "kid_subset_size": min(found[1]["kid_subset_size"], len(fake.features))}


def translations(game: TranslationGame, jury: Jury, images: Mapping[str, Any], target: str) -> Source:
    """Images of several domains in their own order, translated into another one; see ``TranslationMeasurement``.

    Args:
        game: The Game, in evaluation mode.
        jury: Whose extractor turns the images into bytes.
        images: The data sets of the sources, by domain.
        target: Where they are translated to.
    """
    sources, spec = list(images), game.spec.domains[target]
    numbers = torch.tensor([game.domains.index(name) for name in sources])
    tasks = [task for task in spec.tasks if task.kind is TaskKind.CLASSIFICATION]

    def batch(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        places = torch.arange(number * BATCH, number * BATCH + size)
        made = torch.empty(size, spec.num_channels, spec.image_size, spec.image_size, dtype=torch.uint8)
        wanted = {task.name: torch.full((size,), -1) for task in tasks}
        for index, source in enumerate(sources):
            mine = places % len(sources) == index
            if not mine.any():
                continue
            rows = images[source][places[mine]]
            made[mine] = jury.extractor.to_bytes(translated(game, rows["image"], source, target)).cpu()
            for name in wanted.keys() & rows["targets"].keys():
                wanted[name][mine] = rows["targets"][name].cpu()
        return made, {**wanted, SOURCE: numbers[places % len(sources)]}

    return batch


def translated(game: TranslationGame, image: Tensor, source: str, target: str) -> Tensor:
    """Images uint8 (N, C, H, W) of one domain in another, (N, C', H, W) in [-1, 1], a few at a time."""
    parts = (part.to(game.device, game.dtype) / 127.5 - 1 for part in image.split(CHUNK))
    return torch.cat([game.translate(part, source, target) for part in parts])


def accuracies(fakes: Mapping[str, Judged]) -> dict[str, float]:
    """How often translations show what their sources do: see ``TranslationMeasurement``.

    Args:
        fakes: Translations by domain, in the order of the Game's domains, judged.
    """
    domains, figures = list(fakes), dict[str, dict[str, float]]()
    for target, judged in fakes.items():
        for task, truth in judged.wanted.items():
            if task not in judged.predictions:
                continue
            right, known, own = judged.predictions[task] == truth, truth >= 0, figures.setdefault(task, {})
            groups = {f"{one}@{target}": judged.wanted[SOURCE] == index for index, one in enumerate(domains)}
            for name, rows in {target: known, **groups}.items():
                if bool((rows & known).any()):
                    own[name] = right[rows & known].double().mean().item()
    found: dict[str, float] = {}
    for task, own in figures.items():
        means = [own[name] for name in domains if name in own]
        found |= {f"translation_accuracy/{task}": fmean(means)} if means else {}
        found |= {f"translation_accuracy/{task}@{name}": value for name, value in own.items()}
    return found
