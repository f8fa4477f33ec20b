"""One measurement of a Game: a pass over generated images, and what is kept of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lightning_mtgan.evaluation.appearance import Appearance
from lightning_mtgan.evaluation.downstream import Downstream
from lightning_mtgan.evaluation.figures import Known, measure
from lightning_mtgan.evaluation.judging import Judged, Jury, Source, generated, judge, never, stored
from lightning_mtgan.evaluation.onlooker import Onlooker
from lightning_mtgan.evaluation.opinions import Opinions, ask, calibration, overfitting
from lightning_mtgan.evaluation.protocol import Protocol, describe
from lightning_mtgan.evaluation.recognition import recognition_figures
from lightning_mtgan.evaluation.reference import Reference, References
from lightning_mtgan.evaluation.restoration import restoration_figures, restored
from lightning_mtgan.evaluation.similarity import Similarity
from lightning_mtgan.games import Game, ImageGame

Leave = Callable[[], bool]
"""Whether this rank has something better to do; see ``in_batches``."""


class Measurement:
    """Measures a Game on a data set, again and again; real images are judged once.

    Every method is called by all ranks; results are on the first.

    Args:
        jury: Who judges.
        data: The data, with ``splits`` and ``dataset``.
        game: The Game.
        cache: Folder where judged real images are kept between runs; None for nowhere.
        similarity: Also compares restored images with the truth, of a Game that takes images; None for none.
    """

    def __init__(
        self, jury: Jury, data: Any, game: Game, cache: Path | None, similarity: Similarity | None = None
    ) -> None:
        self.jury, self.data, self.game, self.similarity = jury, data, game, similarity
        self.references = References(jury, cache)

    def generate(self, protocol: Protocol, seed: int, leave: Leave = never) -> Judged | None:
        """Generated images, judged; of a Game that takes images, those of the protocol's split restored."""
        num_images, source = self._num_made(protocol.num_images, protocol), self._made(self.game, protocol, seed)
        return judge(source, num_images, self.jury, self.game.spec.tasks, self.game.device, leave)

    def _num_made(self, wanted: int, protocol: Protocol) -> int:
        has_images = isinstance(self.game, ImageGame)  # which it cannot restore more of than there are
        return min(wanted, len(self.data.dataset(protocol.split))) if has_images else wanted

    def _made(self, game: Game, protocol: Protocol, seed: int) -> Source:
        if isinstance(game, ImageGame):
            return restored(game, self.jury, self.data.dataset(protocol.split), seed)
        return generated(game, self.jury, seed)

    def restorations(self, protocol: Protocol, seed: int, leave: Leave = never) -> dict[str, float]:
        """How near held-out images come back to what they were, how they look, and what can be recognised in them.

        Nothing of a Game that takes none.
        """
        if not isinstance(self.game, ImageGame) or protocol.num_restored_images == 0:
            return {}
        split, count = self._restored_images(protocol)
        images, onlookers = self.data.dataset(split), self._onlookers()
        found = restoration_figures(self.game, images, count, seed, self.similarity, leave, onlookers) or {}
        return found | recognition_figures(self.game, images, count, seed, leave)

    def _onlookers(self) -> list[Onlooker]:
        evaluator = self.jury.evaluator
        return [Appearance(), *([Downstream(evaluator, self.game.spec.tasks)] if evaluator is not None else [])]

    def _restored_images(self, protocol: Protocol) -> tuple[str, int]:
        """The split that images are restored from, and how many."""
        name = protocol.restored_split
        split = name if name in self.data.splits and len(self.data.dataset(name)) > 0 else protocol.split
        return split, min(protocol.num_restored_images, len(self.data.dataset(split)))

    def real_images(self, protocol: Protocol, leave: Leave = never) -> tuple[Reference | None, Known | None]:
        """Real images to compare with, and those to search for copies."""
        real = self._reference(protocol.split, protocol.num_images, leave)
        if not self._looks_for_copies(protocol):
            return real, None
        train = self._reference("train", protocol.num_images, leave)
        held_out = self._reference("held_out", protocol.num_copy_images, leave)
        return real, Known(train, held_out) if train is not None and held_out is not None else None

    def opinions(self, game: Game, protocol: Protocol, seed: int, leave: Leave = never) -> tuple[Opinions, ...] | None:
        """What the discriminator makes of training, held-out and generated images.

        Args:
            game: The Game with the parameters that it plays with, not their average.
            protocol: How many images.
            seed: Seed of the generated ones.
            leave: See ``in_batches``.
        """
        if not self._looks_for_copies(protocol):
            return None
        splits = [self.data.dataset(split) for split in ("train", "held_out")]
        sources = [(stored(images), min(len(images), protocol.num_copy_images)) for images in splits]
        sources.append((self._made(game, protocol, seed), self._num_made(protocol.num_copy_images, protocol)))
        found = [ask(game, source, num_images, leave) for source, num_images in sources]
        return tuple(one for one in found if one is not None) or None

    def figures(
        self,
        fake: Judged | None,
        real: Reference | None,
        known: Known | None,
        opinions: tuple[Opinions, ...] | None,
        protocol: Protocol,
        restorations: Mapping[str, float] = MappingProxyType({}),
    ) -> tuple[dict[str, float], dict[str, Any]] | None:
        """Every figure, and the protocol in full; None on all ranks but the first."""
        if fake is None or real is None:
            return None
        game = self.game
        figures = measure(fake, real, game.spec.tasks, protocol, self.jury, known, game.obeys)
        if opinions is not None:
            train, held_out, made = opinions
            figures |= overfitting(train, held_out, made) | calibration(held_out, game.tasks)
        figures |= restorations
        facts = describe(protocol, len(real.features), self.jury, self.data.splits, game.device)
        if isinstance(game, ImageGame):
            split, count = self._restored_images(protocol)
            facts |= {"num_images": len(fake.features), "restored_split": split, "num_restored_images": count}
            facts["kid_subset_size"] = min(facts["kid_subset_size"], len(fake.features))
        if self.similarity is not None and restorations:
            facts["similarity_checksum"] = self.similarity.checksum
        return figures, facts

    def _looks_for_copies(self, protocol: Protocol) -> bool:
        return protocol.num_copy_images > 0 and self._has_held_out()

    def _has_held_out(self) -> bool:
        return "held_out" in self.data.splits and len(self.data.dataset("held_out")) > 0

    def _reference(self, split: str, num_images: int, leave: Leave) -> Reference | None:
        images = self.data.dataset(split)
        return self.references.get(split, images, num_images, self.game.spec.tasks, self.game.device, leave)
