"""What a run ends with: ``summary.json`` and a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lightning_mtgan.callbacks.conflicts import said_of_conflicts
from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.evaluation.classes import FAMILIES, breakdowns, by_task
from lightning_mtgan.figure_names import by_domain, in_domain, in_words
from lightning_mtgan.module import MultiTaskGAN


class Summary(Callback):
    """Writes the final figures, each with its protocol, and prints them."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print, on the first rank."""
        assert isinstance(pl_module, MultiTaskGAN)
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        conflicts = said_of_conflicts(trainer)
        summary = {
            "figures": pl_module.figures,
            "protocol": pl_module.protocol,
            "conflicts": conflicts,
            "run": run_facts(trainer, pl_module),
        }
        if folder is not None:
            write_json(folder / "summary.json", summary)
        print_figures(pl_module.figures, pl_module.protocol, folder, conflicts)


def run_facts(trainer: Trainer, module: MultiTaskGAN) -> dict[str, Any]:
    """What else somebody needs to compare a run: seed, sizes, versions, machine."""
    parameters = {name: sum(p.numel() for p in player.parameters()) for name, player in module.game.players.items()}
    device = torch.cuda.get_device_name(module.device) if module.device.type == "cuda" else platform.machine()
    return {
        "seed": module.seed,
        "steps": trainer.global_step,
        "batch_size": module.batch_size,
        "ranks": trainer.world_size,
        "precision": trainer.precision,
        "parameters": parameters,
        "device": f"{module.device.type} ({device})",
        "torch": torch.__version__,
        "lightning": lightning.__version__,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)


def print_figures(
    figures: dict[str, float], protocol: dict[str, Any], folder: Path | None, conflicts: Sequence[str] = ()
) -> None:
    """Tables of figures, of those of each domain and of the worst classes; who fights whom; how all was measured."""
    domains: Mapping[str, str] = protocol.get("domains", {})
    own = by_domain(figures, domains)
    of_domains = {in_domain(name, domain) for name, values in own.items() for domain in values}
    table = Table(title="Final figures")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if name.count("/") < 2 and name not in of_domains:
            table.add_row(name, _number(value))
    console = Console()
    console.print(table)
    _print_domains(console, own, domains)
    _print_classes(console, figures)
    for sentence in conflicts:
        console.print(escape(sentence), highlight=False, soft_wrap=True)
    if protocol:
        console.print(
            f"{protocol['num_images']:,} generated images {_compared(protocol, domains)}; "
            f"{protocol['num_neighbour_images']:,} for precision, recall, density and coverage, "
            f"k = {protocol['num_neighbours']}; extractor {protocol['extractor']} {protocol['extractor_checksum']}, "
            f"resize {protocol['resize']}; seed {protocol['seed']}.",
            highlight=False,
        )
    if folder is not None:
        console.print(f"Everything is in {folder}", highlight=False, soft_wrap=True)


def _compared(protocol: Mapping[str, Any], domains: Mapping[str, str]) -> str:
    """With which images."""
    if not domains:
        return f"compared with {protocol['compared_with']}"
    first, words = next(iter(domains.items()))
    return f"of each domain compared with its own, those of {first} with {words}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.4g}"


def _print_domains(console: Console, figures: Mapping[str, Mapping[str, float]], domains: Collection[str]) -> None:
    """Every figure in each domain, side by side."""
    table = Table(title="Domains")
    table.add_column("figure")
    for domain in domains:
        table.add_column(escape(domain), justify="right")
    for name, values in figures.items():
        table.add_row(name, *(_number(values[domain]) if domain in values else "–" for domain in domains))
    if table.row_count:
        console.print(table)


def _print_classes(console: Console, figures: dict[str, float]) -> None:
    """The worst class of each task by each figure, and every class that breaks down."""
    table = Table(title="Classes")
    for heading in ("task", "figure", "median", "worst", "class"):
        table.add_column(heading, justify="right" if heading in ("median", "worst") else "left")
    for family in FAMILIES:
        for task, values in by_task(figures, family).items():
            worst = (max if family in ("fid", "kid") else min)(values, key=lambda name: values[name])
            few = f" ({len(values)} with few images)" if family == "kid" else ""
            table.add_row(in_words(task), family + few, _number(median(values.values())), _number(values[worst]), worst)
    if table.row_count:
        console.print(table)
    for broken in breakdowns(figures):
        console.print(f"[red]{escape(str(broken))}[/red]", highlight=False, soft_wrap=True)
