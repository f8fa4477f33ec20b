"""What a run sends to W&B, read back from the file of an offline run, against the list of panels."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

from lightning_mtgan import panels, workspace
from lightning_mtgan.__main__ import main
from lightning_mtgan.callbacks import dashboard
from lightning_mtgan.figure_names import by_class
from lightning_mtgan.panels import PANELS, as_markdown, panels_for
from tests import wandb_records
from tests.conftest import ROOT, newest_run
from tests.launch import Launched

DOCUMENT = ROOT / "docs" / "dashboard.md"
RESTORATIONS = {panel.title for panel in PANELS if panel.section == "Restorations"}
DOMAINS = {panel.title for panel in PANELS if panel.patterns[0].startswith(("agreement", "translation"))}
MAY_MISS = {"Overfitting", *RESTORATIONS, *DOMAINS, "Task error", "Error of the heads", "Alerts", "Best checkpoint"}
"""Panels that three steps of the default job have no data for."""


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A trainer, as far as the dashboard looks at it, with an offline run of W&B."""
    import wandb

    wandb.finish()  # another test's
    monkeypatch.setenv("WANDB_MODE", "offline")  # Lightning sets it and leaves it
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    logger = dashboard.wandb_logger("offline", "name with spaces", tmp_path / "version_0")
    assert logger is not None
    yield SimpleNamespace(loggers=[logger], lightning_module=SimpleNamespace(kimg=1.5))
    wandb.finish()


def sent(trainer: SimpleNamespace) -> wandb_records.WandbRun:
    trainer.loggers[0].experiment.finish()
    deadline = time.monotonic() + 10
    while not (found := wandb_records.read(Path(trainer.loggers[0].save_dir))).is_finished:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_every_panel_finds_its_data_in_an_offline_run(launch: Callable[..., Launched]) -> None:
    launched = launch(
        "--trainer.max_steps=3",
        "--trainer.log_every_n_steps=2",
        "--samples.every_kimg=0.064",
        "--wandb=offline",
        '--fidelity.final={"num_images": 600, "num_neighbour_images": 600, "kid_subsets": 2}',
    )
    assert launched.wait() == [0], launched.text()
    run = newest_run(launched.runs)
    found = wandb_records.read(run)
    assert found.is_finished

    fed = panels_for(found.names())
    assert [panel.title for panel in PANELS if panel not in fed and panel.title not in MAY_MISS] == []
    unseen = found.metrics() - {panels.X_AXIS}
    assert [name for name in sorted(unseen) if not any(panel.takes(name) for panel in PANELS)] == []

    assert found.step_metrics["*"] == panels.X_AXIS
    batch = found.config["data"]["init_args"]["batch_size"]
    for row in found.history:
        assert row[panels.X_AXIS] == pytest.approx(row["trainer/global_step"] * batch / 1000)
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert found.column("fid") == [float(row["fid"]) for row in rows if row["fid"]]
    pictures = [name for sheet in found.column("samples") for name in sheet["filenames"]]
    assert len(pictures) == 3 and all(any((run / "wandb").glob(f"offline-run-*/files/{name}")) for name in pictures)

    written, protocol = yaml.safe_load((run / "config.yaml").read_text()), found.config.pop("protocol")
    assert found.config.keys() - {"_wandb"} == written.keys()
    assert [key for key, value in written.items() if found.config[key] != value] == []
    assert protocol == json.loads((run / "summary.json").read_text())["protocol"]
    (code,) = [artifact for artifact in found.artifacts if artifact.type == "code"]
    assert {"lightning_mtgan/panels.py", "conf/default.yaml"} <= code.files.keys()
    assert {Path(name).parts[0] for name in code.files} == {"lightning_mtgan", "conf"}
    for artifact in found.artifacts:
        assert all(path.is_file() and path.is_relative_to(run.resolve()) for path in artifact.files.values())


def test_what_is_sent_is_what_was_given(offline: Any, tmp_path: Path) -> None:
    trainer = offline
    text = "long " * 20_000  # more than a block of the file
    figures = {
        "fid": 3.0,
        "fid/red/0": 2.0,
        "fid/red/a/b": float("inf"),
        "recall/red/0": 0.5,
        "loss/generator/red": 1.0,
    }
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.write_bytes(b"weights")
    dashboard.record_config(trainer, {"model": {"width": 8}, "name": "x"})
    dashboard.record_config(trainer, {"model": {"width": 16}})
    dashboard.keep_protocol(trainer, {"num_images": 600, "text": text})
    dashboard.log_classes(trainer, figures, step=7)
    dashboard.log_classes(trainer, {"fid": 3.0}, step=8)  # nothing by class, nothing logged
    dashboard.raise_alert(trainer, "t" * 100, "what to do")
    dashboard.upload_best(trainer, checkpoint, {"fid": 3.0, "kid": float("nan")})
    checkpoint.write_bytes(b"others, before the upload")
    found = sent(trainer)

    assert found.config["model"] == {"width": 16} and found.config["name"] == "x"
    assert found.config["protocol"] == {"num_images": 600, "text": text}
    (row,) = found.history
    assert (row["kimg"], row["trainer/global_step"]) == (1.5, 7)
    assert {key for key in row if key.startswith("classes")} == {"classes/red/fid_table", "classes/red/recall_table"}
    (path,) = tmp_path.rglob("media/table/classes/red/fid_*.json")
    assert json.loads(path.read_text())["data"] == [["0", 2.0], ["a/b", None]]
    charts = found.config["_wandb"]["visualize"]
    assert charts["classes/red/fid"]["panel_config"]["panelDefId"] == "wandb/bar/v0"
    assert found.alerts == [{"title": "t" * 63, "text": "what to do", "level": "WARN"}]
    (best,) = [artifact for artifact in found.artifacts if artifact.type == "model"]
    assert (best.name, best.metadata) == ("name_with_spaces-version_0-best", {"fid": 3.0, "kid": None})
    assert best.files["best.ckpt"].read_bytes() == b"weights"


def test_what_fails_in_wandb_is_said_once_and_ends_nothing(offline: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Dead:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionResetError("Connection reset by peer")

    (logger,) = offline.loggers
    alive, logger._experiment = logger._experiment, Dead()
    logger.log_metrics({"fid": 1.0}, step=1)
    dashboard.log_picture(offline, "samples", Image.new("RGB", (2, 2)), step=1)
    logger.log_hyperparams({"a": 1})
    dashboard.record_config(offline, {"a": 1})
    dashboard.keep_protocol(offline, {"a": 1})
    dashboard.log_classes(offline, {"fid/red/0": 1.0}, step=1)
    dashboard.raise_alert(offline, "title", "text")
    dashboard.upload_best(offline, Path("no such file"), {})
    logger._experiment = alive
    assert capsys.readouterr().out.count("W&B has failed (Connection reset by peer)") == 1


def test_a_damaged_record_is_noticed(offline: Any) -> None:
    sent(offline)
    (path,) = Path(offline.loggers[0].save_dir).rglob("run-*.wandb")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        list(wandb_records.payloads(bytes(content)))
    with pytest.raises(ValueError, match="not a file of W&B"):
        list(wandb_records.payloads(b"something else"))


def test_panels_are_found_by_names() -> None:
    fed = {panel.title for panel in panels_for(["fid", "loss/discriminator/r1", "fid/red/3", "head_accuracy/red"])}
    expected = {
        "FID",
        "Gradient penalties",
        "Discriminator",
        "All phases",
        "Distance by class",
        "Accuracy of the heads",
    }
    assert fed == expected
    assert by_class({"fid": 1.0, "fid/red/3": 2.0, "loss/generator/red": 3.0}) == {("red", "fid"): {"3": 2.0}}
    assert len({(panel.section, panel.title) for panel in PANELS}) == len(PANELS)
    assert [panel for group in panels.by_section().values() for panel in group] == list(PANELS)
    for panel in PANELS:
        assert not re.search(r"\(\?|\\", "".join(panel.patterns)), "W&B's RE2 reads no look-ahead"


def test_the_document_lists_the_panels() -> None:
    text = DOCUMENT.read_text()
    listed = text.partition("<!-- panels -->\n")[2].partition("<!-- end of panels -->")[0]
    assert listed == as_markdown(), "put what `python -m lightning_mtgan build_dashboard --dry_run` prints into it"


def test_the_workspace_says_which_package_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] == "wandb_workspaces":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["build_dashboard", "--entity=me"]) == 2
    assert "install wandb-workspaces" in capsys.readouterr().err


def test_a_dry_run_prints_the_panels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build_dashboard", "--dry_run"]) == 0
    assert capsys.readouterr().out == as_markdown()
    (tmp_path / "metrics.csv").write_text("step,kimg,fid,fid/red/3\n")
    assert main(["build_dashboard", "--dry_run", f"--run_folder={tmp_path}"]) == 0
    listed = capsys.readouterr().out
    assert "| FID |" in listed and "| By class |" in listed and "| Configuration |" in listed
    assert "| KID |" not in listed
    assert main(["build_dashboard", "--dry_run", f"--run_folder={tmp_path / 'none'}"]) == 2
    assert "name a folder like runs/default/version_0" in capsys.readouterr().err
    assert main(["build_dashboard"]) == 2
    assert "--entity is missing" in capsys.readouterr().err


def test_the_workspace_has_the_panels() -> None:
    if importlib.util.find_spec("wandb_workspaces") is None:
        return  # optional; what happens without it is tested above
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        built = workspace.workspace("me", names=())
        of_run = workspace.workspace("me", names=["kimg", "fid", "fid/red/3", "recall/red/3"])
    assert [section.name for section in built.sections] == list(panels.by_section())
    text = json.dumps(built._to_model().model_dump(by_alias=True, exclude_none=True), default=str)
    for panel in PANELS:
        if panel.kind == "curve":
            assert f'"chartTitle": "{panel.title}", "xAxis": "kimg"' in text
    text = json.dumps(of_run._to_model().model_dump(by_alias=True, exclude_none=True), default=str)
    assert '"classes/red/fid_table"' in text and '"classes/red/recall_table"' in text
    assert '"chartTitle": "FID"' in text and '"chartTitle": "KID"' not in text
