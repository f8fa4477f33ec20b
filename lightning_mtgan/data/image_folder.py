"""ImageFolder: the images that people have, with a table, folders of classes, or nothing beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from lightning_mtgan.data.changes import ChangeName
from lightning_mtgan.data.files.kinds import Kind
from lightning_mtgan.data.files.stored import StoredImages
from lightning_mtgan.data.module import ImageDataModule
from lightning_mtgan.data.sampling import Sampling
from lightning_mtgan.data.summary import Summary, print_summary, summarise
from lightning_mtgan.errors import UserError
from lightning_mtgan.image_files import check_background
from lightning_mtgan.types import DataSpec, Measure

if TYPE_CHECKING:
    # pyarrow keeps a thread from its import on, which runs without tables, and forks of them, should do without.
    from lightning_mtgan.data.files.assembly import Assembled

NUM_SEEN_MAPS = 1_000
"""Maps that a summary looks at."""
NUM_PRINTED = 10
"""Notes that stand at the beginning of a training."""
NUM_NAMED = 5
"""Problems that an error names; all of them are in the file that it names, too."""


class ImageFolder(ImageDataModule):
    """Images of a folder or a zip archive; tasks follow from a table beside them or from folders of classes.

    Images may have any size and kind (grey, palette, transparent, 16 bit, CMYK, turned by EXIF). They
    are decoded once, into a mapped file that all ranks and workers share. Everything that cannot be
    used is named; by default nothing is left out silently: the training does not begin.

    Args:
        root: A folder, with whatever lies below it, or a zip archive, which is not unpacked.
        table: A CSV, TSV or Parquet file with a column ``file`` and one column for each task; null for
            the one in the folder or beside it, if there is one. Without a table, StyleGAN's
            ``dataset.json`` counts, and without that the folders of classes.
        kinds: What a column is, where it should not be inferred: classification, attribute,
            regression, dense (names of image files), or ignore.
        class_folders: Whether the first folder of each path is a class; null: where there is no table.
        image_size: Height and width that images are brought to, in pixels; null for the largest of 8,
            16, 32 and 64 that does not enlarge the typical image.
        channels: 1 for grey, 3 for colour; null for grey if no image has colour.
        fit: ``crop`` the middle square, ``stretch`` to a square, or ``pad`` to one.
        background: Red, green and blue behind transparent and padded pixels, 0 to 255.
        constraints: Measures of the image that the generator has to hit, by the task's name.
        spoiled_by: Changes of an image that make a task's targets false, by the task's name: colour, shift,
            flip, rotation, scale, cutout. An augmentation that does one of them is refused. Maps are
            known to be spoiled by all but colour.
        held_out_share: Share of the images that are never trained on, unless the folder has ``train``
            and ``val`` or ``test`` inside.
        max_broken_share: Share of files that may be unusable and left out, in [0, 1].
        max_enlargement: An image may be enlarged so many times.
        max_aspect_ratio: An image may be so many times as long as wide.
        follow_links: Whether symbolic links in the folder are followed.
        cache: Folder for the decoded images.
        device_mib: Up to so many MiB, the decoded images are kept on the device.
        batch_size: Images in the global batch, all ranks together.
        seed: Seed of the order.
        num_workers: Processes that fetch batches; 0 is fastest for mapped files.
        micro_batches: Parts of a batch that are trained on one after the other, to save memory.
        sampling: Which images are seen how often; null: each one once in an epoch.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(
        self,
        root: str,
        table: str | None = None,
        kinds: dict[str, Kind] = {},  # noqa: B006 - never changed
        class_folders: bool | None = None,
        image_size: int | None = None,
        channels: Literal[1, 3] | None = None,
        fit: Literal["crop", "stretch", "pad"] = "crop",
        background: tuple[int, int, int] = (255, 255, 255),
        constraints: dict[str, Measure] = {},  # noqa: B006
        spoiled_by: dict[str, list[ChangeName]] = {},  # noqa: B006
        held_out_share: float = 0.1,
        max_broken_share: float = 0.0,
        max_enlargement: float = 4.0,
        max_aspect_ratio: float = 4.0,
        follow_links: bool = False,
        cache: str = "data/cache",
        device_mib: int = 1024,
        batch_size: int = 64,
        seed: int = 0,
        num_workers: int = 0,
        micro_batches: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, micro_batches, sampling)
        if image_size is not None and (image_size < 4 or image_size & (image_size - 1)):
            raise UserError(f"data.image_size is {image_size}; give 4, 8, 16, 32, 64 ... pixels")
        for key, value in (("held_out_share", held_out_share), ("max_broken_share", max_broken_share)):
            if not 0 <= value < 1:
                raise UserError(f"data.{key} is {value}; give a share from 0 up to 1")
        for key, value in (("max_enlargement", max_enlargement), ("max_aspect_ratio", max_aspect_ratio)):
            if not value >= 1:
                raise UserError(f"data.{key} is {value}; give 1 or more")
        check_background(background)
        from lightning_mtgan.data.files.assembly import Request

        self.resident_bytes = device_mib << 20
        self.constraints, self.spoiled_by = constraints, spoiled_by
        self.max_broken_share = max_broken_share
        self._request = Request(
            root=root,
            table=table,
            kinds=kinds,
            class_folders=class_folders,
            image_size=image_size,
            channels=channels,
            fit=fit,
            background=background,
            max_enlargement=max_enlargement,
            max_aspect_ratio=max_aspect_ratio,
            held_out_share=held_out_share,
            follow_links=follow_links,
            cache=Path(cache),
        )

    @cached_property
    def _found(self) -> Assembled:
        """What lies there, whatever is wrong with it."""
        from lightning_mtgan.data.files.assembly import assemble

        return assemble(self._request)

    @cached_property
    def _data(self) -> Assembled:
        """What lies there, if little enough is wrong with it."""
        found = self._found
        problems, total = found.problems, len(found.problems) + sum(len(rows) for rows in found.rows.values())
        share = len(problems) / max(1, total)
        if share > self.max_broken_share:
            named = "; ".join(str(problem) for problem in problems[:NUM_NAMED])
            more = (
                f"; and {len(problems) - NUM_NAMED:,} more, all in {self._listed()}"
                if len(problems) > NUM_NAMED
                else ""
            )
            instead = f", or set data.max_broken_share to {share + 0.005:.2f} to leave them out" if share < 0.99 else ""
            raise UserError(
                f"data.root {self._request.root}: {len(problems):,} of {total:,} files cannot be used: {named}{more}. "
                f"Mend or remove them{instead}"
            )
        if len(found.rows["train"]) < 2:
            raise UserError(f"data.root {self._request.root} has {len(found.rows['train'])} training images; give some")
        return found

    def _listed(self) -> Path:
        """A file with all problems."""
        text = "".join(f"{problem}\n" for problem in self._found.problems)
        path = self._request.cache / f"problems-{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text)
        os.replace(partial, path)
        return path

    @property
    def splits(self) -> Mapping[str, str]:  # type: ignore[override]
        """In words, with the numbers of images."""
        data = self._data
        kind, root = data.format.in_words(), self._request.root
        words = {name: f"{len(rows):,} images of {root} ({kind})" for name, rows in data.rows.items()}
        return {"train": words["train"], "reference": words["train"], **words}

    def prepare_data(self) -> None:
        """Show what is about to be trained on."""
        print_summary(self.summary(), NUM_PRINTED)

    def dataset(self, split: str) -> StoredImages:
        """``reference`` is what is trained on."""
        return self._images(self._data, split)

    @staticmethod
    def _images(data: Assembled, split: str) -> StoredImages:
        rows = data.rows["train" if split == "reference" else split]
        labels = {column.name: column.target[rows] for column in data.columns if column.target is not None}
        maps = {column.name: data.store.arrays[column.name] for column in data.columns if column.files}
        has_map = {
            column.name: torch.from_numpy(data.store.whole[column.name])[rows]
            for column in data.columns
            if column.files
        }
        return StoredImages(
            data.store.arrays["image"], rows, labels, maps, has_map, tuple(data.names[row] for row in rows.tolist())
        )

    @cached_property
    def spec(self) -> DataSpec:  # type: ignore[override]
        """Size, channels and tasks, as they follow from the files."""
        return self._spec(self._data)

    def _spec(self, data: Assembled) -> DataSpec:
        from lightning_mtgan.data.files.specs import spec_of

        return spec_of(data, self._images(data, "train"), self.constraints, self.spoiled_by)

    def state_dict(self) -> dict[str, Any]:
        """What the training images and their labels are, for checkpoints."""
        return {"images": len(self.dataset("train")), "fingerprint": self._fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on with other images.

        Raises:
            UserError: If files or labels have changed since the checkpoint.
        """
        if state_dict and state_dict["fingerprint"] != self._fingerprint:
            raise UserError(
                f"data.root {self._request.root} is not what the checkpoint was trained on: {state_dict['images']:,} "
                f"training images then, {len(self.dataset('train')):,} now, or other labels; put it back, or "
                "start a new run"
            )

    @cached_property
    def _fingerprint(self) -> str:
        data = self._data
        digest = hashlib.sha256(data.store.digests[data.rows["train"].numpy()].tobytes())
        for column in data.columns:  # held-out images, too: they may have a class that no other has
            digest.update(repr((column.name, column.kind, column.labels, column.files)).encode())
            digest.update(column.target.numpy().tobytes() if column.target is not None else b"")
        return digest.hexdigest()[:16]

    def summary(self) -> Summary:
        """What lies there, with every problem by its name, whether or not the training would begin."""
        found = self._found
        looked, rows = found.survey, found.rows
        facts = {
            "images": ", ".join(f"{len(one):,} {name.replace('_', ' ')}" for name, one in rows.items()),
            "format": found.format.in_words(),
            "kept in": f"{found.store.folder} ({found.store.arrays['image'].nbytes >> 20:,} MiB)",
        }
        if looked.names:
            facts["files"] = (
                f"{looked.width.min()} x {looked.height.min()} to {looked.width.max()} x {looked.height.max()} pixels, "
                f"{int(looked.is_grey.sum()):,} grey and {int((~looked.is_grey).sum()):,} colour"
            )
        if looked.others:
            facts["other files"] = ", ".join(f"{count:,} {ending}" for ending, count in sorted(looked.others.items()))
        problems = [str(problem) for problem in found.problems]
        if len(found.rows["train"]) < 2:
            return Summary(facts, [], problems, list(found.notes))
        images = self._images(found, "train")
        some = images.targets_of(torch.arange(min(len(images), NUM_SEEN_MAPS)))
        tasks, warnings = summarise(self._spec(found).tasks, {**some, **images.labels}, images.has_target())
        return Summary(facts, tasks, problems, [*warnings, *found.notes])
