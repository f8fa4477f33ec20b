"""How images look, whatever they should show: contrast, sharpness and colours, without a reference."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from lightning_mtgan.evaluation.onlooker import Onlooker

LEAST_SPREAD = 1e-6
"""A standard deviation below it is one of rounding: no distance is in units of it."""


class Appearance(Onlooker):
    """The looks of clean, damaged and restored images, see ``appearance`` and ``appearance_figures``."""

    def look(self, image: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See Onlooker."""
        return appearance(image)

    def figures(
        self, clean: Mapping[str, Tensor], damaged: Mapping[str, Tensor], restored: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """See Onlooker."""
        return appearance_figures(clean, damaged, restored)


def appearance(image: Tensor) -> dict[str, Tensor]:
    """The look of each image: contrast, sharpness, tenengrad, and of images in colour saturation and colourfulness.

    Args:
        image: uint8 (N, C, H, W), at least 3 x 3 pixels; in colour if C is 3.

    Returns:
        By name, each float64 (N,).
    """
    looks = {"contrast": rms_contrast(image), "sharpness": sharpness(image), "tenengrad": tenengrad(image)}
    if image.shape[1] == 3:
        looks |= {"saturation": saturation(image), "colourfulness": colourfulness(image)}
    return looks


def appearance_figures(
    clean: Mapping[str, Tensor], damaged: Mapping[str, Tensor], restored: Mapping[str, Tensor]
) -> dict[str, float]:
    """How restored images look, and how far that is from how clean ones do.

    ``<look>``, ``<look>_input`` and ``<look>_clean`` are means over restored, damaged and clean images. More is not
    better: what is processed too far has the most of all. So ``look_distance/<look>`` is the 1-Wasserstein distance
    between the look's distributions over restored and over clean images, in standard deviations of the clean ones,
    ``look_distance_input/<look>`` that of damaged images; ``look_distance`` and ``look_distance_input`` are means
    over looks. A look that all clean images have alike has no distance.

    Args:
        clean: What ``appearance`` found of clean images.
        damaged: The same of damaged ones, however many.
        restored: The same of restored ones.
    """
    figures = {}
    for look, rows in clean.items():
        figures[look] = restored[look].mean().item()
        figures[f"{look}_input"], figures[f"{look}_clean"] = damaged[look].mean().item(), rows.mean().item()
    for name, others in (("look_distance", restored), ("look_distance_input", damaged)):
        spreads = {look: rows.std(correction=0).item() for look, rows in clean.items()}
        distances = {
            f"{name}/{look}": float(wasserstein_distance(others[look].numpy(), clean[look].numpy())) / spread
            for look, spread in spreads.items()
            if spread > LEAST_SPREAD
        }
        figures |= distances | ({name: fmean(distances.values())} if distances else {})
    return figures


def rms_contrast(image: Tensor) -> Tensor:
    """The standard deviation of luminance over pixels, as a share of the range: 0 if flat, at most 0.5.

    Peli 1990 ("Contrast in complex images").
    """
    return luminance(image).flatten(1).std(1, correction=0) / 255


def sharpness(image: Tensor) -> Tensor:
    """The variance of luminance's Laplacian over 4 neighbours, inside the image, in squared grey levels.

    Pech-Pacheco et al. 2000 ("Diatom autofocusing in brightfield microscopy: a comparative study").
    """
    light = luminance(image)
    across = light[:, 1:-1, :-2] + light[:, 1:-1, 2:]
    down = light[:, :-2, 1:-1] + light[:, 2:, 1:-1]
    return (across + down - 4 * light[:, 1:-1, 1:-1]).flatten(1).var(1, correction=0)


def tenengrad(image: Tensor) -> Tensor:
    """The mean squared length of luminance's gradient by Sobel's filters (1, 2, 1) x (-1, 0, 1), inside the image.

    In squared grey levels; Krotkov 1988 ("Focusing").
    """
    light = luminance(image)
    smooth = light[:, :-2] + 2 * light[:, 1:-1] + light[:, 2:]
    across = smooth[:, :, 2:] - smooth[:, :, :-2]
    smooth = light[:, :, :-2] + 2 * light[:, :, 1:-1] + light[:, :, 2:]
    down = smooth[:, 2:] - smooth[:, :-2]
    return (across.square() + down.square()).flatten(1).mean(1)


def saturation(image: Tensor) -> Tensor:
    """The mean over pixels of HSV's saturation, (max - min) / max of the three channels, 0 of black: 0 to 1."""
    most, least = image.double().amax(1), image.double().amin(1)
    return ((most - least) / most.clamp(min=1)).flatten(1).mean(1)


def colourfulness(image: Tensor) -> Tensor:
    """How colourful people find an image, 0 if grey, around 100 if extremely so.

    Hasler and Süsstrunk 2003 ("Measuring colourfulness in natural images"), M^(3): of the differences red - green and
    (red + green) / 2 - blue, in grey levels, the standard deviations' length plus 0.3 times that of the means.
    """
    red, green, blue = image.double().flatten(2).unbind(1)
    opposed = torch.stack([red - green, (red + green) / 2 - blue], 1)
    deviation, mean = opposed.std(2, correction=0), opposed.mean(2)
    return torch.linalg.vector_norm(deviation, dim=1) + 0.3 * torch.linalg.vector_norm(mean, dim=1)


def luminance(image: Tensor) -> Tensor:
    """Grey levels of images uint8 (N, C, H, W), float64 (N, H, W).

    By the weights of ITU-R BT.601 if C is 3, else the channels' mean.
    """
    if image.shape[1] != 3:
        return image.double().mean(1)
    red, green, blue = image.int().unbind(1)
    return (299 * red + 587 * green + 114 * blue).double() / 1000
