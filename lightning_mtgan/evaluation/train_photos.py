"""Trains the judge of photographs: ``python -m lightning_mtgan.evaluation.train_photos``.

One corner of each training photograph (the lower right 40 % of its height and width) is kept out: no
patch that touches it is trained on. Prints how many patches within these corners are told apart, and
how many patches of the two held-out photographs are turned upright and brought to their scale (by chance:
seven photographs do not teach what is up in an eighth); none of these is used to choose anything.
Writes the weights that the package ships.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, pad, relu, smooth_l1_loss

from lightning_mtgan.data.photographs import HELD_OUT, TRAINING
from lightning_mtgan.data.photos import SCALES, PhotoPatches
from lightning_mtgan.draws import seed_of
from lightning_mtgan.evaluation.photos import NUM_FEATURES, SIDE, WEIGHTS, PhotoNetwork
from lightning_mtgan.evaluation.shipped import in_colour

BATCH = 128
KEPT_OUT = 0.6
"""The corner that is kept out begins at this share of the height and of the width."""
SHARES = {16: 0.15, 32: 0.5, 64: 0.2, 128: 0.15}
"""How often patches of a size, all of which the network sees at its own, are trained on."""
GRID = 4
"""Rows and columns of fields in which a photograph is divided, to ask where a patch is from."""
LOWEST = -1.0
"""Of the binary logarithm of pixels of a photograph along one pixel that the network sees."""
NUM_SCALES = 11
"""Half octaves from the lowest scale to the highest."""


def extent(patches: PhotoPatches) -> tuple[Tensor, Tensor]:
    """Where patches begin and end, as a share of height and width, each (N, 2)."""
    size = patches.pyramids.size[patches.photograph, patches.scale]
    return patches.place / size, (patches.place + patches.image_size) / size


def octave(patches: PhotoPatches, indices: Tensor) -> Tensor:
    """The scale at which the network sees patches, in half octaves from the lowest, int64 (N,)."""
    seen_at = torch.tensor(SCALES)[patches.scale[indices]] * patches.image_size / SIDE
    return ((seen_at.log2() - LOWEST) * 2).round().long()


class Lessons(nn.Module):
    """What is asked about an image besides its photograph, while training."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = {"rotation": 4, "scale": NUM_SCALES, "field": len(TRAINING) * GRID**2}
        self.choices = nn.ModuleDict({name: nn.Linear(NUM_FEATURES, size) for name, size in self.sizes.items()})
        self.numbers = nn.Linear(NUM_FEATURES, 3 * 3 + 2)

    def loss(self, features: Tensor, classes: dict[str, Tensor], numbers: Tensor) -> Tensor:
        """Cross-entropy of each class (N,) and smooth L1 of the numbers (N, 11)."""
        found = 2 * smooth_l1_loss(self.numbers(features), numbers)
        for name, head in self.choices.items():
            found = found + 0.5 * cross_entropy(head(relu(features)), classes[name])
        return found


def distort(image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the images blurred, noisy, tinted, grey or in other colours, as those of a generator may be.

    Args:
        image: (N, 3, 32, 32) in [-1, 1].
        generator: Draws how much.

    Returns:
        The images, and how much each is blurred and how noisy it is, (N, 2), from 0 to 1.
    """
    count = len(image)

    def amount(*shape: int) -> Tensor:
        """Nothing for half of the images, otherwise from 0 to 1."""
        return (2 * torch.rand((count, *shape), generator=generator) - 1).clamp(min=0)

    blur, noise = amount(1, 1, 1), amount(1, 1, 1)
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    window = (kernel[:, None] * kernel).expand(3, 1, 5, 5)
    image = image + blur * (conv2d(pad(image, (2, 2, 2, 2), mode="replicate"), window, groups=3) - image)
    tint = amount(1, 1, 1) * torch.randn((count, 3, 1, 1), generator=generator)
    image = (image + 1) * (0.2 * tint).exp() - 1
    order = torch.rand((count, 3), generator=generator).argsort(1)
    order[torch.rand(count, generator=generator) < 0.7] = torch.arange(3)
    image = image[torch.arange(count)[:, None], order]
    is_grey = torch.rand((count, 1, 1, 1), generator=generator) < 0.2
    image = torch.where(is_grey, image.mean(1, keepdim=True), image)
    image = image + 0.3 * noise * torch.randn(image.shape, generator=generator)
    return image.clamp(-1, 1), torch.cat([blur, noise], dim=1).flatten(1)


def described(image: Tensor) -> Tensor:
    """Mean, deviation and logarithm of the texture of each channel, (N, 9), all of about the same size."""
    mean, spread = image.mean((2, 3)), image.std((2, 3))
    energy = image.diff(dim=2).square().mean((2, 3)) + image.diff(dim=3).square().mean((2, 3))
    return torch.cat([2 * mean, 4 * spread, 0.5 * (energy + 1e-4).log() + 2], dim=1)


def train(seed: int, num_steps: int) -> tuple[PhotoNetwork, Lessons]:
    """A trained network, and what it was trained with besides."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network, lessons = PhotoNetwork(), Lessons()
    every = {side: PhotoPatches(False, side, 200_000, seed_of("train photos", seed, side)) for side in SHARES}
    allowed = {side: (extent(one)[1] <= KEPT_OUT).any(1).nonzero()[:, 0] for side, one in every.items()}
    sides, shares = list(SHARES), torch.tensor(list(SHARES.values()))
    quarter = torch.arange(BATCH) * 4 // BATCH
    parameters = [*network.parameters(), *lessons.parameters()]
    optimizer = torch.optim.AdamW(parameters, 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, num_steps)
    network.train()
    for _ in range(num_steps):
        side = sides[int(torch.multinomial(shares, 1, generator=generator))]
        patches = every[side]
        chosen = allowed[side][torch.randint(len(allowed[side]), (BATCH,), generator=generator)]
        upright, spoilt = distort(in_colour(patches[chosen]["image"], SIDE), generator)
        image = torch.cat([part.rot90(turn, (2, 3)) for turn, part in enumerate(upright.chunk(4))])
        label = patches.photograph[chosen]
        middle = torch.stack(extent(patches)).mean(0)[chosen]
        field = ((middle * GRID).long() * torch.tensor([GRID, 1])).sum(1)
        classes = {"rotation": quarter, "scale": octave(patches, chosen), "field": label * GRID**2 + field}
        features = network.features(image)
        loss = lessons.loss(features, classes, torch.cat([described(image), 2 * spoilt.sqrt()], dim=1))
        loss = loss + cross_entropy(network.logits(features), label, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval(), lessons


def halved(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network with its numbers in half the space."""
    return {name: one.half() if one.is_floating_point() else one for name, one in network.state_dict().items()}


@torch.no_grad()
def knows_photographs(network: PhotoNetwork, side: int, most: int = 4000) -> str:
    """How many patches of a size, from the corners kept out and at most so many, are told apart."""
    patches = PhotoPatches(False, side, 50_000, seed_of("train photos", "corners", side))
    inside = (extent(patches)[0] >= KEPT_OUT).all(1).nonzero()[:most, 0]
    right = (
        network.logits(network.features(in_colour(patches[inside]["image"], SIDE))).argmax(1)
        == patches.photograph[inside]
    )
    return f"{share_by(right, patches.photograph[inside], TRAINING)} of {len(inside)} patches of {side} pixels"


@torch.no_grad()
def knows_others(network: PhotoNetwork, lessons: Lessons) -> tuple[str, str]:
    """How many patches of the held-out photographs are turned upright, and brought to their scale."""
    others = PhotoPatches(True, SIDE, 2000, seed_of("train photos", "others"))
    image, octaves = in_colour(others[torch.arange(2000)]["image"], SIDE), octave(others, torch.arange(2000))
    features = [network.features(image.rot90(turn, (2, 3))) for turn in range(4)]
    turned = torch.cat([lessons.choices["rotation"](relu(one)).argmax(1) == turn for turn, one in enumerate(features)])
    rotation = share_by(turned, others.photograph.repeat(4), HELD_OUT)
    lowest = int(octaves.min())
    possible = slice(lowest, lowest + len(SCALES))
    off = (lessons.choices["scale"](relu(features[0]))[:, possible].argmax(1) + lowest - octaves).abs()
    near = (off <= 1).double().mean().item()
    return rotation, f"{share_by(off == 0, others.photograph, HELD_OUT)}, within half an octave {near:.3f}"


def share_by(right: Tensor, photograph: Tensor, names: Sequence[str]) -> str:
    """The share of right answers, also by photograph, in words."""
    each = [right[photograph == label].double().mean().item() for label in range(len(names))]
    words = ", ".join(f"{name} {value:.3f}" for name, value in zip(names, each, strict=True))
    return f"{right.double().mean().item():.4f} ({words})"


def main() -> None:
    """Train, print what is known, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_steps", type=int, default=3000)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    network, lessons = train(arguments.seed, arguments.num_steps)
    network.load_state_dict(halved(network))  # what is measured is what is shipped
    for side in SHARES:
        print(f"seed {arguments.seed}: photograph {knows_photographs(network, side)} in corners kept out")
    rotation, scale = knows_others(network, lessons)
    print(f"seed {arguments.seed}: rotation (of 4) {rotation}, scale (of {len(SCALES)}) {scale} on other photographs")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    torch.save(halved(network), partial)
    os.replace(partial, arguments.output)


if __name__ == "__main__":
    main()
