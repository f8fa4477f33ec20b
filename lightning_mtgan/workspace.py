"""The W&B workspace of a project, built from the list of panels by the optional package `wandb-workspaces`."""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lightning_mtgan.errors import UserError
from lightning_mtgan.figure_names import by_class
from lightning_mtgan.panels import PANELS, X_AXIS, Panel, as_markdown, bars_key, by_section, panels_for

PROJECT = "lightning_mtgan"
NAME = "Training"
OPEN = ("Samples", "Fidelity", "Tasks")
"""Sections that are unfolded at first."""
COLUMNS = ("verdict", "fid", "recall", "modes", "protocol")
"""What the list of runs shows beside their names: figures never without their protocol."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``build_dashboard``."""
    parser.add_argument("--entity", help="the user or team at W&B that owns the project")
    parser.add_argument("--project", default=PROJECT, help=f"the W&B project; default: {PROJECT}")
    parser.add_argument("--name", default=NAME, help=f"the workspace's name; default: {NAME}")
    parser.add_argument(
        "--run_folder",
        type=Path,
        help="a run of the project: leaves out what it has no data for, and knows its classes",
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="print the list of panels, and need neither W&B nor network"
    )


def dashboard(arguments: argparse.Namespace) -> None:
    """Save a W&B workspace with a section for each question, or print its panels."""
    names = _names_in(arguments.run_folder) if arguments.run_folder is not None else []
    if arguments.dry_run:
        print(as_markdown(_chosen(names)), end="")
        return
    if not arguments.entity:
        raise UserError("--entity is missing; name the user or team at W&B that owns the project")
    os.environ["WANDB_SILENT"] = "true"  # else it asks for a key where it finds none
    built = workspace(arguments.entity, arguments.project, arguments.name, names)
    try:
        built.save()
    except Exception as error:
        raise UserError(
            f"W&B did not take the workspace ({' '.join(str(error).split())[:160]}); it needs the network, "
            "`wandb login`, and an entity that you may write to"
        ) from error
    print(f"saved: {built.url}")


def workspace(entity: str, project: str = PROJECT, name: str = NAME, names: Iterable[str] = ()) -> Any:
    """The workspace as an object; needs no network until it is saved.

    Args:
        entity: Who owns the project.
        project: The W&B project.
        name: The workspace's name.
        names: Metrics of a run. Panels without data in it are left out, and the bars of its classes are
            put in: W&B finds curves by a pattern, but bars by their names alone.

    Raises:
        UserError: If the package `wandb-workspaces` is not installed.
    """
    ws, _ = _library()
    names = list(names)
    sections = []
    for title, panels in by_section(_chosen(names)).items():
        if built := [made for panel in panels for made in _built(panel, names)]:
            axis = ws.SectionPanelSettings(x_axis=X_AXIS)
            sections.append(ws.Section(name=title, panels=built, is_open=title in OPEN, panel_settings=axis))
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=X_AXIS),
        runset_settings=ws.RunsetSettings(pinned_columns=[f"summary:{column}" for column in COLUMNS]),
        auto_generate_panels=False,
    )


def _library() -> tuple[Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise UserError(
            "the workspace needs a package that is not installed; install wandb-workspaces: "
            'pip install "wandb-workspaces>=0.4"'
        ) from error
    return workspaces, reports


def _names_in(run: Path) -> list[str]:
    try:
        with (run / "metrics.csv").open(newline="") as file:
            return next(csv.reader(file), [])
    except OSError as error:
        raise UserError(
            f"--run_folder {run}: metrics.csv cannot be read ({error.strerror}); "
            "name a folder like runs/default/version_0"
        ) from error


def _chosen(names: Sequence[str]) -> Sequence[Panel]:
    if not names:
        return PANELS
    bars = [bars_key(task, figure) for task, figure in by_class(dict.fromkeys(names, 0.0))]
    fed = panels_for([*names, *bars])
    return [panel for panel in PANELS if panel in fed or panel.kind not in ("curve", "bars")]


def _built(panel: Panel, names: Sequence[str]) -> list[Any]:
    _, wr = _library()
    if panel.kind == "curve":
        if panel.is_plain:
            return [wr.LinePlot(title=panel.title, x=X_AXIS, title_x=X_AXIS, y=list(panel.patterns))]
        pattern = f"^({'|'.join(panel.patterns)})$"
        return [wr.LinePlot(title=panel.title, x=X_AXIS, title_x=X_AXIS, metric_regex=pattern)]
    if panel.kind == "images":
        return [wr.MediaBrowser(title=panel.title, media_keys=list(panel.patterns), num_columns=1)]
    if panel.kind == "bars":
        return [
            wr.CustomChart(
                query={"summaryTable": {"tableKey": f"{bars_key(task, figure)}_table"}},
                chart_name="wandb/bar/v0",
                chart_fields={"label": "class", "value": "value"},
                chart_strings={"title": f"{figure} of each {task}"},
            )
            for task, figure in by_class(dict.fromkeys(names, 0.0))
        ]
    if panel.kind == "facts":  # W&B compares all of them in one panel
        first = next(other for other in PANELS if other.kind == "facts")
        return [wr.RunComparer()] if panel == first else []
    if panel.kind == "code":
        return [wr.CodeComparer(diff="split")]
    where = {
        "alerts": "W&B sends them as your settings there say; the list of runs has the newest verdict",
        "artifact": "it is among the run's artifacts",
    }
    return [wr.MarkdownPanel(markdown=f"**{panel.title}**: {panel.about}; {where[panel.kind]}.")]
