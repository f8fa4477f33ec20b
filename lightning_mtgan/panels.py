"""What a run shows: the one list of panels behind the W&B workspace, its document and its test.

A panel is fed by names. Most are metrics; what a run holds besides them has a name here, too: `config`,
`code`, `alerts` and `best` (the best checkpoint).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

X_AXIS = "kimg"
"""Thousands of real images seen: the one axis that means the same at every batch size."""

Kind = Literal["curve", "bars", "images", "alerts", "facts", "code", "artifact"]

PER_CLASS = ("fid", "kid", "recall", "task_accuracy")
"""Figures that are also measured for one class of one task, as ``<figure>/<task>/<class>``."""

_CLASSES, _NUMBERS = "tasks with classes or attributes", "tasks that ask for numbers"
_CLASSES_SEEN = "classification tasks that an evaluator sees"
_CLASS_FIGURE = re.compile(rf"({'|'.join(PER_CLASS)})/([^/]+)/(.+)")


@dataclass(frozen=True)
class Panel:
    """One panel.

    Args:
        section: The section that it stands in; panels of one section follow each other.
        title: Its title.
        kind: How it shows its data.
        patterns: Regular expressions; a name that one of them matches as a whole feeds the panel. W&B
            reads them by RE2: nothing that looks ahead or behind.
        about: What to see in it.
        when: Which runs have data for it; empty for every run.
    """

    section: str
    title: str
    kind: Kind
    patterns: tuple[str, ...]
    about: str
    when: str = ""

    def takes(self, name: str) -> bool:
        """Whether a name feeds this panel."""
        return any(re.fullmatch(pattern, name) for pattern in self.patterns)

    @property
    def is_plain(self) -> bool:
        """Whether its patterns are names as they stand."""
        return all(re.fullmatch(r"[\w/]+", pattern) for pattern in self.patterns)


PANELS: tuple[Panel, ...] = (
    Panel("Samples", "Samples", "images", ("samples",), "fixed latents in columns, fixed conditions in rows"),
    Panel("Fidelity", "FID", "curve", ("fid",), "Fréchet distance of features, lower is better; it chooses the best"),
    Panel("Fidelity", "KID", "curve", ("kid",), "kernel distance of features, without bias; lower is better"),
    Panel("Fidelity", "MIND", "curve", ("mind",), "distance of features along random directions; lower is better"),
    Panel(
        "Fidelity", "Inception Score", "curve", ("inception_score",), "higher is better", "an extractor with classes"
    ),
    Panel(
        "Fidelity",
        "Precision and recall",
        "curve",
        ("precision", "recall"),
        "how many images are like real ones, how much of the real ones is reached",
    ),
    Panel("Fidelity", "Density and coverage", "curve", ("density", "coverage"), "the same, robust to outliers"),
    Panel("Fidelity", "Modes", "curve", ("modes",), "combinations of classes that appear at all", _CLASSES_SEEN),
    Panel(
        "Fidelity",
        "KL to uniform modes",
        "curve",
        ("modes_kl", "modes_kl_floor"),
        "how unevenly they appear, and the least that as many images can show",
        _CLASSES_SEEN,
    ),
    Panel(
        "Copies and diversity",
        "Diversity",
        "curve",
        ("diversity", "signal/diversity"),
        "spread within a condition over that of real images: 1 is right, at 0 the latent has no effect; as the "
        "evaluator sees it, and the discriminator at every step",
    ),
    Panel(
        "Copies and diversity",
        "Copies",
        "curve",
        ("duplicates", "memorisation"),
        "images with a near-duplicate (0.01 is normal); how surely they are nearer to the training data than new "
        "real images (0.5 is right, 1 copies)",
    ),
    Panel(
        "Copies and diversity",
        "Distance to the training data",
        "curve",
        ("copy_distance",),
        "over that of new real images: 1 is right, 0 copies",
        "data with a held-out split",
    ),
    Panel(
        "Copies and diversity",
        "Overfitting",
        "curve",
        ("overfitting",),
        "0: the discriminator takes new real images for real; 1: for generated ones",
        "data with a held-out split, a discriminator that tells real from generated images",
    ),
    Panel("Tasks", "Task accuracy", "curve", ("task_accuracy/[^/]+",), "images that show what was asked", _CLASSES),
    Panel("Tasks", "Task error", "curve", ("task_error/[^/]+",), "how far images are from what was asked", _NUMBERS),
    Panel(
        "Tasks",
        "Accuracy of the heads",
        "curve",
        ("head_accuracy/[^/]+",),
        "the discriminator's, on new images",
        _CLASSES,
    ),
    Panel("Tasks", "Error of the heads", "curve", ("head_error/[^/]+",), "the same of numbers", _NUMBERS),
    Panel(
        "Tasks",
        "Calibration of the heads",
        "curve",
        ("head_calibration/[^/]+",),
        "how far their sureness is from how often they are right; lower is better",
        _CLASSES,
    ),
    Panel(
        "Classes", "By class", "bars", ("classes/[^/]+/.+",), "the newest figures of all classes of a task", _CLASSES
    ),
    Panel("Classes", "Distance by class", "curve", ("(fid|kid)/[^/]+/.+",), "a class that stays behind", _CLASSES),
    Panel("Classes", "Recall by class", "curve", ("recall/[^/]+/.+",), "a class that loses its variety", _CLASSES),
    Panel("Classes", "Accuracy by class", "curve", ("task_accuracy/[^/]+/.+",), "a class that is mistaken", _CLASSES),
    Panel("Losses", "Adversarial", "curve", ("loss/[^/]+/adversarial",), "of both players, unweighted"),
    Panel("Losses", "Gradient penalties", "curve", ("loss/[^/]+/r[12]",), "R1 and R2, unweighted", "a Game with them"),
    Panel("Losses", "Discriminator", "curve", ("loss/discriminator/.+",), "all that moves it, unweighted"),
    Panel("Losses", "Generator", "curve", ("loss/generator/.+",), "all that moves it, unweighted"),
    Panel("Losses", "All phases", "curve", ("loss/.+",), "also a Game's others: penalty, shared, ..."),
    Panel("Signals", "Margin", "curve", ("signal/margin",), "mean logit of real minus generated images"),
    Panel("Signals", "r_t", "curve", ("signal/r_t",), "1: the discriminator is never wrong about training images"),
    Panel("Signals", "Gradient norms", "curve", ("gradient_norm/[^/]+",), "of each player, before clipping"),
    Panel("Signals", "Steps left out", "curve", ("skipped/[^/]+",), "as their numbers were not finite, phase by phase"),
    Panel(
        "Signals",
        "Alerts",
        "alerts",
        ("alerts", "verdict", "evidence"),
        "the collapse guard's verdicts with their evidence, also by mail or Slack",
        "something looks wrong",
    ),
    Panel("Speed", "Images per second", "curve", ("images_per_second",), "of all ranks together"),
    Panel("Speed", "Time", "curve", ("seconds",), "seconds of training, over all starts of the run"),
    Panel("Run", "Protocol", "facts", ("protocol",), "how the newest figures were measured"),
    Panel("Run", "Configuration", "facts", ("config",), "all keys with their values, as in config.yaml"),
    Panel("Run", "Code", "code", ("code",), "the package and conf/ as they were"),
    Panel("Run", "Best checkpoint", "artifact", ("best",), "best.ckpt with its figures", "its upload was asked for"),
)


def panels_for(names: Iterable[str]) -> list[Panel]:
    """The panels that have data in a run, in their order.

    Args:
        names: The run's metrics, and what else it holds.
    """
    known = set(names)
    return [panel for panel in PANELS if any(panel.takes(name) for name in known)]


def by_section(panels: Sequence[Panel] = PANELS) -> dict[str, list[Panel]]:
    """The panels of each section, both in their order."""
    return {section: list(group) for section, group in groupby(panels, key=lambda panel: panel.section)}


def by_class(figures: Mapping[str, float]) -> dict[tuple[str, str], dict[str, float]]:
    """The values of single classes, by task and figure, then by class."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, value in figures.items():
        if match := _CLASS_FIGURE.fullmatch(name):
            figure, task, label = match.groups()
            found.setdefault((task, figure), {})[label] = value
    return found


def bars_key(task: str, figure: str) -> str:
    """Where the bars of a task's classes are logged."""
    return f"classes/{task}/{figure}"


def as_markdown(panels: Sequence[Panel] = PANELS) -> str:
    """The list as a table; ``docs/dashboard.md`` holds it."""
    lines = ["| Section | Panel | Kind | Fed by | What to see | Only where |", "|---|---|---|---|---|---|"]
    for section, group in by_section(panels).items():
        for index, panel in enumerate(group):
            fed_by = ", ".join(f"`{pattern}`" for pattern in panel.patterns).replace("|", r"\|")
            cells = [section if not index else "", panel.title, panel.kind, fed_by, panel.about, panel.when]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
