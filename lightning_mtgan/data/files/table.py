"""A table beside the images: a row for each file, a column for each task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from lightning_mtgan.data.files.containers import Container, Problem, open_container, printable
from lightning_mtgan.errors import UserError

FILE_COLUMNS = ("file", "file_name", "filename", "path", "image", "image_id")
"""What the column of file names may be called; the first that is there counts."""
ENDINGS = (".csv", ".tsv", ".parquet")
STYLEGAN = "dataset.json"
"""Where StyleGAN's archives keep their labels."""
MISSING = ("", "NA", "N/A", "nan", "NaN", "null", "None", "NULL")


@dataclass(frozen=True)
class Labels:
    """Columns in the order of the images.

    Args:
        source: The file they come from, for people.
        columns: By name; null where an image has no value.
        problems: Rows that belong to no file.
    """

    source: str
    columns: dict[str, pyarrow.Array]
    problems: tuple[Problem, ...] = ()


def find_table(container: Container, table: str | None) -> tuple[Container, str] | None:
    """Where the table lies: as named, or the only one beside the images; None if there is none.

    Raises:
        UserError: If the named one is missing, or there are several.
    """
    if table is not None:
        path = container.path / table if container.path.is_dir() else container.path.parent / table
        for known in (PurePosixPath(table), path):
            if str(known) in container.top_files():
                return container, str(known)
        outside = [one for one in (path, container.path.parent / table, path.cwd() / table) if one.is_file()]
        if not outside:
            raise UserError(f"data.table {table} is neither a file nor in {container.path}; give a CSV or Parquet file")
        return open_container(str(outside[0].parent), follow_links=True), outside[0].name
    inside = [name for name in container.top_files() if name.lower().endswith(ENDINGS) and not name.startswith(".")]
    if len(inside) > 1:
        raise UserError(f"{container.path} holds several tables ({', '.join(inside)}); name one with data.table")
    if inside:
        return container, inside[0]
    for ending in ENDINGS:
        beside = container.path.with_name(container.path.stem + ending)
        if beside.is_file():
            return open_container(str(beside.parent), follow_links=True), beside.name
    return None


def read_labels(place: tuple[Container, str], names: list[str], rejected: set[str]) -> Labels:
    """The columns of a table, in the order of the images.

    Args:
        place: Where it lies.
        names: The images' files.
        rejected: Files that were refused, whose rows are nobody's mistake.

    Raises:
        UserError: If the table cannot be read, has no column of files, or names a file twice.
    """
    container, file_name = place
    source = str(container.path / file_name)
    table = _read(container, file_name, source)
    column = next((name for name in FILE_COLUMNS if name in table.column_names), None)
    if column is None:
        known = ", ".join(table.column_names)
        raise UserError(f"table {source} has no column of file names; call it `file` (its columns are {known})")
    files = [str(value).replace("\\", "/").removeprefix("./") for value in table.column(column).to_pylist()]
    rows: dict[str, int] = {}
    for number, name in enumerate(files):
        if name in rows:
            raise UserError(
                f"table {source} names {name} twice (rows {rows[name] + 1} and {number + 1}); keep one of them"
            )
        rows[name] = number
    short = {PurePosixPath(name).name: name for name in names}
    if len(short) == len(names) and not rows.keys() & set(names):  # names without their folders, all different
        rows = {short.get(name, name): number for name, number in rows.items()}
    lost = [name for name in rows if name not in set(names) and name not in rejected]
    problems = tuple(Problem(printable(name), f"a row of {source}, but no such file") for name in lost)
    order = pyarrow.array([rows.get(name) for name in names], type=pyarrow.int64())
    columns = {name: table.column(name).combine_chunks().take(order) for name in table.column_names if name != column}
    return Labels(source, columns, problems)


def _read(container: Container, name: str, source: str) -> pyarrow.Table:
    try:
        with container.open(name) as file:
            content = file.read()
        buffer = pyarrow.BufferReader(content)
        if name.lower().endswith(".parquet"):
            return pyarrow.parquet.read_table(buffer)
        return pyarrow.csv.read_csv(
            buffer,
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t" if name.lower().endswith(".tsv") else ","),
            convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=MISSING),
        )
    except (OSError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"table {source} cannot be read ({reason}); mend it, or name another with data.table"
        ) from error


def read_stylegan(container: Container, names: list[str]) -> Labels | None:
    """The labels of ``dataset.json``, as StyleGAN's tools write it; None if there are none.

    Raises:
        UserError: If the file is not in that form.
    """
    if STYLEGAN not in container.top_files():
        return None
    source = str(container.path / STYLEGAN)
    try:
        with container.open(STYLEGAN) as file:
            content = json.load(file)
        labels = dict(content["labels"]) if content["labels"] is not None else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{source} cannot be read ({error}); it should hold {{"labels": [["file.png", 3], ...]}}, or null'
        ) from error
    if labels is None:
        return None
    values = [labels.get(name) for name in names]
    try:
        if any(isinstance(value, list) for value in values):
            width = max(len(value) for value in values if value is not None)
            columns = {
                f"label_{index}": pyarrow.array([None if value is None else float(value[index]) for value in values])
                for index in range(width)
            }
        else:
            columns = {"class": pyarrow.array(values, type=pyarrow.int64())}
    except (pyarrow.ArrowException, TypeError, IndexError) as error:
        raise UserError(f"{source}: labels are whole numbers, or lists of numbers of one length ({error})") from error
    return Labels(source, columns)
