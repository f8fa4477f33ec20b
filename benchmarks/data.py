"""Does training wait for data, and what does the first epoch cost? JPEG files of photographs, read by ImageFolder.

Three tables, each with its baseline, timed in turns within one process so that a noisy machine slows both sides:

- The first epoch: survey, decoding into the store and one pass over all images, beside opening every file once with
  Pillow, one after the other. Files are in the system's cache for both.
- The loader alone: images per second from the mapped file, and from a tensor in memory.
- Training: within one run of the default networks, blocks of steps that fetch their batches alternate with blocks that
  are given the same batch again and again.

    python benchmarks/data.py                       # CPU, about 8 minutes
    python benchmarks/data.py --accelerator gpu
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lightning_mtgan.cli import TrainingCommand
from lightning_mtgan.data import ImageFolder
from lightning_mtgan.data.photos import Photos
from lightning_mtgan.reporting import quiet_lightning

BLOCK = 10
"""Steps of one kind before the other has its turn."""
NETWORKS = ((8, 32), (32, 16))
"""Image size and width: the networks of conf/default.yaml, and those of conf/images.yaml at 32 pixels."""
WARMUP = 2
"""Blocks of each kind that do not count."""


def write_files(folder: Path, num_files: int, side: int) -> None:
    """Patches of photographs as JPEG files in two folders of classes."""
    images = Photos(image_size=128, num_images=num_files, seed=1).dataset("train")
    for index in range(num_files):
        pixels = images[torch.tensor([index])]["image"][0].movedim(0, 2).numpy()
        path = folder / ("even" if index % 2 == 0 else "odd") / f"{index:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(path, quality=92)


def read_all(folder: Path) -> float:
    """Seconds to decode every file once."""
    start = time.perf_counter()
    for path in folder.rglob("*.jpg"):
        with Image.open(path) as image:
            image.convert("RGB").load()
    return time.perf_counter() - start


def first_epoch(folder: Path, image_size: int) -> float:
    """Seconds to make the store and fetch every image once."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        images = ImageFolder(str(folder), image_size=image_size, cache=cache).dataset("train")
        for indices in torch.randperm(len(images)).split(64):
            images[indices]
        return time.perf_counter() - start


def loader_alone(folder: Path, image_size: int, cache: Path, resident: bool) -> float:
    """Images per second in random batches of 64."""
    images: Any = ImageFolder(str(folder), image_size=image_size, cache=str(cache)).dataset("train")
    if resident:
        images = images.resident(torch.device("cpu"), 1 << 40)
    order = torch.randint(len(images), (400, 64))
    start = time.perf_counter()
    for indices in order:
        images[indices]
    return order.numel() / (time.perf_counter() - start)


class Alternating:
    """A loader whose blocks of batches are fetched and constant in turn."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return 10**6  # one epoch of Lightning's: its end would fall into one kind of block

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        constant = next(batches)
        step = 0
        while True:
            yield next(batches) if step // BLOCK % 2 == 0 else {"constant": constant}
            step += 1


def training(
    arguments: argparse.Namespace, folder: Path, cache: Path, size: int, width: int, device_mib: int
) -> list[tuple[float, float]]:
    """Seconds of each block that fetched, and of the constant blocks around it."""
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as runs:
        built = TrainingCommand(
            [
                f"--config={Path(__file__).resolve().parents[1] / 'conf' / 'images.yaml'}",
                f"--data.root={folder}",
                f"--data.cache={cache}",
                f"--data.image_size={size}",
                f"--model.game.generator.width={width}",
                f"--model.game.trunk.width={width}",
                f"--data.device_mib={device_mib}",
                f"--runs={runs}",
                "--wandb=off",
                f"--trainer.max_steps={2 * BLOCK * (arguments.blocks + WARMUP)}",
                f"--trainer.accelerator={arguments.accelerator}",
                "--trainer.enable_progress_bar=false",
                "--ema.half_life_kimg=0",
            ]
        )
        built.trainer.callbacks = [one for one in built.trainer.callbacks if type(one).__name__ == "Record"]
        data, module = built.datamodule, built.model
        loader, arrive, step = data.train_dataloader, data.on_after_batch_transfer, module.training_step
        data.prepare_data = lambda: None
        data.train_dataloader = lambda: Alternating(loader())
        kept: dict[str, Any] = {}

        def arrived(batch: Any, dataloader_idx: int) -> Any:
            if "constant" not in batch:
                return arrive(batch, dataloader_idx)
            if not kept:
                kept.update(arrive(batch["constant"], dataloader_idx))
            return kept

        def timed(batch: Any, batch_idx: int) -> None:
            step(batch, batch_idx)
            if (batch_idx + 1) % BLOCK == 0:
                if arguments.accelerator == "gpu":
                    torch.cuda.synchronize()
                marks.append(time.perf_counter())

        data.on_after_batch_transfer, module.training_step = arrived, timed
        built.train()
    blocks = [after - before for before, after in itertools.pairwise(marks)]
    # The first difference is a constant block; from there on fetched and constant blocks alternate, and each
    # fetched block is compared with the mean of its neighbours, so that a drift of the machine cancels.
    before, fetched, after = blocks[0::2], blocks[1::2], blocks[2::2]
    pairs = [(f, (b + a) / 2) for b, f, a in zip(before, fetched, after, strict=False)]
    return pairs[WARMUP:]


def compare_first_epoch(arguments: argparse.Namespace, folder: Path) -> None:
    ratios = []
    for turn in range(arguments.turns):
        sides = [read_all(folder), first_epoch(folder, 32)]
        ratios.append(sides[1] / sides[0])
        say(f"turn {turn + 1}: Pillow {sides[0]:.2f} s, first epoch {sides[1]:.2f} s, ratio {ratios[-1]:.2f}")
    mean, deviation = statistics.mean(ratios), statistics.stdev(ratios)
    what = f"{arguments.files:,} JPEG files of {arguments.side} x {arguments.side}"
    say(f"{what}: the first epoch, store included, takes {mean:.2f} ± {deviation:.2f} times as long as Pillow alone")


def compare_training(
    arguments: argparse.Namespace, folder: Path, cache: Path, size: int, width: int, device_mib: int
) -> None:
    pairs = training(arguments, folder, cache, size, width, device_mib)
    speeds = [BLOCK * 64 / statistics.mean(side) for side in zip(*pairs, strict=True)]
    waits = [100 * (fetched / constant - 1) for fetched, constant in pairs]
    error = statistics.stdev(waits) / len(waits) ** 0.5
    place = "kept on the device" if device_mib else "mapped file"
    say(
        f"training, {size} pixels, width {width}, {place}: {speeds[0]:,.0f} images/s with data, {speeds[1]:,.0f} on a "
        f"constant batch; waiting {statistics.mean(waits):.2f} ± {error:.2f} % (mean of {len(waits)} "
        f"pairs of blocks and its standard error), median {statistics.median(waits):.2f} %"
    )


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--side", type=int, default=256, help="height and width of the files, in pixels")
    parser.add_argument("--turns", type=int, default=5, help="of the first epoch and of the loader")
    parser.add_argument("--blocks", type=int, default=40, help=f"of {BLOCK} steps of each kind")
    parser.add_argument("--accelerator", default="cpu", choices=["cpu", "gpu"])
    arguments = parser.parse_args()
    quiet_lightning()
    work = Path(tempfile.mkdtemp(prefix="data-benchmark"))
    try:
        folder, cache = work / "files", work / "cache"
        write_files(folder, arguments.files, arguments.side)
        read_all(folder)
        compare_first_epoch(arguments, folder)
        for resident in (False, True):
            speeds = [loader_alone(folder, 32, cache, resident) for _ in range(arguments.turns)]
            place = "a tensor in memory" if resident else "the mapped file"
            mean, deviation = statistics.mean(speeds), statistics.stdev(speeds)
            say(f"loader alone, 32 pixels, {place}: {mean:,.0f} ± {deviation:,.0f} images/s")
        for size, width in NETWORKS:
            for device_mib in (0, 1024)[: 2 if arguments.accelerator == "gpu" else 1]:
                compare_training(arguments, folder, cache, size, width, device_mib)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
