"""How a figure was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lightning_mtgan.errors import UserError
from lightning_mtgan.evaluation.judging import BATCH, Jury


@dataclass(frozen=True)
class Protocol:
    """How a figure was measured; it is written beside every figure.

    Args:
        num_images: Generated images behind FID, KID, MIND, Inception Score, modes and task accuracy, and
            real images as far as the split has so many.
        num_neighbour_images: Images on each side behind precision, recall, density, coverage and
            duplicates, as far as there are so many.
        num_neighbours: k of these.
        num_copy_images: Generated, training and held-out images that the discriminator judges, and
            generated and held-out images whose nearest training image is looked for.
        kid_subsets: Subsets of KID.
        kid_subset_size: Images in each.
        num_restored_images: Held-out images that a Game which takes images restores from each corruption, behind
            PSNR, SSIM and the error of colour; 0 leaves these out.
        restored_split: The data that these are from; ``split`` where there is no such data.
        split: The data that the generated images are compared with.
        seed: Seed of the generated images.
    """

    num_images: int = 5_000
    num_neighbour_images: int = 4_000
    num_neighbours: int = 5
    num_copy_images: int = 500
    kid_subsets: int = 100
    kid_subset_size: int = 1_000
    num_restored_images: int = 200
    restored_split: str = "held_out"
    split: str = "reference"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_images < 2 or self.num_neighbour_images <= self.num_neighbours or self.num_neighbours < 1:
            raise UserError(
                f"a protocol needs at least 2 images and more neighbour images than neighbours, not "
                f"num_images={self.num_images}, num_neighbour_images={self.num_neighbour_images}, "
                f"num_neighbours={self.num_neighbours}"
            )
        if self.num_restored_images < 0:
            raise UserError(f"a protocol's num_restored_images is {self.num_restored_images}; use 0 for none, or more")
        if self.num_copy_images < 0 or self.kid_subsets < 1 or self.kid_subset_size < 2:
            raise UserError(
                f"a protocol needs num_copy_images of 0 or more, kid_subsets of 1 or more and kid_subset_size of 2 or "
                f"more, not {self.num_copy_images}, {self.kid_subsets} and {self.kid_subset_size}"
            )


def require_enough(num_images: int, protocol: Protocol) -> None:
    """Refuse a split that is too small for a protocol.

    Raises:
        UserError: With the split and both numbers.
    """
    if num_images <= protocol.num_neighbours:
        raise UserError(
            f"split `{protocol.split}` has {num_images} images, too few for "
            f"{protocol.num_neighbours} neighbours; lower num_neighbours"
        )


def describe(
    protocol: Protocol, num_real: int, jury: Jury, splits: Mapping[str, str], device: torch.device
) -> dict[str, Any]:
    """The protocol in full, for ``summary.json``: numbers as they were used, extractor, splits, device."""
    facts = {
        **asdict(protocol),
        "num_real_images": num_real,
        "num_real_neighbour_images": min(protocol.num_neighbour_images, num_real),
        "kid_subset_size": min(protocol.kid_subset_size, protocol.num_images, num_real),
        "images_per_batch": BATCH,
        "device": device.type,
        "extractor": jury.extractor.get_name(),
        "extractor_checksum": jury.extractor.checksum,
        "resize": jury.extractor.resize,
        "image_type": "uint8",
        "feature_type": "float32",
        "trained_on": splits["train"],
        "compared_with": splits[protocol.split],
        "splits": dict(splits),
    }
    if jury.evaluator is not None:
        facts |= {"evaluator": jury.evaluator.get_name(), "evaluator_checksum": jury.evaluator.checksum}
    return facts


def in_short(facts: Mapping[str, Any]) -> str:
    """The protocol in one line, to stand beside each row of figures."""
    return (
        f"{facts['extractor']} {facts['extractor_checksum']}; resize {facts['resize']}; "
        f"{facts['num_images']} generated and {facts['num_real_images']} real images of {facts['split']}; "
        f"neighbours {facts['num_real_neighbour_images']} k={facts['num_neighbours']}; "
        f"KID {facts['kid_subsets']}x{facts['kid_subset_size']}; {facts['image_type']}, {facts['feature_type']}, "
        f"{facts['device']}; seed {facts['seed']}"
    )
