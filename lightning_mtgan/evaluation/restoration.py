"""How well a Game restores images: the error, the structure, the look and the colours of what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from kornia.color import rgb_to_lab
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from lightning_mtgan.augment.chances import Chances
from lightning_mtgan.corruptions import Corruption, Damaged
from lightning_mtgan.data.images import IndexedImages
from lightning_mtgan.draws import Draws
from lightning_mtgan.evaluation.judging import BATCH, Jury, Source, in_batches, never, stored
from lightning_mtgan.evaluation.onlooker import Onlooker, looked_at, told_by
from lightning_mtgan.evaluation.similarity import Similarity
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.transforms.strips import to_pixels

CHUNK = 50
"""Images in the generator at a time: it keeps features as large as they are."""
PEAK = 255.0
LEAST_ERROR = 0.25
"""Grey levels: a smaller root mean square error counts as one so large, or a perfect image had infinite PSNR."""
NUMBER = "number@"
"""Name, which no task can have, of the number of a batch."""
TOTALS = ("psnr", "psnr_gain", "ssim")
"""Figures of which there is also the mean over corruptions."""


def restoration_figures(
    game: ImageGame,
    images: IndexedImages,
    num_images: int,
    seed: int,
    similarity: Similarity | None = None,
    leave: Callable[[], bool] = never,
    onlookers: Sequence[Onlooker] = (),
) -> dict[str, float] | None:
    """How well each corruption is restored: all ranks call it, each works on its share of the batches.

    ``psnr/<corruption>`` (dB) of the mean squared error of all restored images, as of one large image, so that a
    flat patch does not weigh more than all others; ``psnr_input/<corruption>`` of the damaged ones, and
    ``psnr_gain/<corruption>``, the difference. ``psnr_mean/<corruption>``, the mean over images of each one's PSNR, and
    ``psnr_mean_input/<corruption>``. ``ssim/<corruption>`` and ``lpips/<corruption>``, means over images.
    ``colour_error/<corruption>`` and ``colour_error_input/<corruption>`` of images in colour. ``psnr``,
    ``psnr_gain`` and ``ssim`` are means over corruptions. All compare whole images of 8 bits, also where a part
    was known.

    Args:
        game: The Game, in evaluation mode.
        images: The truth, each at least 3 x 3 pixels.
        num_images: How many of them, from the first on, or all if there are fewer.
        seed: Seed of what is taken from them.
        similarity: LPIPS; None to leave it out.
        leave: See ``in_batches``.
        onlookers: Who also looks at the images; their figures are over all corruptions together.

    Returns:
        The figures on the first rank, None on the others.

    Raises:
        Abandoned: On all ranks, if one was to leave.
    """
    dtype, truths = game.dtype, stored(images)
    if similarity is not None:
        similarity.to(game.device)

    def numbered(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, targets = truths(number, size)
        return image, {**targets, NUMBER: torch.tensor(number)}

    def work(truth: Tensor, targets: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        image, number = truth.to(dtype) / 127.5 - 1, int(targets.pop(NUMBER))
        rows = looked_at(onlookers, "clean", truth, targets)
        for name, corruption in game.corruptions.items():
            damaged = damage(corruption, image, seed, number)
            restored = to_bytes(restore(game, damaged, [name] * len(image)))
            left = to_bytes(damaged.image)
            rows[name] = compare(truth, left, restored, similarity)
            rows |= looked_at(onlookers, f"damaged/{name}", left, targets)
            rows |= looked_at(onlookers, f"restored/{name}", restored, targets)
        return rows

    found = in_batches(numbered, min(num_images, len(images)), work, game.device, leave)
    if found is None:
        return None
    means = {name: _summed_up(found[name]) for name in game.corruptions}
    figures = {f"{figure}/{name}": mean for name, rows in means.items() for figure, mean in rows.items()}
    figures |= told_by(onlookers, found, game.corruptions)
    return figures | {figure: sum(rows[figure] for rows in means.values()) / len(means) for figure in TOTALS}


def _summed_up(rows: Mapping[str, Tensor]) -> dict[str, float]:
    """The figures of one corruption, from those of each image."""
    means = {figure: row.mean() for figure, row in rows.items()}
    after, before = (decibels(means.pop(name)).item() for name in ("error", "error_input"))
    pooled = {"psnr": after, "psnr_input": before, "psnr_gain": after - before}
    return pooled | {figure: mean.item() for figure, mean in means.items()}


def restored(game: ImageGame, jury: Jury, images: IndexedImages, seed: int) -> Source:
    """Images of a data set in its own order, each damaged and restored, with the targets of the truth.

    Image i suffers corruption i mod J of J; each batch is a function of (seed, number of the batch).

    Args:
        game: The Game, in evaluation mode.
        jury: Whose extractor turns the images into bytes.
        images: The truth; no more can be asked for than there are.
        seed: Seed of what is taken from them.
    """
    dtype, truths = game.dtype, stored(images)
    names, corruptions = list(game.corruptions), list(game.corruptions.values())

    def batch(number: int, size: int) -> tuple[Tensor, dict[str, Tensor]]:
        truth, targets = truths(number, size)
        image, first = truth.to(game.device, dtype) / 127.5 - 1, number * BATCH
        left, known = torch.empty_like(image), torch.empty_like(image[:, :1])
        for index, corruption in enumerate(corruptions):
            rows = slice((index - first) % len(names), None, len(names))
            if len(image[rows]):
                part = damage(corruption, image[rows], seed, number)
                left[rows], known[rows] = part.image, part.known
        what = [names[(first + row) % len(names)] for row in range(size)]
        return jury.extractor.to_bytes(restore(game, Damaged(left, known), what)), targets

    return batch


def damage(corruption: Corruption, image: Tensor, seed: int, number: int = 0) -> Damaged:
    """Images (N, C, H, W) in [-1, 1] without what a corruption takes, on any rank the same.

    Args:
        corruption: What happens to them.
        image: The images.
        seed: Seed of the measurement.
        number: Number of the batch.
    """
    draws = Draws(seed, number, f"restoration/{corruption.name}", device=image.device)
    return corruption(image, Chances.of(image, draws, "restoration"))


def restore(game: ImageGame, damaged: Damaged, names: Sequence[str]) -> Tensor:
    """What ``game.restore`` returns, a few images at a time."""
    parts = [slice(first, first + CHUNK) for first in range(0, len(names), CHUNK)]
    return torch.cat([game.restore(damaged[part], names[part]) for part in parts])


def to_bytes(image: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, by rounding: what a saved file would hold."""
    return to_pixels(image.float())


def compare(truth: Tensor, damaged: Tensor, restored: Tensor, similarity: Similarity | None) -> dict[str, Tensor]:
    """Figures of each image, by name, each float64 (N,).

    Args:
        truth: What the images were, uint8 (N, C, H, W).
        damaged: What was left of them, of the same shape.
        restored: What came back, of the same shape.
        similarity: LPIPS; None to leave it out.
    """
    parts = zip(truth.split(CHUNK), damaged.split(CHUNK), restored.split(CHUNK), strict=True)
    rows = [_compared(*part, similarity) for part in parts]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _compared(truth: Tensor, damaged: Tensor, restored: Tensor, similarity: Similarity | None) -> dict[str, Tensor]:
    before, after = squared_error(damaged, truth), squared_error(restored, truth)
    figures = {"error": after, "error_input": before, "psnr_mean": decibels(after), "psnr_mean_input": decibels(before)}
    figures["ssim"] = ssim(restored, truth)
    if similarity is not None:
        figures["lpips"] = similarity.distance(restored, truth)
    if truth.shape[1] == 3:
        figures["colour_error"] = colour_error(restored, truth)
        figures["colour_error_input"] = colour_error(damaged, truth)
    return {name: figure.double() for name, figure in figures.items()}


def squared_error(image: Tensor, truth: Tensor) -> Tensor:
    """The mean squared error of each image uint8 (N, C, H, W), in squared grey levels, float64 (N,)."""
    squares = (image.int() - truth.int()).square().flatten(1)
    return squares.sum(1, dtype=torch.int64).double() / squares.shape[1]


def decibels(error: Tensor) -> Tensor:
    """The peak signal-to-noise ratio 10 log10(255^2 / error) of mean squared errors, in dB.

    An error of less than a quarter of a grey level counts as a quarter: nothing has more than 60.2 dB.
    """
    return 10 * (PEAK**2 / error.clamp(min=LEAST_ERROR**2)).log10()


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image uint8 (N, C, H, W), in dB, float64 (N,)."""
    return decibels(squared_error(image, truth))


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each image, float32 (N,), 1 if it is the truth.

    Wang et al. 2004 ("Image quality assessment: from error visibility to structural similarity", equation 13):
    Gaussian windows of 11 x 11 pixels with a deviation of 1.5, K1 = 0.01, K2 = 0.03, the mean over the windows
    that lie inside the image and over channels. In a smaller image the window is the largest odd one that fits,
    and its deviation smaller in proportion.

    Args:
        image: uint8 (N, C, H, W), at least 3 x 3 pixels.
        truth: Of the same shape.
    """
    reach = min(5, (min(truth.shape[2:]) - 1) // 2)  # pixels of the window to each side of its middle
    _, places = structural_similarity_index_measure(
        image.float(), truth.float(), sigma=0.3 * reach, reduction="none", data_range=PEAK, return_full_image=True
    )
    return places[:, :, reach:-reach, reach:-reach].flatten(1).mean(1)


def colour_error(image: Tensor, truth: Tensor) -> Tensor:
    """How far the colours of each image are off, whatever its brightness, float32 (N,).

    The distance in the a, b plane of CIE 1976 L*a*b* under D65, the mean over pixels; 0 for the truth.

    Args:
        image: uint8 (N, 3, H, W), sRGB.
        truth: Of the same shape.
    """
    colours = rgb_to_lab(image.float() / 255)[:, 1:] - rgb_to_lab(truth.float() / 255)[:, 1:]
    return torch.linalg.vector_norm(colours, dim=1).flatten(1).mean(1)
