"""The words for every figure of a run: the one place that the page and the panels take them from.

A figure's columns in ``metrics.csv`` are its name, or ``<name>/<task>`` where there is one of it for each
task; figures of single classes are ``<name>/<task>/<class>``, losses ``loss/<phase>/<loss>``. Of one domain
of several, they are ``<name>/<domain>``, ``<name>/<task>@<domain>`` and ``<name>/<task>@<domain>/<class>``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

LOWER, HIGHER = "lower is better", "higher is better"


class Figure(NamedTuple):
    """How a figure is called, what it says, and which way is better.

    Args:
        title: Its name in words.
        about: What it says.
        better: Which way is better, where one is.
        short: The title where there is little room; empty where it is short itself.
        each: What there is one of it for, if not one for the whole run: its columns are ``<name>/<each>``.
        beside: The name of another figure that belongs into the same chart.
    """

    title: str
    about: str = ""
    better: str = ""
    short: str = ""
    each: str = ""
    beside: str = ""

    @property
    def label(self) -> str:
        """The short title."""
        return self.short or self.title

    @property
    def explanation(self) -> str:
        """What it says, and which way is better."""
        return "; ".join(part for part in (self.about, self.better) if part)


FIDELITY = {
    "fid": Figure(
        "Fréchet inception distance (FID)",
        "distance of features as of two Gaussians; it chooses the best checkpoint",
        LOWER,
        short="FID",
    ),
    "kid": Figure("Kernel inception distance (KID)", "kernel distance of features, unbiased", LOWER, short="KID"),
    "mind": Figure(
        "Monge inception distance (MIND)",
        "distance of features along random directions, for few images",
        LOWER,
        short="MIND",
    ),
    "inception_score": Figure("Inception score", "sure and diverse classes", HIGHER),
    "precision": Figure("Precision", "generated images that look real", HIGHER),
    "recall": Figure("Recall", "real images that the generator reaches", HIGHER),
    "density": Figure("Density", "precision, robust to outliers", HIGHER),
    "coverage": Figure("Coverage", "recall, robust to outliers", HIGHER),
    "modes": Figure("Modes", "combinations of classes that appear", HIGHER),
    "modes_kl": Figure(
        "KL divergence of the modes from uniform",
        "how unevenly they appear, beside the least that as many images can show",
        LOWER,
        short="KL to uniform modes",
        beside="modes_kl_floor",
    ),
}
RESTORATIONS = {
    "psnr": Figure(
        "Peak signal-to-noise ratio (PSNR) in dB",
        "of all held-out images that were damaged and restored, as of one",
        HIGHER,
        short="PSNR",
        each="corruption",
    ),
    "psnr_input": Figure("PSNR of the damaged images in dB", "before they are restored", each="corruption"),
    "psnr_mean": Figure(
        "Mean PSNR in dB", "of each restored image for itself; flat ones weigh most", HIGHER, each="corruption"
    ),
    "psnr_mean_input": Figure("Mean PSNR of the damaged images in dB", "before they are restored", each="corruption"),
    "psnr_gain": Figure(
        "Gain in PSNR in dB", "of restored over damaged images", HIGHER, short="Gain in PSNR", each="corruption"
    ),
    "ssim": Figure("Structural similarity (SSIM)", "of restored images to the truth", HIGHER, each="corruption"),
    "lpips": Figure("Perceptual distance (LPIPS)", "of restored images from the truth", LOWER, each="corruption"),
    "colour_error": Figure(
        "Error of colour", "distance of restored images in Lab's a, b plane", LOWER, each="corruption"
    ),
    "colour_error_input": Figure(
        "Error of colour of the damaged images", "before they are restored", each="corruption"
    ),
    "look_distance": Figure(
        "Distance from the look of clean images",
        "of restored images' contrast, sharpness and colours, in standard deviations of clean images",
        LOWER,
        short="Distance of looks",
        each="look",
    ),
    "look_distance_input": Figure(
        "Distance of the damaged images from the look of clean ones", "before they are restored", each="look"
    ),
    "contrast": Figure("Contrast", "of restored images; right is that of clean ones", beside="contrast_clean"),
    "sharpness": Figure(
        "Sharpness by the variance of the Laplacian",
        "of restored images; right is that of clean ones",
        short="Sharpness",
        beside="sharpness_clean",
    ),
    "tenengrad": Figure(
        "Sharpness by the gradient's squared length (Tenengrad)",
        "of restored images; right is that of clean ones",
        short="Tenengrad",
        beside="tenengrad_clean",
    ),
    "saturation": Figure("Saturation", "of restored images; right is that of clean ones", beside="saturation_clean"),
    "colourfulness": Figure(
        "Colourfulness", "of restored images; right is that of clean ones", beside="colourfulness_clean"
    ),
    "downstream": Figure(
        "Accuracy downstream",
        "restored images in which the evaluator sees the true class",
        HIGHER,
        each="task",
    ),
    "downstream_input": Figure("Accuracy downstream on damaged images", "before they are restored", each="task"),
    "downstream_clean": Figure("Accuracy downstream on clean images", "the most there is to recover", each="task"),
    "recovered": Figure(
        "Recovered accuracy",
        "share of what the damage cost downstream that restoring brings back",
        HIGHER,
        each="task",
    ),
}
COPIES = {
    "diversity": Figure(
        "Diversity", "spread of images asked for the same; 1 as in the data, 0 if the latent has no effect"
    ),
    "duplicates": Figure("Duplicates", "generated images that repeat each other; 0.01 is normal"),
    "memorisation": Figure(
        "Memorisation",
        "how surely generated images are nearer to training images than new real ones are; 0.5 is right, 1 copies",
    ),
    "copy_distance": Figure("Distance to training images", "over that of new real images; 1 is right, 0 copies"),
    "overfitting": Figure(
        "Overfitting of the discriminator",
        "0 if the discriminator takes new real images for real ones, 1 if for generated ones",
        LOWER,
        short="Overfitting",
    ),
}
SIGNALS = {
    "signal/margin": Figure("Margin of the discriminator", "mean logit of real minus generated images", short="Margin"),
    "signal/r_t": Figure("Overconfidence r_t", "mean sign of real images' logits; near 1 they are learned by heart"),
    "signal/augmentation": Figure(
        "Probability of augmentation", "p of ADA: how often each change is made", short="Augmentation"
    ),
    "signal/diversity": Figure(
        "Diversity within a batch", "of images asked for the same, as the discriminator sees it; 1 as in the data"
    ),
    "representation/spread": Figure(
        "Spread of the shared representation",
        "over images, after normalisation; around 1 it tells them apart, 0 if it is the same for all",
        short="Spread of the representation",
    ),
    "representation/norm": Figure(
        "Norm of the shared representation",
        "root mean square before normalisation; it may shrink to 0 or explode",
        short="Norm of the representation",
    ),
    "gradient_norm": Figure("Gradient norms", "of each player, before clipping", each="player"),
    "skipped": Figure("Steps left out", "so far in each phase, as loss or gradient was not finite", each="phase"),
    "images_per_second": Figure("Throughput", "images per second, all ranks together"),
}
CONFLICTS = {
    "conflict": Figure(
        "Conflicting losses",
        "share of the pairs of losses whose gradients point against each other; two that have nothing in common do "
        "so by chance in half of the looks",
        each="phase",
    ),
    "condition_number": Figure(
        "Condition number of the gradients",
        "of the losses' gradients scaled to length 1; 1 if all are orthogonal, large if they depend on each other",
        short="Condition number",
        each="phase",
    ),
}
TASKS = {
    "task_accuracy": Figure("Task accuracy", "generated images that show what was asked", HIGHER, each="task"),
    "task_error": Figure("Task error", "distance to what was asked, in the task's own unit", LOWER, each="task"),
    "agreement": Figure(
        "Agreement between domains", "images of the same latents that show the same in two domains", HIGHER, each="task"
    ),
    "translation_accuracy": Figure(
        "Accuracy of translations",
        "images translated to another domain that show what they did before",
        HIGHER,
        each="task",
    ),
    "own_accuracy": Figure(
        "Accuracy of the Game's own heads", "on damaged held-out images", HIGHER, short="Own accuracy", each="task"
    ),
    "own_calibration": Figure(
        "Error of calibration of the Game's own heads", "on damaged held-out images", LOWER, each="task"
    ),
    "own_error": Figure("Error of the Game's own heads", "on damaged held-out images", LOWER, each="task"),
    "head_accuracy": Figure(
        "Accuracy of the discriminator's heads",
        "on held-out images",
        HIGHER,
        short="Accuracy of the heads",
        each="task",
    ),
    "head_error": Figure(
        "Error of the discriminator's heads",
        "on held-out images, in standard deviations",
        LOWER,
        short="Error of the heads",
        each="task",
    ),
    "head_calibration": Figure(
        "Calibration error of the discriminator's heads",
        "how far their sureness on held-out images is from how often they are right",
        LOWER,
        short="Calibration of the heads",
        each="task",
    ),
}
LOOKS_BESIDE = {
    f"{look}_{which}": Figure(f"{RESTORATIONS[look].label} of {words}", short=words)
    for look in ("contrast", "sharpness", "tenengrad", "saturation", "colourfulness")
    for which, words in (("input", "damaged images"), ("clean", "clean images"))
}
FACTS = {
    "modes_kl_floor": Figure("Least KL divergence at that number of images", short="least at that number of images"),
    "kimg": Figure("Images seen, in thousands"),
    "seconds": Figure("Training time in seconds", "over all starts of the run"),
    "peak_memory_mib": Figure("Peak memory in MiB"),
}
FIGURES: Mapping[str, Figure] = FIDELITY | RESTORATIONS | COPIES | SIGNALS | CONFLICTS | TASKS | LOOKS_BESIDE | FACTS
LOSS_NAMES = {"r1": "R1 penalty", "r2": "R2 penalty", "margin": "margin of the logits"}
"""Losses whose names are no words."""
_LOSS = re.compile(r"loss/([^/]+)/(.+)", re.DOTALL)
_CLASS_FIGURE = re.compile(
    r"((?!loss/|signal/|representation/|gradient_norm/|skipped/|conflict/|condition_number/)[^/]+)/([^/]+)/(.+)",
    re.DOTALL,
)


def losses_of(phase: str) -> Figure:
    """The losses of one phase, all in one chart."""
    return Figure(f"Losses of the {phase}", "every term, unweighted", short=phase.capitalize())


def explained(*names: str) -> str:
    """What figures say; each by its title where there are several."""
    figures = [FIGURES[name] for name in names]
    if len(figures) == 1:
        return figures[0].explanation
    return " · ".join(f"{figure.label}: {figure.explanation}" for figure in figures)


def title_of(name: str) -> str:
    """A column's name in words."""
    prefix, _, rest = name.partition("/")
    if name in FIGURES:
        return FIGURES[name].title
    return f"{FIGURES[prefix].title}: {in_words(rest)}" if prefix in FIGURES else name


def phase_and_loss(name: str) -> tuple[str, str] | None:
    """The phase and the loss of a column of a loss; None of any other."""
    match = _LOSS.fullmatch(name)
    return (match[1], match[2]) if match else None


def is_of_a_class(name: str) -> bool:
    """Whether a column is a figure of a single class."""
    return name.count("/") > 1 and _CLASS_FIGURE.fullmatch(name) is not None


def by_class(figures: Mapping[str, float]) -> dict[tuple[str, str], dict[str, float]]:
    """The values of single classes, by task and figure, then by class."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, value in figures.items():
        if is_of_a_class(name):
            figure, task, label = name.split("/", 2)
            found.setdefault((task, figure), {})[label] = value
    return found


def in_domain(name: str, domain: str) -> str:
    """A figure's name in one domain: wherever it has a task, that is a task of this domain, ``<task>@<domain>``."""
    if "/" not in name:
        return f"{name}/{domain}"
    figure, task, *label = name.split("/", 2)
    return "/".join([figure, f"{task}@{domain}", *label])


def by_domain(figures: Mapping[str, float], domains: Collection[str]) -> dict[str, dict[str, float]]:
    """The values of each domain, by figure, then by domain; those of single classes are left out."""
    found: dict[str, dict[str, float]] = {}
    for name, value in figures.items():
        figure, _, domain = name.rpartition("@" if "@" in name else "/")
        is_of_a_task = figure in FIGURES and FIGURES[figure].each  # which may be called like a domain
        if domain in domains and not is_of_a_class(name) and not is_of_a_task:
            found.setdefault(figure, {})[domain] = value
    return found


def in_words(task: str, label: str = "") -> str:
    """A task, or a class of it, as a person says it: ``digit@edges`` is digit in edges, or digit 2 in edges."""
    name, is_in_domain, domain = task.rpartition("@")
    parts = (name, label, f"in {domain}") if is_in_domain else (task, label)
    return " ".join(part for part in parts if part)
