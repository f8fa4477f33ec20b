"""Trains the judge of digits in any domain: ``python -m lightning_mtgan.evaluation.train_digit_domains``.

Prints the accuracy in each domain on the last 360 digits of the file, the blended ones before patches
of the two held-out photographs; it never sees either while training and never uses them to choose
anything. Writes the weights that the package ships.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from lightning_mtgan.data.digit_domains import SIZES, Blended, Domain, DomainImages, Edges, Negative, Plain
from lightning_mtgan.data.handwriting import digits
from lightning_mtgan.data.photos import PhotoPatches
from lightning_mtgan.draws import seed_of
from lightning_mtgan.evaluation.digit_domains import SIDE, WEIGHTS, DomainNetwork
from lightning_mtgan.evaluation.shipped import in_colour
from lightning_mtgan.evaluation.train_digits import distort

MIXTURE: dict[Domain, int] = {Plain(): 16, Negative(): 16, Edges(): 32, Blended(): 64}
"""Images of each domain in a batch: the harder, the more."""
BATCH = sum(MIXTURE.values())
SHARES = (0.25, 0.6, 0.15)
"""How often each of the sizes is trained on."""
NUM_SCENERIES = 5
"""Choices of photographs' patches behind the held-out digits over which the accuracy is averaged."""


def varied(scenery: Tensor, generator: torch.Generator) -> Tensor:
    """Patches (N, 3, H, W) with channels exchanged, and some of them as negatives: there are few photographs."""
    order = torch.rand(len(scenery), 3, generator=generator).argsort(1)
    mixed = scenery[torch.arange(len(scenery))[:, None], order]
    is_negative = torch.rand((len(scenery), 1, 1, 1), generator=generator) < 0.3
    return torch.where(is_negative, 255 - mixed, mixed)


def mixture(digit: Tensor, scenery: Tensor) -> Tensor:
    """Digits uint8 (N, 1, H, W), each in one of the domains, as the network sees them."""
    parts = zip(MIXTURE, digit.split(list(MIXTURE.values())), strict=True)
    return torch.cat([in_colour(domain.show(part, lambda: scenery), SIDE) for domain, part in parts])


def train(seed: int, num_steps: int) -> DomainNetwork:
    """A trained network."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = DomainNetwork()
    images, labels = digits(held_out=False)
    small = images[:, None].float() / 127.5 - 1
    sceneries = {size: PhotoPatches(False, size, 200_000, seed_of("train digits", seed, size)) for size in SIZES}
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, num_steps)
    shares = torch.tensor(SHARES)
    network.train()
    for _ in range(num_steps):
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        size = SIZES[int(torch.multinomial(shares, 1, generator=generator))]
        large = interpolate(distort(small[chosen], generator), (size, size), mode="bilinear")
        digit = ((large + 1) * 127.5).round().to(torch.uint8)
        place = torch.randint(200_000, (MIXTURE[Blended()],), generator=generator)
        scenery = varied(sceneries[size][place]["image"], generator)
        image = mixture(digit, scenery)
        spoilt = 0.15 * torch.rand(BATCH, 1, 1, 1, generator=generator) ** 2
        image = image + spoilt * torch.randn(image.shape, generator=generator)
        loss = cross_entropy(network(image), labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: DomainNetwork, domain: Domain, image_size: int) -> float:
    """The share of held-out digits that are recognised in a domain."""
    right = []
    for number in range(NUM_SCENERIES if isinstance(domain, Blended) else 1):
        images = DomainImages(True, domain, image_size, seed_of("train digits", "held out", number))
        batch = images[torch.arange(len(images))]
        right.append(network(in_colour(batch["image"], SIDE)).argmax(1) == batch["targets"]["digit"])
    return torch.cat(right).double().mean().item()


def halved(network: DomainNetwork) -> dict[str, Tensor]:
    """The state of a network with its numbers in half the space."""
    return {name: one.half() if one.is_floating_point() else one for name, one in network.state_dict().items()}


def main() -> None:
    """Train, print the accuracies, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_steps", type=int, default=4000)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    network = train(arguments.seed, arguments.num_steps)
    network.load_state_dict(halved(network))  # what is measured is what is shipped
    for size in SIZES:
        each = ", ".join(f"{type(domain).__name__} {accuracy(network, domain, size):.4f}" for domain in MIXTURE)
        print(f"seed {arguments.seed}: accuracy at {size} pixels on the last 360 digits of the file: {each}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    torch.save(halved(network), partial)
    os.replace(partial, arguments.output)


if __name__ == "__main__":
    main()
