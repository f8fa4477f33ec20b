"""Domains: several data sets at once, for Games that learn one image distribution each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.data.module import ImageDataModule, whole_batches
from lightning_mtgan.data.order import BatchOrder
from lightning_mtgan.data.sampling import Shuffled
from lightning_mtgan.data.streams import Streamed
from lightning_mtgan.data.summary import Summary
from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.types import DataSpec


class Domains(lightning.LightningDataModule):
    """Serves a batch of each domain in every step: ``{"domains": {name: batch}}``.

    An epoch is one pass over the domain that lasts longest; the others are shuffled anew and go on,
    so that none is cut to the shortest.

    Args:
        domains: The data of each domain, by its name; their own batch sizes, seeds and workers do not count.
        paired: Whether image i of each domain shows the same thing; pairs are matched by the names of
            their files without endings where there are files, by their place otherwise.
        batch_size: Images of each domain in the global batch, all ranks together.
        batch_sizes: Another number for single domains, by name.
        seed: Seed of the data and of their order.
        num_workers: Processes that fetch batches; 0 is fastest for images in memory.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.

    Raises:
        UserError: If there are no domains, or a number is out of range.
    """

    def __init__(
        self,
        domains: dict[str, ImageDataModule],
        paired: bool = False,
        batch_size: int = 64,
        batch_sizes: dict[str, int] = {},  # noqa: B006 - never changed
        seed: int = 0,
        num_workers: int = 0,
        micro_batches: int = 1,
    ) -> None:
        super().__init__()
        if not domains:
            raise UserError("data.domains is empty; give at least one data set by its name")
        if paired and (batch_sizes or any(type(one.sampling) is not Shuffled for one in domains.values())):
            raise UserError(
                "data.paired is true, so all domains have one order; leave data.batch_sizes and their samplings away"
            )
        streamed = next((name for name, one in domains.items() if isinstance(one, Streamed)), None)
        if streamed is not None:
            raise UserError(f"data.domains.{streamed} is Streamed, whose order is its own; use data with an index")
        for name in batch_sizes:
            if name not in domains:
                raise UserError(f"data.batch_sizes names `{name}`; the domains are {', '.join(domains)}")
        for key, value in {"batch_size": batch_size, **{f"batch_sizes.{n}": b for n, b in batch_sizes.items()}}.items():
            if value < 1:
                raise UserError(f"data.{key} is {value}; it must be at least 1")
        if num_workers < 0 or micro_batches < 1:
            raise UserError(
                f"data.num_workers is {num_workers} and data.micro_batches {micro_batches}; "
                "use 0 or more workers and 1 or more parts"
            )
        self.domains, self.paired, self.seed = domains, paired, seed
        self.batch_size, self.num_workers, self.micro_batches = batch_size, num_workers, micro_batches
        self.batch_sizes = {name: batch_sizes.get(name, batch_size) for name in domains}
        for domain in domains.values():
            domain.seed = seed
        self._resident: dict[str, IndexedImages] = {}

    @property
    def first(self) -> ImageDataModule:
        """The domain that stands for all where only one can."""
        return next(iter(self.domains.values()))

    @cached_property
    def spec(self) -> DataSpec:
        """That of the first domain, with those of all domains."""
        specs = {name: domain.spec for name, domain in self.domains.items()}
        one = self.first.spec
        return replace(one, domains=specs)

    @property
    def splits(self) -> Mapping[str, str]:
        """Those of the first domain, and ``domain/split`` for each."""
        every = {f"{name}/{split}": words for name, one in self.domains.items() for split, words in one.splits.items()}
        return {**self.first.splits, **every}

    def dataset(self, split: str) -> IndexedImages:
        """The images of ``domain/split``, or of a split of the first domain."""
        name, separator, inner = split.partition("/")
        return self.domains[name].dataset(inner) if separator else self.first.dataset(split)

    def prepare_data(self) -> None:
        """Each domain shows what it is."""
        for domain in self.domains.values():
            domain.prepare_data()

    def state_dict(self) -> dict[str, Any]:
        """What each domain keeps, for checkpoints."""
        return {name: domain.state_dict() for name, domain in self.domains.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let each domain refuse what it cannot go on with."""
        for name, domain in self.domains.items():
            domain.load_state_dict(state_dict.get(name, {}))

    def summary(self) -> Summary:
        """All domains, one after the other."""
        whole = Summary({}, [])
        for name, domain in self.domains.items():
            one = domain.summary()
            whole.facts |= {f"{name}: {fact}": value for fact, value in one.facts.items()}
            whole.tasks += [task.of(name) for task in one.tasks]
            whole.problems += [f"{name}: {problem}" for problem in one.problems]
            whole.notes += [f"{name}: {note}" for note in one.notes]
        return whole

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this rank from the present step on."""
        trainer = self.trainer
        assert trainer is not None
        images = {name: domain.dataset("train") for name, domain in self.domains.items()}
        if self.paired:
            images = pair(images)
        orders = {
            name: BatchOrder(
                domain.sampling.stream(images[name], self.seed if self.paired else seed_of(self.seed, "domain", name)),
                self.batch_sizes[name],
                trainer.global_rank,
                trainer.world_size,
                step=lambda: trainer.global_step,
                micro_batches=self.micro_batches,
            )
            for name, domain in self.domains.items()
        }
        device = trainer.strategy.root_device
        self._resident = {
            name: resident
            for name, one in images.items()
            if self.domains[name].keeps_images_on(device)
            and (resident := one.resident(device, self.domains[name].resident_bytes)) is not None
        }
        fetched = _DomainImages({name: one for name, one in images.items() if name not in self._resident})
        return whole_batches(fetched, _DomainOrder(orders), self.num_workers, device)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Images that are kept on the device are fetched there."""
        kept = {name: images[batch["domains"][name]["places"]] for name, images in self._resident.items()}
        return {"domains": {**batch["domains"], **kept}}


class PairedImages(IndexedImages):
    """Images in another order, or some of them.

    Args:
        images: The images.
        places: Which of them, int64 (N,).
    """

    def __init__(self, images: IndexedImages, places: Tensor) -> None:
        self.images, self.places = images, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, indices: Tensor) -> dict[str, Any]:
        return self.images[self.places[indices]]


def pair(images: Mapping[str, IndexedImages]) -> dict[str, IndexedImages]:
    """The same images, with those that belong together at the same place.

    Raises:
        UserError: If an image has no partner.
    """
    names = {domain: one.pair_keys() for domain, one in images.items()}
    first = next(iter(images))
    for domain, one in images.items():
        if len(one) != len(images[first]):
            raise UserError(
                f"data.paired is true, but {first} has {len(images[first]):,} training images and {domain} {len(one):,}"
            )
    if any(known is None for known in names.values()):
        return dict(images)
    wanted = sorted(names[first] or ())
    paired: dict[str, IndexedImages] = {}
    for domain, one in images.items():
        place = {name: index for index, name in enumerate(names[domain] or ())}
        if len(place) < len(one):
            again = Counter(names[domain] or ()).most_common(1)[0][0]
            raise UserError(f"data.paired is true, but {domain} has several images called {again}; rename all but one")
        lost = next((name for name in wanted if name not in place), None)
        if lost is not None:
            raise UserError(
                f"data.paired is true, but {domain} has no training image {lost} as {first} does; make folders "
                "train and val in each, or set held_out_share to 0"
            )
        paired[domain] = PairedImages(one, torch.tensor([place[name] for name in wanted]))
    return paired


class _DomainOrder(Sampler[dict[str, Tensor]]):
    """The batches of all orders, side by side."""

    def __init__(self, orders: Mapping[str, BatchOrder]) -> None:
        self.orders = orders

    def __len__(self) -> int:
        return max(len(order) for order in self.orders.values())

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batches in zip(*self.orders.values(), strict=True):
            yield dict(zip(self.orders, batches, strict=True))


class _DomainImages(Dataset[dict[str, Any]]):
    """A batch of each domain; only places of those that are kept elsewhere."""

    def __init__(self, images: Mapping[str, IndexedImages]) -> None:
        self.images = images

    def __getitem__(self, indices: dict[str, Tensor]) -> dict[str, Any]:
        return {
            "domains": {
                name: self.images[name][places] if name in self.images else {"places": places}
                for name, places in indices.items()
            }
        }
