from __future__ import annotations

import json
import math

import pytest

from lightning_mtgan.callbacks.collapse_guard import default_rules
from lightning_mtgan.errors import UserError
from lightning_mtgan.figure_names import SIGNALS, is_of_a_class
from lightning_mtgan.guard import History, RepresentationCollapse

HEALTHY = {"representation/spread": 0.9, "representation/norm": 2.0, "fid": 40.0}


def history_of(*readings: dict[str, float]) -> History:
    history = History()
    for reading in readings:
        history.observe(HEALTHY | reading)
        history.accept()
    return history


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"representation/spread": 0.02}, "spread 0.02 over images"),
        ({"representation/spread": 0.0}, "spread 0 over images"),
        ({"representation/norm": 1e-4}, "shrunk to norm 0.0001, it was 2"),
    ],
)
def test_it_speaks_at_the_second_reading_and_alone(change: dict[str, float], said: str) -> None:
    rule, history = RepresentationCollapse(), history_of({}, {}, {})
    assert rule.evidence(history) is None
    history.observe(HEALTHY | change)
    assert rule.evidence(history) is None  # one noisy reading
    history.observe({"fid": 41.0})  # a measurement between them
    history.observe(HEALTHY | change)
    assert said in str(rule.evidence(history))
    assert [one.verdict for one in default_rules() if one.evidence(history)] == ["representation collapse"]
    restored = History()
    restored.load_state_dict(json.loads(json.dumps(history.state_dict())))
    assert rule.evidence(restored) == rule.evidence(history)
    history.observe(HEALTHY)
    assert rule.evidence(history) is None  # it is over


@pytest.mark.parametrize(
    "readings",
    [
        [],  # no game with a representation
        [{"representation/norm": 1e-5}] * 3,  # always that small
        [{"representation/norm": 1e-5}, {"representation/norm": 1e6}],  # it grows
        [{"representation/spread": 0.01}, {"representation/spread": 0.06}] * 3,
        [{"representation/spread": 0.01}, {"representation/spread": math.nan}],
        [{"representation/spread": 0.06, "representation/norm": 2.1e-3}] * 3,
    ],
)
def test_no_alarm(readings: list[dict[str, float]]) -> None:
    assert RepresentationCollapse().evidence(history_of(*readings)) is None


def test_thresholds_are_keys() -> None:
    history = history_of(*[{"representation/spread": 0.2}] * 2)
    assert RepresentationCollapse().evidence(history) is None
    assert RepresentationCollapse(spread=0.3).evidence(history) is not None
    shrunk = history_of({}, *[{"representation/norm": 0.1}] * 2)
    assert RepresentationCollapse().evidence(shrunk) is None
    assert RepresentationCollapse(norm=0.1).evidence(shrunk) is not None
    with pytest.raises(UserError, match=r"guard\.rules: spread of RepresentationCollapse is 0"):
        RepresentationCollapse(spread=0.0)


def test_its_figures_have_words() -> None:
    for name in ("representation/spread", "representation/norm"):
        assert SIGNALS[name].title and SIGNALS[name].about
    assert not is_of_a_class("representation/spread/edges")
