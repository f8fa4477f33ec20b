"""A table beside the images: a row for each file, a column for each task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet

from lightning_mtgan.data.files.containers import Container, Folder, Problem, printable
from lightning_mtgan.data.files.kinds import Kind
from lightning_mtgan.data.files.names import FileNames
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
        kinds: What some of the columns are, as the format says.
    """

    source: str
    columns: dict[str, pyarrow.Array]
    problems: tuple[Problem, ...] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)


def find_table(container: Container, table: str | None) -> tuple[Container, str] | None:
    """Where the table lies: as named, or the only one beside the images; None if there is none.

    Raises:
        UserError: If the named one is missing, or there are several.
    """
    if table is not None:
        if table in container.top_files():
            return container, table
        places = [container.path / table, container.given.parent / table, Path(table).expanduser().absolute()]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise UserError(f"data.table {table} is neither a file nor in {container.path}; give a CSV or Parquet file")
        return Folder(found.parent, follow_links=True, descend=False), found.name
    inside = [name for name in container.top_files() if name.lower().endswith(ENDINGS) and not name.startswith(".")]
    if len(inside) > 1:
        raise UserError(f"{container.path} holds several tables ({', '.join(inside)}); name one with data.table")
    if inside:
        return container, inside[0]
    given = container.given
    stem = given.name if given.is_dir() else given.stem
    for ending in ENDINGS:
        beside = given.parent / (stem + ending)
        if stem and beside.is_file() and not beside.is_symlink():
            return Folder(beside.parent, follow_links=False, descend=False), beside.name
    return None


def read_labels(place: tuple[Container, str], names: Sequence[str], problems: Sequence[Problem]) -> Labels:
    """The columns of a table, in the order of the images.

    Args:
        place: Where it lies.
        names: The images' files.
        problems: Files that cannot be used, whose rows are nobody's mistake.

    Raises:
        UserError: If the table cannot be read, has no column of files, or names a file twice.
    """
    container, file_name = place
    source = str(container.path / file_name)
    table = _read(container, file_name, source)
    titles = table.column_names
    again = next((name for name, count in Counter(titles).items() if count > 1), None)
    if again is not None:
        raise UserError(f"table {source} has several columns called `{again}`; rename all but one")
    column = next((name for name in FILE_COLUMNS if name in titles), None)
    if column is None:
        known = ", ".join(titles) or "none"
        raise UserError(f"table {source} has no column of file names; call it `file` (its columns are {known})")
    texts = ["" if value is None else str(value) for value in table.column(column).to_pylist()]
    broken = {problem.name for problem in problems}
    order, lost = match(texts, names, broken, source)
    columns = {name: table.column(name).combine_chunks().take(order) for name in titles if name != column}
    return Labels(source, columns, lost)


def match(
    texts: Sequence[str], names: Sequence[str], broken: set[str], source: str
) -> tuple[pyarrow.Array, tuple[Problem, ...]]:
    """The row of each image, null where it has none, and the rows of no image.

    Raises:
        UserError: If two rows name the same file.
    """
    files = FileNames([*names, *broken])
    rows: dict[str, int] = {}
    lost: list[Problem] = []
    for number, text in enumerate(texts):
        name = files.find(text)
        if name is None:
            what = printable(text) if text else f"row {number + 1} of {source}"
            lost.append(Problem(what, f"a row of {source}, but no such file" if text else "names no file"))
        elif name in rows:
            raise UserError(f"table {source} names {name} twice (rows {rows[name] + 1} and {number + 1}); keep one")
        else:
            rows[name] = number
    return pyarrow.array([rows.get(name) for name in names], type=pyarrow.int64()), tuple(lost)


def _read(container: Container, name: str, source: str) -> pyarrow.Table:
    try:
        content = container.read(name)
        if name.lower().endswith(".parquet"):
            return pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        head = content[:100_000].partition(b"\n")[0].decode("utf-8-sig")
        content.decode("utf-8")
        options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=MISSING)
        separator = max((",", ";", "\t"), key=head.count)
        parse = pyarrow.csv.ParseOptions(delimiter=separator)
        return pyarrow.csv.read_csv(pyarrow.BufferReader(content), parse_options=parse, convert_options=options)
    except UnicodeDecodeError as error:
        raise UserError(f"table {source} is no UTF-8 text ({error.reason}); save it as UTF-8") from error
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"table {source} cannot be read ({reason}); mend it, or name another with data.table"
        ) from error


def read_stylegan(container: Container, names: Sequence[str], problems: Sequence[Problem]) -> Labels | None:
    """The labels of ``dataset.json``, as StyleGAN's tools write it; None if there are none.

    Raises:
        UserError: If the file is not in that form.
    """
    if STYLEGAN not in container.top_files():
        return None
    source = str(container.path / STYLEGAN)
    try:
        content = json.loads(container.read(STYLEGAN))
        if content["labels"] is None:
            return None
        pairs = [(str(name), label) for name, label in content["labels"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f'{source} cannot be read ({error}); it should hold {{"labels": [["file.png", 3], ...]}}, or null'
        ) from error
    labels = [label for _, label in pairs]
    order, lost = match([name for name, _ in pairs], names, {problem.name for problem in problems}, source)
    is_number = all(type(label) is int for label in labels)
    is_row = not is_number and all(
        type(label) is list and len(label) == len(labels[0]) and all(type(n) in (int, float) for n in label)
        for label in labels
    )
    if not labels or not (is_number or is_row):
        raise UserError(f"{source}: all labels should be whole numbers, or lists of as many numbers; mend it")
    if is_number and len(set(labels)) < 2:
        return Labels(source, {}, lost)
    if is_number:
        return Labels(source, {"class": pyarrow.array(labels).take(order)}, lost, {"class": "classification"})
    columns = {f"label_{k}": [float(row[k]) for row in labels] for k in range(len(labels[0]))}
    return Labels(source, {name: pyarrow.array(values).take(order) for name, values in columns.items()}, lost)
