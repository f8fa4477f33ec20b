"""What a run shows: the one list of panels behind the W&B workspace, its document and its test.

A panel is fed by names. Most are metrics; what a run holds besides them has a name here, too: `config`,
`code`, `alerts` and `best` (the best checkpoint). What a figure is called and says comes from
``figure_names``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from lightning_mtgan.figure_names import FIGURES, explained, losses_of

X_AXIS = "kimg"
"""Thousands of real images seen: the one axis that means the same at every batch size."""

Kind = Literal["curve", "bars", "images", "alerts", "facts", "code", "artifact"]

_CLASSES, _NUMBERS = "tasks with classes or attributes", "tasks that ask for numbers"
_RESTORES = "a Game that takes images"
_CLASSES_SEEN = "classification tasks that an evaluator sees"
_LOSSES = "a phase with at least two losses"
_HELD_OUT = "data with a held-out split"


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


def _curve(section: str, *names: str, title: str = "", when: str = "") -> Panel:
    """A panel of figures, in their own words."""
    figures = [FIGURES[name] for name in names]
    patterns = [f"{name}/[^/]+" if figure.each else name for name, figure in zip(names, figures, strict=True)]
    patterns += [figure.beside for figure in figures if figure.beside]
    return Panel(section, title or figures[0].label, "curve", tuple(patterns), explained(*names), when)


def _losses(phase: str) -> Panel:
    """A panel of one player's losses."""
    figure = losses_of(phase)
    return Panel("Losses", figure.label, "curve", (f"loss/{phase}/.+",), figure.explanation)


PANELS: tuple[Panel, ...] = (
    Panel("Samples", "Samples", "images", ("samples",), "fixed latents in columns, fixed conditions in rows"),
    _curve("Fidelity", "fid"),
    _curve("Fidelity", "kid"),
    _curve("Fidelity", "mind"),
    _curve("Fidelity", "inception_score", when="an extractor with classes"),
    _curve("Fidelity", "precision", "recall", title="Precision and recall"),
    _curve("Fidelity", "density", "coverage", title="Density and coverage"),
    _curve("Fidelity", "modes", when=_CLASSES_SEEN),
    _curve("Fidelity", "modes_kl", when=_CLASSES_SEEN),
    _curve("Copies and diversity", "diversity", "signal/diversity", title="Diversity"),
    _curve("Copies and diversity", "duplicates", "memorisation", title="Copies"),
    _curve("Copies and diversity", "copy_distance", when=_HELD_OUT),
    _curve(
        "Copies and diversity",
        "overfitting",
        when=f"{_HELD_OUT}, a discriminator that tells real from generated images",
    ),
    _curve("Tasks", "task_accuracy", when=_CLASSES),
    _curve("Tasks", "agreement", when=f"{_CLASSES}, several domains"),
    _curve("Tasks", "translation_accuracy", when=f"{_CLASSES}, a Game that translates"),
    _curve("Tasks", "task_error", when=_NUMBERS),
    _curve("Tasks", "head_accuracy", when=_CLASSES),
    _curve("Tasks", "head_error", when=_NUMBERS),
    _curve("Tasks", "head_calibration", when=_CLASSES),
    Panel(
        "Restorations",
        "All restorations",
        "curve",
        ("psnr", "psnr_gain", "ssim"),
        "means over all corruptions; higher is better",
        _RESTORES,
    ),
    _curve("Restorations", "psnr", "psnr_input", title="PSNR", when=_RESTORES),
    _curve("Restorations", "psnr_gain", when=_RESTORES),
    _curve("Restorations", "psnr_mean", "psnr_mean_input", title="Mean PSNR", when=_RESTORES),
    _curve("Restorations", "ssim", when=_RESTORES),
    _curve("Restorations", "lpips", when=f"{_RESTORES}, fidelity.similarity"),
    _curve("Restorations", "colour_error", "colour_error_input", title="Error of colour", when=_RESTORES),
    _curve("Restorations", "look_distance", "look_distance_input", title="Distance of looks", when=_RESTORES),
    *(
        _curve("Restorations", look, when=_RESTORES)
        for look in ("contrast", "sharpness", "tenengrad", "saturation", "colourfulness")
    ),
    _curve(
        *("Restorations", "downstream", "downstream_input", "downstream_clean"),
        title="Accuracy downstream",
        when=_RESTORES,
    ),
    _curve("Restorations", "recovered", when=_RESTORES),
    *(
        _curve("Restorations", figure, when=f"{_RESTORES} and recognises what they show")
        for figure in ("own_accuracy", "own_calibration", "own_error")
    ),
    Panel(
        "Classes", "By class", "bars", ("classes/[^/]+/.+",), "the newest figures of all classes of a task", _CLASSES
    ),
    Panel("Classes", "Distance by class", "curve", ("(fid|kid)/[^/]+/.+",), "a class that stays behind", _CLASSES),
    Panel("Classes", "Recall by class", "curve", ("recall/[^/]+/.+",), "a class that loses its variety", _CLASSES),
    Panel("Classes", "Accuracy by class", "curve", ("task_accuracy/[^/]+/.+",), "a class that is mistaken", _CLASSES),
    Panel("Losses", "Adversarial", "curve", ("loss/[^/]+/adversarial",), "of both players, unweighted"),
    Panel("Losses", "Gradient penalties", "curve", ("loss/[^/]+/r[12]",), "R1 and R2, unweighted", "a Game with them"),
    _losses("discriminator"),
    _losses("generator"),
    Panel("Losses", "All phases", "curve", ("loss/.+",), "also a Game's others: penalty, shared, ..."),
    _curve("Signals", "signal/margin"),
    _curve("Signals", "signal/r_t"),
    _curve("Signals", "gradient_norm"),
    _curve("Signals", "skipped"),
    Panel(
        "Signals",
        "Alerts",
        "alerts",
        ("alerts", "verdict", "evidence"),
        "the collapse guard's verdicts with their evidence, also by mail or Slack",
        "something looks wrong",
    ),
    Panel(
        "Conflict",
        "Mean cosines",
        "images",
        ("conflicts",),
        "heat maps over all looks: red losses of a phase work against each other; comes with the end",
        _LOSSES,
    ),
    _curve("Conflict", "conflict", when=_LOSSES),
    _curve("Conflict", "condition_number", when=_LOSSES),
    _curve("Speed", "images_per_second"),
    _curve("Speed", "seconds"),
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
