"""The guard's verdicts on a training, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning_mtgan.page.markup import Markup, absent, tag
from lightning_mtgan.page.numbers import as_number, is_drawable
from lightning_mtgan.page.reading import HEALTHY, Run
from lightning_mtgan.page.tables import cell


def verdicts_section(run: Run) -> list[Markup]:
    """Every change of the verdict on the training, the newest first."""
    if unread := [problem for problem in run.problems if problem.startswith("verdicts.json")]:
        return [absent(" ".join(unread))]
    if not run.verdicts:
        return [tag("p", "No alarm so far; verdicts.json comes with the first one.", class_="good")]
    newest_first = sorted(run.verdicts, key=_kimg_or_zero)[::-1]
    number, last = len(run.alarms), str(newest_first[0].get("verdict", ""))
    alarms = f"{number} alarm{'s' * (number > 1)}; every chart marks them in red" if number else "No alarm so far"
    now = tag("p", f"{alarms}. The newest verdict: {last}.", class_="good" if last == HEALTHY else "bad")
    rows = []
    for verdict in newest_first:
        name = str(verdict.get("verdict", ""))
        look = "good" if name == HEALTHY else "bad"
        kimg, step, evidence, reaction = (cell(verdict.get(key)) for key in ("kimg", "step", "evidence", "reaction"))
        rows.append(tag("tr", kimg, step, tag("td", name, class_=f"verdict {look}"), evidence, reaction))
    head = tag("tr", *(tag("th", name) for name in ("kimg", "step", "verdict", "evidence", "reaction")))
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return [now, tag("div", table, class_="scroll")]


def _kimg_or_zero(verdict: Mapping[str, Any]) -> float:
    kimg = as_number(verdict.get("kimg"))
    return kimg if is_drawable(kimg) else 0.0
