from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from lightning_mtgan.callbacks.summary import print_figures
from lightning_mtgan.evaluation.classes import breakdowns
from lightning_mtgan.evaluation.domain_measurement import over_domains
from lightning_mtgan.figure_names import by_class, by_domain, in_domain, in_words, is_of_a_class, title_of
from lightning_mtgan.guard import History, ModeDropping
from lightning_mtgan.page import write_page
from lightning_mtgan.panels import panels_for
from tests.test_page import read, write_metrics

RECALLS = {"plain": [0.5, 0.5, 0.5, 0.5], "blended": [0.1, 0.1, 0.01, 0.1]}
OWN = {
    domain: {
        "fid": 10.0 + place,
        "task_accuracy/digit": 0.75 - place / 4,
        **{f"recall/digit/{label}": value for label, value in enumerate(RECALLS[domain])},
    }
    for place, domain in enumerate(RECALLS)
}
OWN["plain"]["overfitting"] = 0.25  # which not all have
PROTOCOL: dict[str, Any] = {
    "num_images": 600,
    "compared_with": "white digits",
    "num_neighbour_images": 100,
    "num_neighbours": 5,
    "extractor": "x",
    "extractor_checksum": "0",
    "resize": "none",
    "seed": 0,
}
DOMAINS = {"domains": {"plain": "white digits", "blended": "digits on photographs"}}


def lines(captured: str) -> list[list[str]]:
    """The cells of every line."""
    return [[cell.strip() for cell in re.split("[│┃]", line) if cell.strip()] for line in captured.splitlines()]


def printed(capsys: pytest.CaptureFixture[str], figures: Mapping[str, float], protocol: Mapping[str, Any]) -> str:
    capsys.readouterr()
    print_figures(dict(figures), dict(protocol), None)
    return capsys.readouterr().out


def table(out: str, title: str) -> list[list[str]]:
    """A table's rows, its headings first."""
    _, _, rest = out.partition(f" {title} ")
    return [row for row in lines(rest.partition("└")[0]) if len(row) > 1]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_domains_have_names_of_their_own_and_means() -> None:
    figures = over_domains(OWN)
    assert figures["fid"] == fmean([10.0, 11.0])
    assert figures["task_accuracy/digit"] == fmean([0.75, 0.5])
    assert figures["fid/blended"] == 11.0
    assert figures["task_accuracy/digit@blended"] == 0.5
    assert figures["recall/digit@blended/2"] == 0.01
    assert "overfitting" not in figures and figures["overfitting/plain"] == 0.25
    assert not [name for name in figures if name.startswith("recall/digit/")]  # no mean of single classes
    assert sum(len(own) for own in OWN.values()) + 2 == len(figures)  # no two have one name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fid", "fid/edges"),
        ("task_accuracy/digit", "task_accuracy/digit@edges"),
        ("fid/digit/2", "fid/digit@edges/2"),
        ("fid/kind/a/b@c", "fid/kind@edges/a/b@c"),
    ],
)
def test_a_domain_is_no_class(name: str, expected: str) -> None:
    assert in_domain(name, "edges") == expected
    assert is_of_a_class(expected) is is_of_a_class(name)
    known = {} if is_of_a_class(name) else {name: {"edges": 1.0}}
    assert by_domain({expected: 1.0, name: 2.0}, ["plain", "edges"]) == known


def test_a_task_may_be_called_like_a_domain() -> None:
    figures = over_domains({name: {"fid": 1.0, "task_accuracy/plain": 0.5} for name in ("plain", "edges")})
    assert by_domain(figures, ["plain", "edges"]) == {
        "fid": {"plain": 1.0, "edges": 1.0},
        "task_accuracy/plain": {"plain": 0.5, "edges": 0.5},
    }


def test_words() -> None:
    assert in_words("digit@edges") == "digit in edges"
    assert in_words("digit@edges", "2") == "digit 2 in edges"
    assert in_words("digit", "2") == "digit 2"
    assert title_of("task_accuracy/digit@edges") == "Task accuracy: digit in edges"
    assert title_of("fid/edges") == "Fréchet inception distance (FID): edges"


def test_classes_are_compared_within_their_domain() -> None:
    figures = over_domains(OWN)
    assert by_class(figures)["digit@blended", "recall"] == {"0": 0.1, "1": 0.1, "2": 0.01, "3": 0.1}
    (broken,) = breakdowns(figures)  # the other classes of blended are no worse than each other
    assert str(broken) == (
        "digit 2 in blended breaks down: recall 0.01 where the classes of digit in blended have 0.1 (median)"
    )
    history = History()
    history.observe({name: value for name, value in figures.items() if "digit" not in name})
    for value in (0.1, 0.01):
        assert ModeDropping().evidence(history) is None
        history.observe(figures | {"recall/digit@blended/2": value})
    assert "digit 2 in blended breaks down" in str(ModeDropping().evidence(history))


def test_domains_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, over_domains(OWN) | {"agreement/digit": 0.5, "kimg": 2.0}, PROTOCOL | DOMAINS)
    names = [row[0] for row in table(out, "Final figures")]
    assert names == ["figure", "fid", "task_accuracy/digit", "agreement/digit", "kimg"]
    assert table(out, "Domains") == [
        ["figure", "plain", "blended"],
        ["fid", "10", "11"],
        ["task_accuracy/digit", "0.75", "0.5"],
        ["overfitting", "0.25", "–"],
    ]
    assert table(out, "Classes")[1:] == [
        ["digit in plain", "recall", "0.5", "0.5", "0"],
        ["digit in blended", "recall", "0.1", "0.01", "2"],
    ]
    assert "digit 2 in blended breaks down" in out
    assert "of each domain compared with its own, those of plain with white digits;" in out


def test_one_domain_is_shown_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, OWN["plain"] | {"psnr/plain": 30.0}, PROTOCOL)
    names = [row[0] for row in table(out, "Final figures")]
    assert names == ["figure", "fid", "task_accuracy/digit", "overfitting", "psnr/plain"]
    assert "Domains" not in out
    assert "600 generated images compared with white digits;" in out


def test_the_page_and_the_panels_take_them(tmp_path: Path) -> None:
    figures: Sequence[str] = [*over_domains(OWN)]
    write_metrics(tmp_path, [{"step": k, "kimg": k, **dict.fromkeys(figures, 0.5 / k)} for k in (1, 2)])
    text = read(write_page(tmp_path)).text
    assert "digit@blended" in text
    by_title = {panel.title: panel for panel in panels_for(figures)}
    assert by_title["Task accuracy"].takes("task_accuracy/digit@blended")
    assert by_title["Recall by class"].takes("recall/digit@blended/2")
    assert "Accuracy by class" not in by_title
