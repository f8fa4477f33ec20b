"""Time and peak memory of ``enhance`` on a photograph of 24 megapixels, by a network and by transforms.

The photograph is one of those that the package trains on, enlarged to 6000 x 4000 pixels, with noise as a camera's, and
saved as JPEG. Each way has a process of its own, whose largest resident memory the kernel tells; so the libraries that
the command imports count, too. Linux also counts what the process that starts it holds: so this one holds nothing.
"imports" is the command's help text: what the libraries alone take. The network is that of conf/mts4gan.yaml, a UNet of
width 16, after two steps, or that of ``--checkpoint``: what it has learned costs nothing.

    python benchmarks/large_photograph.py                     # about 5 minutes on two busy cores
    python benchmarks/large_photograph.py --only clahe --limit 2
    python benchmarks/large_photograph.py --checkpoint runs/mts4gan/version_0/checkpoints/best.ckpt --task denoising
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE = (6000, 4000)
NOISE = 4.0
"""Standard deviation, in grey levels."""
METHODS = ("clahe", "pipeline")
PROGRAM = [sys.executable, "-m", "lightning_mtgan"]


def write_photograph(path: Path) -> None:
    """In a process of its own, see above."""
    import torch
    from PIL import Image

    sys.path.insert(0, str(ROOT))
    from lightning_mtgan.data.photographs import photographs
    from lightning_mtgan.pictures import to_picture

    china = next(one for one in photographs(held_out=False) if one.name == "china")
    picture = to_picture(china.pixels / 127.5 - 1).resize(SIZE, Image.Resampling.BICUBIC)
    generator = torch.Generator().manual_seed(0)
    bands = []
    for band in picture.split():
        pixels = torch.frombuffer(bytearray(band.tobytes()), dtype=torch.uint8).view(SIZE[1], SIZE[0])
        noisy = pixels + NOISE * torch.randn(pixels.shape, generator=generator)
        bands.append(Image.fromarray(noisy.round().clamp(0, 255).byte().numpy()))
    Image.merge("RGB", bands).save(path, quality=92)


def fresh_checkpoint(folder: Path) -> Path:
    """That of a training of two steps."""
    command = [sys.executable, "train.py", f"--config={ROOT / 'conf' / 'mts4gan.yaml'}", f"--runs={folder}"]
    command += ["--trainer.max_steps=2", "--wandb=off", "--fidelity.every_kimg=0", "--fidelity.final=null"]
    command += ["--samples.every_kimg=0", "--trainer.enable_progress_bar=false"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return next(folder.rglob("last.ckpt"))


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and the largest resident memory, in GiB, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # subprocess itself does not say what one child has used
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="default: one that is made for it")
    parser.add_argument("--task", default="denoising", help="what the network does")
    parser.add_argument("--only", choices=["network", *METHODS], help=f"network, or one of {', '.join(METHODS)}")
    parser.add_argument("--limit", type=float, default=2.0, help="GiB that none may exceed")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make is not None:
        write_photograph(arguments.make)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = folder / "photograph.jpg"
        subprocess.run([sys.executable, __file__, f"--make={given}"], check=True)
        ways: dict[str, list[str]] = {"imports": ["--help"]}
        if arguments.only in (None, "network"):
            checkpoint = arguments.checkpoint or fresh_checkpoint(folder / "runs")
            ways["network"] = [f"--checkpoint={checkpoint.resolve()}", f"--task={arguments.task}"]
        ways |= {method: [f"--method={method}"] for method in METHODS if arguments.only in (None, method)}
        print(f"{SIZE[0]} x {SIZE[1]} pixels, {given.stat().st_size / 2**20:.1f} MiB of JPEG, {os.cpu_count()} cores")
        print("| way | seconds | peak memory, GiB | limit, GiB |\n|---|---|---|---|")
        worst = 0.0
        for way, more in ways.items():
            command = [*PROGRAM, "enhance", f"--input={given}", f"--output={folder / way}", *more]
            seconds, memory = measured(command)
            worst = max(worst, memory)
            print(f"| {way} | {seconds:.1f} | {memory:.2f} | {arguments.limit:g} |", flush=True)
    if worst > arguments.limit:
        raise SystemExit(f"{worst:.2f} GiB is more than {arguments.limit:g} GiB")


if __name__ == "__main__":
    main()
