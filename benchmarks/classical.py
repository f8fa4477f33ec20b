"""What restores without learning: the best that classical methods make of the damaged images that a network gets.

The images are those of conf/mts4gan.yaml's final measurement: 500 patches of 32 x 32 pixels, of the split that it names
unless ``--split`` says another, damaged by the same chances. Each method's settings are tuned on 100 training patches,
never on these images; then it restores them once. Methods are told what no network is told: the true deviation of each
image's noise and the true kernel of its blur, the quality of its JPEG file, the small image itself. Of colourisation
the error of colour counts, of all else the PSNR. "Best" is the best on the measured images, in favour of these methods.

They are those of scikit-image, scipy, PIL and kornia, and three short ones written here out of scipy's parts: shrunk
cosine coefficients of sliding blocks, back-projection, and mean colours by luminance. Not here: Telea's
inpainting and Navier-Stokes, which are OpenCV's alone; wavelets, for which scikit-image needs PyWavelets; BM3D.

    python benchmarks/classical.py            # everything: about 8 minutes on one core
    python benchmarks/classical.py --table    # only print what is there
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from kornia.filters import bilateral_blur
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import median_filter
from scipy.signal import wiener as local_wiener
from skimage import filters
from skimage import restoration as skimage
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lightning_mtgan import corruptions
from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.config_files import merged
from lightning_mtgan.corruptions.strengths import between
from lightning_mtgan.data import Photos
from lightning_mtgan.draws import Draws, seed_of
from lightning_mtgan.evaluation.restoration import colour_error, damage, decibels, squared_error, to_bytes
from lightning_mtgan.networks.filling import filled

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "runs" / "benchmarks" / "classical.jsonl"
CONF = ROOT / "conf" / "mts4gan.yaml"
CONFIG = merged([ROOT / "conf" / "default.yaml", CONF], {})
DATA = Photos(image_size=32, held_out_regions=CONFIG["data"]["init_args"].get("held_out_regions", 0.0))
SPLIT: str = CONFIG["fidelity"]["final"].get("restored_split", "held_out")
SEED = seed_of("fidelity", 0)  # as callbacks/fidelity.py seeds the measurement
IMAGE_SIZE, NUM_IMAGES, NUM_TUNING, NUM_COLOURS = 32, 500, 100, 5000
CORRUPTIONS: dict[str, corruptions.Corruption] = {
    one.name: one
    for one in (
        corruptions.Colourisation(),
        corruptions.BoxInpainting(),
        corruptions.FreeFormInpainting(),
        corruptions.Denoising(),
        corruptions.SuperResolution(),
        corruptions.Deblurring(),
        corruptions.JPEGRestoration(),
    )
}
Array = NDArray[np.float64]
Settings = Mapping[str, float]


@dataclass
class Case:
    """Damaged images and what a classical method is told of them.

    Args:
        truth: What they were, uint8 (N, 3, H, W); for the figures alone.
        image: What is left, (N, 3, H, W) in [0, 1].
        known: 1 where a pixel is that of the truth, (N, 1, H, W).
        strength: Deviation of the noise in [0, 1], deviation of the blur in pixels, or the scale of JPEG's
            quantisation in units of its tables, (N,); 0 for other corruptions.
        small: The small images of super-resolution, (N, 3, h, w) in [0, 1].
    """

    truth: Tensor
    image: Tensor
    known: Tensor
    strength: Tensor
    small: Tensor


def case(corruption: corruptions.Corruption, truth: Tensor, seed: int) -> Case:
    """Images uint8 (N, 3, H, W) damaged as ``restoration_figures`` does."""
    image = truth.float() / 127.5 - 1
    damaged = damage(corruption, image, seed)
    draws = Draws(seed, 0, f"restoration/{corruption.name}")  # the same chances once more
    (share,) = Chances.of(image, draws, "restoration").uniform(1)
    strength = torch.zeros(len(truth))
    if isinstance(corruption, corruptions.Denoising):
        strength = between(share, corruption.sigma) / 255
    elif isinstance(corruption, corruptions.Deblurring):
        strength = between(share, corruption.sigma)
    elif isinstance(corruption, corruptions.JPEGRestoration):
        quality = between(share, corruption.quality)
        strength = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    return Case(truth, (damaged.image + 1) / 2, damaged.known, strength, avg_pool2d(truth.float() / 255, 2))


def each(restored: Callable[[Array, Case, int], Array], one: Case) -> Tensor:
    """Restored images (N, 3, H, W), one (H, W, 3) at a time."""
    images = one.image.double().movedim(1, 3).numpy()
    return torch.stack([torch.from_numpy(restored(image, one, row)) for row, image in enumerate(images)]).movedim(3, 1)


def by_channel(work: Callable[[Array], Array], image: Array) -> Array:
    """Each channel of (H, W, 3) by itself."""
    return np.stack([work(image[..., channel]) for channel in range(image.shape[2])], axis=2)


def untouched(one: Case) -> Tensor:
    """The damaged images."""
    return one.image


def median(one: Case, size: float) -> Tensor:
    """The median of a square."""
    return each(lambda image, _, __: median_filter(image, (int(size), int(size), 1), mode="reflect"), one)


def adaptive(one: Case, size: float, share: float) -> Tensor:
    """Wiener's filter by local mean and variance (Lee 1980), which is told the noise."""

    def work(image: Array, one: Case, row: int) -> Array:
        noise = (share * float(one.strength[row])) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):  # where all pixels are clamped there is no variance
            found = by_channel(lambda plane: local_wiener(plane, int(size), noise), image)
        return np.where(np.isfinite(found), found, image)

    return each(work, one)


def bilateral(one: Case, spread: float, share: float) -> Tensor:
    """The bilateral filter, its range in proportion to the damage."""
    parts = zip(one.image.split(50), one.strength.split(50), strict=True)
    return torch.cat(
        [bilateral_blur(image, 7, share * s, (spread, spread), color_distance_type="l2") for image, s in parts]
    )


def total_variation(one: Case, share: float) -> Tensor:
    """Least total variation, Chambolle 2004, its weight in proportion to the damage."""
    return each(
        lambda image, one, row: skimage.denoise_tv_chambolle(image, share * float(one.strength[row]), channel_axis=-1),
        one,
    )


def non_local_means(one: Case, patch: float, share: float) -> Tensor:
    """Means of similar patches, Buades et al. 2005, which are told the noise."""

    def work(image: Array, one: Case, row: int) -> Array:
        sigma = float(one.strength[row])
        return skimage.denoise_nl_means(
            image, int(patch), 9, h=share * sigma, sigma=sigma, fast_mode=False, channel_axis=-1
        )

    return each(work, one)


def sliding_cosines(one: Case, side: float, share: float) -> Tensor:
    """Small cosine coefficients of all blocks set to zero, Yu and Sapiro 2011 ("DCT image denoising")."""

    def work(image: Array, one: Case, row: int) -> Array:
        size, margin = int(side), int(side) - 1
        wide = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
        blocks = np.lib.stride_tricks.sliding_window_view(wide, (size, size), axis=(0, 1))  # (h, w, 3, size, size)
        spectrum = dctn(blocks, axes=(2, 3, 4), norm="ortho")
        keep = np.abs(spectrum) > share * float(one.strength[row])
        keep[..., 0, 0, 0] = True
        back = idctn(spectrum * keep, axes=(2, 3, 4), norm="ortho")
        weight = 1 / keep.sum((2, 3, 4))  # a block of few coefficients has lost most of its noise
        total, count = np.zeros_like(wide), np.zeros_like(wide[..., :1])
        height, width = weight.shape
        for down, across in itertools.product(range(size), repeat=2):
            at = (slice(down, down + height), slice(across, across + width))
            total[at] += weight[..., None] * back[..., down, across]
            count[at] += weight[..., None]
        return (total / count)[margin:-margin, margin:-margin]

    return each(work, one)


def _kernel(sigma: float) -> Array:
    """The blur's kernel, as far as ``Deblurring`` reaches."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def wiener_deconvolution(one: Case, balance: float) -> Tensor:
    """The Wiener-Hunt filter: mirrored to a period, an image blurred with reflection is one blurred in a circle."""

    def work(image: Array, one: Case, row: int) -> Array:
        height, width, _ = image.shape
        round_about = np.pad(image, ((0, height - 2), (0, width - 2), (0, 0)), mode="reflect")
        kernel = _kernel(float(one.strength[row]))
        return by_channel(lambda plane: skimage.wiener(plane, kernel, balance, clip=False), round_about)[
            :height, :width
        ]

    return each(work, one)


def richardson_lucy(one: Case, iterations: float) -> Tensor:
    """Richardson 1972, Lucy 1974, with the true kernel."""

    def work(image: Array, one: Case, row: int) -> Array:
        kernel, wide = _kernel(float(one.strength[row])), np.pad(image, ((15, 15), (15, 15), (0, 0)), mode="reflect")
        return by_channel(
            lambda plane: skimage.richardson_lucy(plane, kernel, int(iterations), filter_epsilon=1e-6), wide
        )[15:-15, 15:-15]

    return each(work, one)


def unsharp(one: Case, radius: float, amount: float) -> Tensor:
    """An unsharp mask."""
    axis = 2  # scikit-image 0.26 takes -1, too, but then writes other places of the result than it returns
    return each(lambda image, _, __: filters.unsharp_mask(image, radius, amount, channel_axis=axis), one)


def biharmonic(one: Case) -> Tensor:
    """Holes filled by the biharmonic equation."""
    return each(
        lambda image, one, row: skimage.inpaint_biharmonic(image, one.known[row, 0].numpy() == 0, channel_axis=-1), one
    )


def pushed_and_pulled(one: Case) -> Tensor:
    """What the generator begins with: ``filled``."""
    return filled(one.image, one.known)


def lanczos(one: Case) -> Tensor:
    """PIL's enlargement of the small images."""
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS))
        for plane in one.small.flatten(0, 1)
    ]
    return torch.from_numpy(np.stack(planes)).view_as(one.image)


def back_projection(one: Case, iterations: float) -> Tensor:
    """The bicubic enlargement, corrected until it shrinks to the small image, Irani and Peled 1991."""
    image = one.image
    for _ in range(int(iterations)):
        lack = one.small - avg_pool2d(image, 2)
        image = image + interpolate(lack, scale_factor=2, mode="bicubic", align_corners=False)
    return image


@cache
def colours(typical: str, bins: int) -> Tensor:
    """The mean or median a and b of training patches by luminance, (bins, 2)."""
    truth = DATA.dataset("train")[NUM_TUNING + torch.arange(NUM_COLOURS)]["image"]
    lab = rgb_to_lab(truth.float() / 255).movedim(1, 3).flatten(0, 2)
    grey = case(CORRUPTIONS["colourisation"], truth, SEED).image
    place = (rgb_to_lab(grey)[:, 0].flatten() / 100 * bins).long().clamp(0, bins - 1)
    middle = {"mean": lambda rows: rows.mean(0), "median": lambda rows: rows.median(0).values}[typical]
    found = [lab[place == one, 1:] for one in range(bins)]
    return torch.stack([middle(one) if len(one) else lab.new_zeros(2) for one in found])


def colours_by_luminance(one: Case, typical: str) -> Tensor:
    """Grey with the mean or median colour of its luminance."""
    bins = 50
    luminance = rgb_to_lab(one.image)[:, :1]
    ab = colours(typical, bins)[(luminance[:, 0] / 100 * bins).long().clamp(0, bins - 1)].movedim(3, 1)
    return lab_to_rgb(torch.cat([luminance, ab], dim=1))


def mean_colours(one: Case) -> Tensor:
    """The mean a and b of training patches by luminance."""
    return colours_by_luminance(one, "mean")


def median_colours(one: Case) -> Tensor:
    """The median a and b of training patches by luminance."""
    return colours_by_luminance(one, "median")


UNTOUCHED, OURS = "none", "push and pull"
Method = tuple[Callable[..., Tensor], dict[str, Sequence[float]]]
INPAINTING: dict[str, Method] = {"biharmonic": (biharmonic, {}), OURS: (pushed_and_pulled, {})}
METHODS: dict[str, dict[str, Method]] = {
    "colourisation": {
        "mean colour by luminance": (mean_colours, {}),
        "median colour by luminance": (median_colours, {}),
    },
    "box_inpainting": INPAINTING,
    "free_form_inpainting": INPAINTING,
    "denoising": {
        "median": (median, {"size": (3, 5, 7)}),
        "Wiener, local": (adaptive, {"size": (3, 5), "share": (0.85, 1.0, 1.2, 1.5, 2.0)}),
        "bilateral": (bilateral, {"spread": (1.2, 1.8, 2.5, 4.0), "share": (2.0, 3.0, 4.5)}),
        "total variation": (total_variation, {"share": (0.5, 0.7, 0.85, 1.0, 1.2)}),
        "non-local means": (non_local_means, {"patch": (3, 5, 7), "share": (0.6, 0.8, 1.0)}),
        "sliding cosines": (sliding_cosines, {"side": (8, 12, 16), "share": (2.5, 2.8, 3.1)}),
    },
    "super_resolution": {
        "Lanczos": (lanczos, {}),
        "unsharp mask": (unsharp, {"radius": (0.7, 1.0, 1.5), "amount": (0.2, 0.4, 0.6, 0.9)}),
        "back-projection": (back_projection, {"iterations": (1, 2, 3, 5, 10)}),
    },
    "deblurring": {
        "Wiener deconvolution": (wiener_deconvolution, {"balance": (3e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3e-2)}),
        "Richardson-Lucy": (richardson_lucy, {"iterations": (5, 10, 15, 20, 30, 50)}),
        "unsharp mask": (unsharp, {"radius": (1.0, 1.5, 2.0, 3.0), "amount": (0.25, 0.5, 1.0, 1.5)}),
    },
    "jpeg_restoration": {
        "bilateral": (bilateral, {"spread": (1.8, 2.5, 4.0, 6.0), "share": (0.02, 0.03, 0.05)}),
        "total variation": (total_variation, {"share": (0.002, 0.004, 0.006, 0.009, 0.013)}),
        "sliding cosines": (sliding_cosines, {"side": (6, 8, 12), "share": (0.035, 0.05, 0.07)}),
    },
}


def figures(one: Case, restored: Tensor) -> dict[str, float]:
    """As ``restoration_figures`` has them, known pixels being those of the truth."""
    image = to_bytes(2 * torch.where(one.known >= 1, one.image, restored.to(one.image.dtype)) - 1)
    error = squared_error(image, one.truth)
    return {
        "psnr": decibels(error.mean()).item(),
        "psnr_mean": decibels(error).mean().item(),
        "colour_error": colour_error(image, one.truth).mean().item(),
    }


def measure(name: str, method: str, split: str) -> dict[str, object]:
    """One row: a method with its best setting on training patches, on those of a split."""
    torch.set_num_threads(1)
    held_out = case(CORRUPTIONS[name], DATA.dataset(split)[torch.arange(NUM_IMAGES)]["image"], SEED)
    work, grid = METHODS[name].get(method, (untouched, {}))
    settings: list[Settings] = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(settings) > 1:
        tuning = case(
            CORRUPTIONS[name], DATA.dataset("train")[torch.arange(NUM_TUNING)]["image"], seed_of("tuning", SEED)
        )
        settings.sort(key=lambda one: figures(tuning, work(tuning, **one))["psnr"])
    start = time.process_time()
    found = figures(held_out, work(held_out, **settings[-1]))
    milliseconds = 1000 * (time.process_time() - start) / NUM_IMAGES
    row = {
        "split": split,
        "corruption": name,
        "method": method,
        "setting": settings[-1],
        "at_edge": at_edge(settings[-1], grid),
    }
    return {**row, **found, "milliseconds": milliseconds}


def at_edge(setting: Settings, grid: Mapping[str, Sequence[float]]) -> list[str]:
    """What stands at the end of its grid of more than two values, so that a wider one might do better."""
    return [name for name, values in grid.items() if len(values) > 2 and setting[name] in (values[0], values[-1])]


def read(path: Path = OUTPUT, split: str = SPLIT) -> list[dict[str, object]]:
    """The rows of a split that are there."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [row for row in rows if row["split"] == split]


def best(rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """The best row of each corruption, by the error of colour or the PSNR, less what the network itself begins with."""
    found = {}
    for name in METHODS:
        mine = [row for row in rows if row["corruption"] == name and row["method"] != OURS]
        if mine:
            sign = -1 if name == "colourisation" else 1
            figure = "colour_error" if name == "colourisation" else "psnr"
            found[name] = max(mine, key=lambda row: sign * float(row[figure]))  # type: ignore[arg-type]
    return found


def table(rows: list[dict[str, object]]) -> str:
    """A Markdown table, the best of each corruption in bold."""
    lines = ["| corruption | method | setting | PSNR, dB | colour error | ms an image |", "|---" * 6 + "|"]
    winners = best(rows)
    for name in METHODS:
        for row in [row for row in rows if row["corruption"] == name]:
            bold = "**" if row == winners[name] else ""
            setting = ", ".join(f"{key} {value:g}" for key, value in row["setting"].items())  # type: ignore[attr-defined]
            cells = [name, f"{bold}{row['method']}{bold}", setting, f"{bold}{row['psnr']:.2f}{bold}"]
            lines.append("| " + " | ".join([*cells, f"{row['colour_error']:.2f}", f"{row['milliseconds']:.1f}"]) + " |")
    gains = [
        float(row["psnr"]) - float(other["psnr"])  # type: ignore[arg-type]
        for name, row in winners.items()
        for other in rows
        if other["corruption"] == name and other["method"] == UNTOUCHED
    ]
    return "\n".join([*lines, "", f"mean gain of the best over the damaged images: {statistics.mean(gains):.2f} dB"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once, one thread each")
    parser.add_argument("--split", choices=list(DATA.splits), default=SPLIT)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["corruption"], row["method"]) for row in read(arguments.output, arguments.split)}
    jobs = [(name, method) for name in METHODS for method in (UNTOUCHED, *METHODS[name])]
    if not arguments.table:
        os.environ["OMP_NUM_THREADS"] = "1"  # of the processes, which begin afresh
        with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
            missing = [job for job in jobs if job not in done]
            work = partial(measure, split=arguments.split)
            for row in pool.map(work, *zip(*missing, strict=True)) if missing else []:
                with arguments.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    order = {job: place for place, job in enumerate(jobs)}
    rows = read(arguments.output, arguments.split)
    print(table(sorted(rows, key=lambda row: order[str(row["corruption"]), str(row["method"])])))


if __name__ == "__main__":
    main()
