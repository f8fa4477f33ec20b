"""The page of a run, from folders written by hand."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lightning_mtgan.errors import UserError
from lightning_mtgan.figure_names import COPIES, FIDELITY, SIGNALS, TASKS
from lightning_mtgan.page import write_page
from lightning_mtgan.page.bars import bar_chart
from lightning_mtgan.page.frame import Alarm
from lightning_mtgan.page.lines import Series, line_chart, thinned
from lightning_mtgan.page.markup import tag
from lightning_mtgan.page.numbers import duration
from lightning_mtgan.page.samples import SAMPLE_BYTES, chosen_samples
from lightning_mtgan.page.scales import Axis, time_axis, value_axis
from lightning_mtgan.page.sections import in_order
from lightning_mtgan.panels import PANELS

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
VOID = {"meta", "img"}
SCRIPT = "<script>alert('&')</script>"
GROUPS = dict.fromkeys(TASKS, "red") | {"gradient_norm": "generator", "skipped": "generator"}
EVERY = [f"{name}/{GROUPS[name]}" if name in GROUPS else name for name in FIDELITY | COPIES | SIGNALS | TASKS]
"""A column for every figure that has a title."""


class Balanced(HTMLParser):
    """Reads a page as browsers do, and notes what is out of place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag in VOID or "svg" in self.open, f"<{tag}/> is no end in HTML"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Balanced:
    """The page, after every check that all pages must pass."""
    content = path.read_text(encoding="utf-8")
    reader = Balanced()
    reader.feed(content)
    reader.close()
    assert reader.open == []
    ElementTree.fromstring(content)
    for name, attributes in reader.tags:
        assert name not in ("script", "link", "iframe", "object", "use")
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href", "srcset"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,"))
    assert "url(" not in content and "@import" not in content
    assert not list(path.parent.glob("*.partial"))
    return reader


def write_metrics(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def figure(path: Path, title: str) -> ElementTree.Element:
    """The one chart of that title."""
    tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    (found,) = [one for one in tree.iter("figure") if one.findtext("figcaption/strong") == title]
    return found


def marks(chart: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """The elements of one class in a chart's drawing; those of the legend are not among them."""
    (drawing,) = [svg for svg in chart.iter("svg") if svg.get("role") == "img"]
    return [element for element in drawing.iter() if kind in (element.get("class") or "").split()]


def hint(element: ElementTree.Element) -> str:
    return element.findtext("title") or ""


def example_of(pattern: str) -> str:
    """A name that a panel's pattern matches."""
    name = re.sub(r"\((\w+)\|\w+\)|\[(\d)\d\]", lambda choice: choice[1] or choice[2], pattern)
    name = name.replace("[^/]+", "x").replace(".+", "y/z")
    assert re.fullmatch(pattern, name)
    return name


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    assert write_page(tmp_path) == tmp_path / "index.html"
    text = read(tmp_path / "index.html").text
    for missing in ("metrics.csv is not there yet", "No alarm so far", "No picture yet", "No measurement yet"):
        assert missing in text
    for missing in ("No loss yet", "No signal yet", "No figure of a task yet", "summary.json", "config.yaml"):
        assert missing in text


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*version_0"):
        write_page(tmp_path / "nowhere")


def test_every_figure_has_a_chart_with_its_title(tmp_path: Path) -> None:
    losses = ["loss/discriminator/adversarial", "loss/discriminator/r1", "loss/generator/red", "loss/penalty/r1"]
    names = [*EVERY, *losses, "a figure of tomorrow"]
    write_metrics(tmp_path, [{"step": k, "kimg": k, **dict.fromkeys(names, k + 0.5)} for k in (1, 2, 3)])
    read(write_page(tmp_path))
    tables = FIDELITY | COPIES | SIGNALS | TASKS
    titles = [one.title for name, one in tables.items() if name != "task_error"]
    titles += [f"Losses of the {phase}" for phase in ("discriminator", "generator", "penalty")]
    for title in [*titles, "Task error: red", "a figure of tomorrow"]:
        assert marks(figure(tmp_path / "index.html", title), "dot")


def test_no_figure_with_a_panel_is_without_words(tmp_path: Path) -> None:
    names = [name for panel in PANELS if panel.kind == "curve" for name in map(example_of, panel.patterns)]
    assert {"fid/x/y/z", "loss/x/r1", "gradient_norm/x", "head_error/x", "modes_kl_floor"} <= set(names)
    write_metrics(tmp_path, [{"step": k, "kimg": k, **dict.fromkeys(names, k)} for k in (1, 2)])
    assert "Other figures" not in read(write_page(tmp_path)).text


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    values = [3.0, math.nan, math.inf, -math.inf, 1e308, "", 5.0]
    rows = [{"step": k, "kimg": k, "fid": value, "kid": math.nan} for k, value in enumerate(values)]
    write_metrics(tmp_path, [*rows, {"kimg": math.nan, "fid": 7.0}, {"kimg": "", "fid": 7.0}])
    reader = read(write_page(tmp_path))
    fid = figure(tmp_path / "index.html", FIDELITY["fid"].title)
    assert [hint(dot).split(" at ")[0].rpartition(" ")[2] for dot in marks(fid, "dot")] == ["3", "5"]
    assert "4 values not finite" in "".join(fid.itertext())
    assert "No finite value" in reader.text  # of KID


def test_metrics_that_are_being_written_are_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,kimg,fid,kid,verdict\n1,1.0,9.5,2.5,healthy\n2,2.0,8")
    read(write_page(tmp_path))
    assert len(marks(figure(tmp_path / "index.html", FIDELITY["fid"].title), "dot")) == 2
    assert len(marks(figure(tmp_path / "index.html", FIDELITY["kid"].title), "dot")) == 1


def test_the_final_protocol_is_not_joined_to_the_curve(tmp_path: Path) -> None:
    rows = [{"step": k, "kimg": k, "protocol": "1,000 images", "fid": 10 - k} for k in range(4)]
    rows.insert(2, {"step": 1, "kimg": 1.5, "loss/generator/adversarial": 0.5})
    write_metrics(tmp_path, [*rows, {"step": 3, "kimg": 3, "protocol": "50,000 images", "fid": 6.5}])
    reader = read(write_page(tmp_path))
    fid = figure(tmp_path / "index.html", FIDELITY["fid"].title)
    (line,) = marks(fid, "line")
    assert (line.get("d") or "").count("L") == 3
    assert len(marks(fid, "dot")) == 4
    (diamond,) = marks(fid, "diamond")
    assert "6.5 at 3 kimg (50,000 images)" in hint(diamond)
    assert "Line: 1,000 images" in reader.text and "◆ 50,000 images" in reader.text
    assert not marks(figure(tmp_path / "index.html", "Losses of the generator"), "diamond")


def test_alarms_stand_at_the_top_and_in_every_chart(tmp_path: Path) -> None:
    names = ["fid", "signal/margin", "loss/generator/adversarial", "task_accuracy/red"]
    write_metrics(tmp_path, [{"step": k, "kimg": k, **dict.fromkeys(names, k)} for k in (1, 2)])
    told = {"step": 120, "kimg": 1.5, "reaction": "none"}
    verdicts = [told | {"verdict": f"mode {SCRIPT}", "evidence": f"recall {SCRIPT}"}]
    verdicts += [told | {"kimg": 1.75, "verdict": "healthy", "evidence": "over"}, {"verdict": "divergence"}]
    (tmp_path / "verdicts.json").write_text(json.dumps(verdicts))
    reader = read(write_page(tmp_path))
    assert f"recall {SCRIPT}" in reader.text  # the reader has turned it back into text
    assert "2 alarms; every chart marks them in red. The newest verdict: healthy." in reader.text
    looks = {attributes.get("class") for name, attributes in reader.tags if name == "td"}
    assert {"verdict good", "verdict bad"} <= looks
    for title in (FIDELITY["fid"].title, SIGNALS["signal/margin"].title, "Losses of the generator", "Task accuracy"):
        (alarm,) = marks(figure(tmp_path / "index.html", title), "alarm")
        assert hint(alarm) == f"mode {SCRIPT} at 1.5 kimg"


@pytest.mark.parametrize("content", ["[{", "{}", "[1, null]", '[{"kimg": "x", "verdict": null, "step": NaN}]'])
def test_damaged_verdicts_do_not_pass_for_health(tmp_path: Path, content: str) -> None:
    (tmp_path / "verdicts.json").write_text(content)
    text = read(write_page(tmp_path)).text
    assert "verdicts.json" in text or "1 alarm;" in text


def test_classes_of_the_newest_measurement(tmp_path: Path) -> None:
    label = f"5/{SCRIPT}"
    old = {"kimg": 1, "fid/red/2": 900.0, "kid/red/10": 800.0}
    new = {"kimg": 2, "fid/red/10": 4.0, "fid/red/2": 3.0, f"fid/red/{label}": 70.0, "kid/red/7": 1.0}
    accuracy = {"task_accuracy/red/2": 0.9, "task_accuracy/red/10": 0.2, f"task_accuracy/red/{label}": math.nan}
    write_metrics(tmp_path, [old, {**new, **accuracy}, {"kimg": 3, "loss/generator/red": 1.0}])
    reader = read(write_page(tmp_path))
    assert label in reader.text and "Task red" in reader.text
    fid = figure(tmp_path / "index.html", "Fréchet inception distance (FID) by class")
    assert [hint(bar) for bar in marks(fid, "bar")] == ["2: 3", f"{label}: 70, the worst", "10: 4"]
    assert [hint(bar) for bar in marks(fid, "bar") if "worst" in (bar.get("class") or "")] == [
        f"{label}: 70, the worst"
    ]
    kid = figure(tmp_path / "index.html", "Kernel inception distance (KID) by class")
    assert [hint(bar) for bar in marks(kid, "bar")] == ["7: 1"]
    shares = figure(tmp_path / "index.html", "Task accuracy by class")
    assert [hint(bar) for bar in marks(shares, "bar")] == ["2: 0.9", "10: 0.2, the worst"]


def test_the_newest_picture_and_six_before_it(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for kimg in range(0, 200, 2):
        (tmp_path / "samples" / f"kimg_{kimg:09.3f}.png").write_bytes(PIXEL)
    (tmp_path / "samples" / "kimg_00500.000.png.partial").write_bytes(PIXEL[:5])
    (tmp_path / "samples" / "other.png").write_bytes(PIXEL)
    reader = read(write_page(tmp_path))
    images = [attributes for name, attributes in reader.tags if name == "img"]
    moments = [re.sub(r"\D", "", image["alt"] or "") for image in images]
    assert moments == ["198", "0", "40", "78", "118", "156", "196"]
    assert base64.b64decode((images[0]["src"] or "").partition(",")[2]) == PIXEL
    assert "7 of the 100 pictures" in reader.text


def test_large_pictures_leave_room(tmp_path: Path) -> None:
    paths = [(float(index), tmp_path / f"{index}.png") for index in range(9)]
    for _, path in paths:
        path.write_bytes(b"\0" * (SAMPLE_BYTES // 3))
    assert [kimg for kimg, _ in chosen_samples(paths)] == [0, 4, 8]
    paths[0][1].write_bytes(b"\0" * (SAMPLE_BYTES + 1))
    assert chosen_samples(paths) == []


def test_summary_and_configuration(tmp_path: Path) -> None:
    figures = {"fid": 3.25, "task_accuracy/red": 0.5, "fid/red/3": 77.5, "new": None, "modes": 1000.0}
    protocol = {"num_images": 5000, "compared_with": f"others {SCRIPT}", "splits": {"train": "mine"}}
    summary = {"figures": figures, "protocol": protocol, "run": {"steps": 120, "parameters": {"generator": 1234567}}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "config.yaml").write_text(f"name: {SCRIPT}\x1b\n")
    (tmp_path / "config_from_60.yaml").write_text("seed: 1\n")
    write_metrics(tmp_path, [{"step": 120, "kimg": 7.68, "seconds": 4000}])
    text = read(write_page(tmp_path)).text
    for expected in ("3.25", "Task accuracy: red", "1,000", "on 5,000 generated images", f"others {SCRIPT}", "mine"):
        assert expected in text
    for expected in ("parameters: generator", "1,234,567", f"name: {SCRIPT}", "config_from_60.yaml", "1 h 6 min"):
        assert expected in text
    assert "77.5" not in text and "complete" in text
    write_metrics(tmp_path, [{"step": 240, "kimg": 15.36}])
    text = read(write_page(tmp_path)).text
    assert "of step 120; the run has gone on" in text and "complete" not in text


def test_the_page_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_page(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "old"


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    names = [f"loss/{phase}/{name}" for phase in ("discriminator", "generator") for name in "abcde"]
    write_metrics(tmp_path, [{"step": k, "kimg": k / 10, **{n: math.sin(k * k) for n in names}} for k in range(4000)])
    assert write_page(tmp_path).stat().st_size < 150_000


def test_thinned_lines_keep_their_peaks() -> None:
    points = [(float(x), 0.0) for x in range(10_000)]
    points[7777], points[1234] = (7777.0, 9.0), (1234.0, -9.0)
    kept = thinned(points, 100)
    assert len(kept) <= 100
    assert points[7777] in kept and points[1234] in kept
    assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis(0, 100), ["0", "20", "40", "60", "80", "100"]),
        (Axis(0.9, 1.0), ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]),
        (Axis(-3, 22_000), ["0", "5,000", "10,000", "15,000", "20,000"]),
        (Axis(0, 4e7), ["0", "1e+07", "2e+07", "3e+07", "4e+07"]),
        (Axis(3, 900, is_log=True), ["5", "10", "20", "50", "100", "200", "500"]),
        (Axis(0.5, 2e6, is_log=True), ["1", "100", "10,000", "1,000,000"]),
    ],
)
def test_ticks_are_round(axis: Axis, labels: list[str]) -> None:
    assert [label for _, label in axis.ticks()] == labels
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value, _ in axis.ticks())


def test_axes_fit_their_values() -> None:
    assert value_axis([1, 51]).is_log
    assert not value_axis([1, 49]).is_log
    assert not value_axis([0, 1000]).is_log
    assert value_axis([0, 1000]).low == 0
    for values in ([], [0.0], [-3.0, -3.0], [1e-300, 1e-320], [1e100, -1e100], [1e9, 1e9 + 1e-6], [5e-324]):
        axis = value_axis(values)
        assert axis.low < axis.high
        assert all(0 <= axis.place(value) <= 1 for value in values)
        assert axis.ticks()
    assert (time_axis([5, 90]).low, time_axis([5_000, 5_100]).low) == (0, 5_000)
    for kimg in ([], [0.0], [7.0, 7.0], [math.nan, math.inf]):
        assert time_axis(kimg).low < time_axis(kimg).high


def test_hundreds_of_alarms_and_classes() -> None:
    alarms = [Alarm(index / 50, "ill") for index in range(5000)]
    chart = line_chart("FID", [Series("FID", [(0, 1), (100, 2)])], time_axis([0, 100]), alarms)
    assert chart.count('class="alarm"') < 200
    bars = bar_chart("Recall", [(f"class {index}", index / 1000) for index in range(1000)], is_high_worse=False)
    assert bars.count("<rect") == 40 and "the worst 40 of 1000 classes" in bars and "class 0: 0, the worst" in bars
    assert "worst" not in bar_chart("Recall", [("a", 1.0), ("b", 1.0)], is_high_worse=False)


def test_markup_escapes_what_is_not_markup() -> None:
    assert tag("p", "a<b", tag("b", "&"), class_='"x"') == '<p class="&quot;x&quot;">a&lt;b<b>&amp;</b></p>'


def test_words() -> None:
    assert in_order(["10", "2", "b10", "b9", "a"]) == ["2", "10", "a", "b9", "b10"]
    assert [duration(seconds) for seconds in (7.2, 125, 7265, math.nan)] == ["7 s", "2 min 5 s", "2 h 1 min", "–"]
