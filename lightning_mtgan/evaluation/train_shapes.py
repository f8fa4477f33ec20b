"""Trains the judge of shapes: ``python -m lightning_mtgan.evaluation.train_shapes``.

Prints its accuracies and errors on held-out shapes, which it never sees while training and which are
never used to choose anything, and writes the weights that the package ships.
"""

from __future__ import annotations

import argparse
import os

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, cross_entropy, pad, smooth_l1_loss

from lightning_mtgan.data.rendering import SYMMETRY
from lightning_mtgan.data.shapes import Shapes
from lightning_mtgan.evaluation.shapes import CLASSES, NUMBERS, TASKS, WEIGHTS, ShapeNetwork, ShapesEvaluator, seen
from lightning_mtgan.tasks import make_tasks

BATCH = 64
NUM_IMAGES = 500_000
SIZES = (32, 32, 32, 64)
"""Heights of the images of one step after the other: most are shown as they are, some are reduced."""
NUM_HELD_OUT = 10_000
IMPORTANCE = {"position": 20.0, "size": 40.0, "angle": 2.0, "mask": 4.0}
"""Weights of the losses that are smaller than a cross-entropy; they bring all to the same order."""


def distort(image: Tensor, generator: torch.Generator) -> Tensor:
    """Blur, shift and stretch the channels' values, add noise: (N, 3, H, W) in [-1, 1]."""

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(image), *shape, generator=generator)

    blurred = avg_pool2d(pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    image = image + (blurred - image) * between(-0.8, 0.6, 1, 1, 1).clamp(min=0)  # half of them stay sharp
    image = image * between(0.85, 1.15, 3, 1, 1) + between(-0.08, 0.08, 3, 1, 1)
    noise = torch.randn(image.shape, generator=generator) * between(-0.1, 0.2, 1, 1, 1).clamp(min=0)
    return (image + noise).clamp(-1, 1)


def loss_of(network: ShapeNetwork, image: Tensor, targets: dict[str, Tensor]) -> Tensor:
    """The sum over all tasks for images (N, 3, 32, 32) in [-1, 1]."""
    maps = network.maps(image)
    features = network.features(maps[-1])
    heads = network.heads_of(features)
    losses = {name: cross_entropy(heads[name], targets[name], label_smoothing=0.02) for name in CLASSES}
    losses |= {name: smooth_l1_loss(heads[name], targets[name], beta=0.05) for name in NUMBERS}
    angle = network.angle(features, targets["shape"])
    shows_turn = torch.tensor(SYMMETRY)[targets["shape"]] > 0
    losses["angle"] = smooth_l1_loss(angle[shows_turn], targets["angle"][shows_turn], beta=0.2)
    logits = network.mask_logits(maps[0], maps[2], features)
    losses["mask"] = binary_cross_entropy_with_logits(logits, targets["mask"] / 255)
    return torch.stack([IMPORTANCE.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


def train(seed: int, num_steps: int) -> ShapeNetwork:
    """A trained network, in the mode for evaluation."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images = [Shapes(seed=seed, image_size=size, num_images=NUM_IMAGES, tasks=TASKS).dataset("train") for size in SIZES]
    network = ShapeNetwork().to(memory_format=torch.channels_last)  # a quarter faster
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, num_steps, pct_start=0.15)
    network.train()
    for step in range(num_steps):
        batch = images[step % len(images)][torch.randint(NUM_IMAGES, (BATCH,), generator=generator)]
        image = distort(seen(batch["image"]), generator).contiguous(memory_format=torch.channels_last)
        loss = loss_of(network, image, batch["targets"])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def held_out_figures(image_size: int) -> dict[str, float]:
    """Accuracies and mean absolute errors of the shipped judge on the first held-out shapes."""
    data = Shapes(image_size=image_size, tasks=TASKS)
    images, judge = data.dataset("held_out"), ShapesEvaluator()
    tasks = make_tasks(data.spec.tasks)
    totals: dict[str, float] = {}
    parts = torch.arange(NUM_HELD_OUT).split(500)
    for indices in parts:
        batch = images[indices]
        found = judge.predictions(batch["image"], judge.features(batch["image"]))
        for name, task in tasks.items():
            key, value = task.figure(found[name], batch["targets"][name])
            totals[key] = totals.get(key, 0.0) + value / len(parts)
    return totals


def main() -> None:
    """Train, write the weights, print what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_steps", type=int, default=9000)
    arguments = parser.parse_args()
    network = train(arguments.seed, arguments.num_steps)
    halves = {n: w.half() if w.is_floating_point() else w for n, w in network.state_dict().items()}
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    partial = WEIGHTS.with_suffix(".partial")
    torch.save(halves, partial)
    os.replace(partial, WEIGHTS)
    for image_size in (32, 64):
        figures = ", ".join(f"{name} {value:.4f}" for name, value in held_out_figures(image_size).items())
        print(f"seed {arguments.seed}, {NUM_HELD_OUT:,} held-out shapes of {image_size} pixels: {figures}")


if __name__ == "__main__":
    main()
