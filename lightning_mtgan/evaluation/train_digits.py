"""Trains the judge of handwritten digits: ``python -m lightning_mtgan.evaluation.train_digits``.

Prints the accuracy on the last 360 digits of the file, which it never sees while training and never
uses to choose anything, and writes the weights that the package ships.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from lightning_mtgan.data.handwriting import digits
from lightning_mtgan.evaluation.digits import WEIGHTS, DigitNetwork

BATCH = 128


def distort(image: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate up to 20 degrees, scale by 15 %, shear, shift by a pixel and add noise: (N, 1, 8, 8)."""

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    count = len(image)
    angle, scale = between(-math.pi / 9, math.pi / 9, count), between(0.85, 1.15, count)
    shear, shift = between(-0.25, 0.25, count), between(-0.3, 0.3, count, 2)
    rows = torch.stack(
        [
            angle.cos() * scale,
            -angle.sin() * scale + shear,
            shift[:, 0],
            angle.sin() * scale,
            angle.cos() * scale,
            shift[:, 1],
        ],
        dim=1,
    )
    grid = affine_grid(rows.view(count, 2, 3), list(image.shape), align_corners=False)
    moved = grid_sample(image + 1, grid, align_corners=False) - 1
    noise = torch.randn(image.shape, generator=generator) * between(0, 0.1, count, 1, 1, 1)
    return (moved + noise).clamp(-1, 1)


def train(seed: int, num_steps: int) -> tuple[DigitNetwork, float]:
    """A trained network and its accuracy on the held-out digits."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = DigitNetwork()
    images, labels = digits(held_out=False)
    images = images[:, None].float() / 127.5 - 1
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, num_steps)
    network.train()
    for _ in range(num_steps):
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        image, label = distort(images[chosen], generator), labels[chosen]
        other = torch.randperm(BATCH, generator=generator)
        share = float(torch.rand((), generator=generator)) ** 4  # mostly one image, sometimes a mixture
        logits = network((1 - share) * image + share * image[other])
        loss = (1 - share) * cross_entropy(logits, label, label_smoothing=0.05)
        loss = loss + share * cross_entropy(logits, label[other], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    held_images, held_labels = digits(held_out=True)
    with torch.no_grad():
        guess = network(held_images[:, None].float() / 127.5 - 1).argmax(1)
    return network, (guess == held_labels).double().mean().item()


def main() -> None:
    """Train, print the accuracy, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_steps", type=int, default=4000)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    arguments = parser.parse_args()
    network, accuracy = train(arguments.seed, arguments.num_steps)
    print(f"seed {arguments.seed}: accuracy {accuracy:.4f} on the last 360 digits of the file")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    torch.save(network.state_dict(), partial)
    os.replace(partial, arguments.output)


if __name__ == "__main__":
    main()
