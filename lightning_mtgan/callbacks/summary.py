"""What a run ends with: ``summary.json`` and a table."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from lightning_mtgan.callbacks.folder import run_folder
from lightning_mtgan.module import MultiTaskGAN


class Summary(Callback):
    """Writes the final figures, each with its protocol, and prints them."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print, on the first rank."""
        assert isinstance(pl_module, MultiTaskGAN)
        folder = run_folder(trainer)
        if not trainer.is_global_zero:
            return
        summary = {"figures": pl_module.figures, "protocol": pl_module.protocol, "run": run_facts(trainer, pl_module)}
        if folder is not None:
            write_json(folder / "summary.json", summary)
        print_figures(pl_module.figures, pl_module.protocol, folder)


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


def print_figures(figures: dict[str, float], protocol: dict[str, Any], folder: Path | None) -> None:
    """A table of figures, and one line that says how they were measured."""
    table = Table(title="Final figures")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.4g}")
    console = Console()
    console.print(table)
    if protocol:
        console.print(
            f"{protocol['num_images']:,} generated images compared with {protocol['compared_with']}; "
            f"{protocol['num_neighbour_images']:,} for precision, recall, density and coverage, "
            f"k = {protocol['num_neighbours']}; extractor {protocol['extractor']} {protocol['extractor_checksum']}; "
            f"seed {protocol['seed']}.",
            highlight=False,
        )
    if folder is not None:
        console.print(f"Everything is in {folder}", highlight=False, soft_wrap=True)
