"""What kind of task a column is, and its targets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow
import pyarrow.compute
import torch
from torch import Tensor, nn

from lightning_mtgan.data.files.kinds import Kind
from lightning_mtgan.data.files.names import FileNames
from lightning_mtgan.errors import UserError

FEW_INTEGERS = 32
"""Whole numbers of at most so many values are classes."""
MOST_CLASSES = 1_000
"""Texts of more values are no classes, unless somebody says so."""
TAKEN = {"adversarial", "r1", "r2", "image", "shared"}
"""Names of losses and of the images."""


@dataclass(frozen=True)
class Column:
    """A task that a column of labels gives.

    Args:
        name: Of the task.
        kind: What it is.
        target: Classes int64 (N,), or answers and numbers float32 (N, 1); None of a map.
        labels: Names of the classes, or of the answer that counts as yes.
        files: Of a map the file of each image, or None.
    """

    name: str
    kind: Kind
    target: Tensor | None
    labels: tuple[str, ...] = ()
    files: tuple[str | None, ...] = ()


def columns_to_tasks(
    columns: Mapping[str, pyarrow.Array], kinds: Mapping[str, Kind], files: FileNames, source: str
) -> tuple[list[Column], list[str]]:
    """The tasks in a table, in its order, and what was left out and why.

    Two values are an attribute, few whole numbers or texts are classes, other numbers a regression,
    names of files a map.

    Args:
        columns: By name; null where there is no value.
        kinds: What some of them are, by a person's word.
        files: The files that a map may name.
        source: Where they come from, for messages.

    Raises:
        UserError: If a kind is given for a column that is not there, or does not fit its values.
    """
    for name in kinds:
        if name not in columns:
            raise UserError(f"data.kinds names `{name}`; the columns of {source} are {', '.join(columns)}")
    tasks: list[Column] = []
    notes: list[str] = []
    for name, raw in columns.items():
        values = _plain(raw)
        kind, reason = (kinds[name], "") if name in kinds else _infer(name, values, files)
        if kind == "ignore":
            if reason:
                notes.append(f"column {name} is left out: {reason}; data.kinds.{name} says what it is")
            continue
        task = task_name(name, {one.name for one in tasks})
        if task != name:
            notes.append(f"column {name} is the task {task}: networks and charts cannot take its name")
        makers = {"classification": _classes, "attribute": _answers, "regression": _numbers}
        if kind == "dense":
            texts = [None if value is None else str(value) for value in values.to_pylist()]
            lost = next((text for text in texts if text is not None and files.find(text) is None), None)
            if lost is not None:
                raise UserError(f"column {name} of {source} is dense, but there is no image {lost}; mend the row")
            maps = tuple(None if text is None else files.find(text) for text in texts)
            tasks.append(Column(task, kind, None, (), maps))
        else:
            try:
                target, labels = makers[kind](values)
            except (pyarrow.ArrowException, ValueError) as error:
                text = " ".join(str(error).split())
                raise UserError(
                    f"column {name} of {source} cannot be a {kind} ({text}); set data.kinds.{name} to another kind"
                ) from error
            tasks.append(Column(task, kind, target, labels))
    return tasks, notes


def task_name(name: str, taken: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    """A name that networks, losses and charts can take: letters, digits and _, none of torch's own."""
    clean = re.sub(r"\W", "_", name) or "task"
    while clean in TAKEN | taken or hasattr(nn.ModuleDict(), clean):
        clean += "_"
    return clean


def _plain(values: pyarrow.Array) -> pyarrow.Array:
    """Without NaN, dictionaries, and whole numbers that are written as others because some are missing."""
    if pyarrow.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pyarrow.types.is_floating(values.type):
        missing = pyarrow.compute.is_null(values, nan_is_null=True)
        values = pyarrow.compute.if_else(missing, pyarrow.scalar(None, values.type), values)
        present = np.asarray(values.drop_null(), dtype=np.float64)
        if len(present) and (np.abs(present) < 2**53).all() and (present == np.floor(present)).all():
            values = values.cast(pyarrow.int64())
    return values


def _infer(name: str, values: pyarrow.Array, files: FileNames) -> tuple[Kind, str]:
    """What a column is, or why nobody can tell."""
    present, kind = values.drop_null(), values.type
    if pyarrow.types.is_nested(kind):
        return "ignore", f"nothing is learned from values of type {kind}"
    num_values = len(present.unique())
    if num_values < 2:
        return "ignore", "all its values are the same" if num_values else "it has no values"
    if not name.strip() or name.startswith(("__index_level_", "Unnamed: ")):
        return "ignore", "it is the number of the row"
    is_text = pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
    if is_text and all(files.find(value) is not None for value in present.to_pylist()):
        return "dense", ""
    if pyarrow.types.is_boolean(kind) or (num_values == 2 and (is_text or pyarrow.types.is_integer(kind))):
        return "attribute", ""
    if pyarrow.types.is_integer(kind):
        numbers = np.asarray(present)
        if len(values) == num_values > FEW_INTEGERS and numbers.max() - numbers.min() == num_values - 1:
            return "ignore", "it numbers the rows"
        return ("classification" if num_values <= FEW_INTEGERS else "regression"), ""
    if pyarrow.types.is_floating(kind):
        return "regression", ""
    if is_text and num_values <= min(MOST_CLASSES, len(present) / 2):
        return "classification", ""
    if is_text:
        return "ignore", f"{num_values:,} different texts in {len(present):,} rows"
    return "ignore", f"nothing is learned from values of type {kind}"


def _classes(values: pyarrow.Array) -> tuple[Tensor, tuple[str, ...]]:
    present = values.drop_null().unique().to_pylist()
    known = sorted(present)
    if len(known) < 2:
        raise ValueError("it has fewer than two values")
    number = {value: index for index, value in enumerate(known)}
    target = [-1 if value is None else number[value] for value in values.to_pylist()]
    return torch.tensor(target), tuple(class_label(str(value)) for value in known)


def class_label(text: str) -> str:
    """A class as it stands in charts, where a slash separates."""
    return text.replace("/", "_")


def _answers(values: pyarrow.Array) -> tuple[Tensor, tuple[str, ...]]:
    known = sorted(values.drop_null().unique().to_pylist())
    if len(known) != 2:
        raise ValueError(f"it has {len(known)} values, not two")
    no, yes = known
    is_plain = {str(no).lower(), str(yes).lower()} in (
        {"0", "1"},
        {"0.0", "1.0"},
        {"-1", "1"},
        {"false", "true"},
        {"no", "yes"},
    )
    target = [np.nan if value is None else float(value == yes) for value in values.to_pylist()]
    return torch.tensor(target)[:, None], () if is_plain else (class_label(str(yes)),)


def _numbers(values: pyarrow.Array) -> tuple[Tensor, tuple[str, ...]]:
    numbers = torch.tensor(
        [np.nan if value is None else value for value in values.cast(pyarrow.float64()).to_pylist()],
        dtype=torch.float64,
    )
    if int((~numbers.isnan()).sum()) == 0:
        raise ValueError("it has no values")
    single = numbers.float()
    if bool(single.isinf().any()):
        raise ValueError("it holds infinite values, or some beyond 3e38")
    return single[:, None], ()
