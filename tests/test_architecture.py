"""Imports run one way, and each library is used only where it belongs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "lightning_mtgan"
LAYERS = [
    {
        "errors",
        "types",
        "draws",
        "distributed",
        "pictures",
        "figure_names",
        "image_files",
        "page",
        "config_files",
        "messages",
        "panels",
        "workspace",
        "schedules",
        "whole_files",
    },
    {"losses", "networks", "augment", "corruptions", "transforms", "vital_signs"},
    {"tasks", "conditions"},
    {"supervision", "regularizers", "representations"},
    {"self_supervision"},
    {"games"},
    {"balancing", "conflicts", "averaging", "checkpoint", "compiling", "stepping", "watch"},
    {"module", "carried", "resume", "processes", "reporting"},
    {"callbacks", "evaluation", "guard", "relations", "restoring", "translating", "generating", "enhancing"},
    {"cli"},
    {"search"},
    {"__main__"},
]
DATA_MAY = {"errors", "types", "draws", "distributed", "image_files", "tasks", "data"}
LIGHTNING_MAY = {"module", "processes", "reporting", "callbacks", "data", "cli", "__main__"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(file) if name.startswith("lightning_mtgan.")}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_run_one_way(file: Path) -> None:
    here = room(file)
    if here == "__init__":
        return
    if here == "data":
        assert own_imports(file) <= DATA_MAY
        return
    level = next(index for index, layer in enumerate(LAYERS) if here in layer)
    allowed = set().union(*LAYERS[: level + 1])
    if here in ("evaluation", "__main__", "cli"):
        allowed |= {"data"}  # the evaluators are trained on the data's own files
    assert own_imports(file) <= allowed


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(file: Path) -> None:
    names = set(imports(file))
    if room(file) not in LIGHTNING_MAY:
        assert not any(name.split(".")[0] == "lightning" for name in names)
    if room(file) != "distributed":
        assert not any(name.startswith("torch.distributed") for name in names)
    if room(file) != "search":
        assert not any(name.split(".")[0] == "optuna" for name in names)


def test_pyarrow_stays_out_of_runs_without_tables() -> None:
    script = "import sys, lightning_mtgan.cli, lightning_mtgan.__main__; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, check=False).returncode == 0


def test_every_room_has_a_layer() -> None:
    rooms = {room(file) for file in FILES} - {"__init__", "data"}
    assert rooms == set().union(*LAYERS)
