"""Tables of text, `.csv` and `.tsv`: a row is an item, a column of numbers a coordinate, a column of words a class.

The first row holds the names of the columns where one of its cells is no number. A column called label, class, target
or y is a class as well if it holds integers. The coordinates are real numbers, float32, in the order of their columns.
"""

from __future__ import annotations

import contextlib
import csv
import io
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Source, reading
from simulacra.errors import DataError, cause
from simulacra.fields import ClassLabel
from simulacra.files import open_regular, size_of
from simulacra.terminal import printable

SUFFIXES = (".csv", ".tsv")
CLASS_NAMES = ("label", "class", "target", "y")
MOST_WORDS = 1000  # different words in a column of classes
MOST_BYTES = 1 << 30
SEPARATORS = ",;\t"
Rows = list[tuple[int, list[str]]]
"""(line, cells) of each row."""


@dataclass(frozen=True)
class Table:
    """x (N, D) float32; classes: {column: (N,) int64} and the names of their values."""

    x: np.ndarray
    classes: dict[str, np.ndarray]
    fields: dict[str, ClassLabel]


def table_source(path: Path, card: Card) -> Source:
    """One table; raises DataError, naming the line and the column, for a cell that is missing or out of place."""
    table = read_table(path)

    def batches() -> Iterator[Batch]:
        read = read_table(path)
        yield Batch("train", read.x, read.classes)

    return Source(printable(path.stem), card, len(table.x), batches, files=(path,), fields=table.fields)


def column_names(path: Path) -> list[str]:
    """The names of all columns, in their order, from the first row of a table; DataError as in `read_table`."""
    with reading(path), open_regular(path) as file, io.TextIOWrapper(file, newline="", encoding="utf-8-sig") as text:
        _, first = next(_rows(text, path), (0, []))
    return _names_in(first)


def _names_in(first: list[str]) -> list[str]:
    """Those in the first row; x0, x1, ... where it holds numbers alone."""
    numbers = all(number_in(cell) is not None for cell in first)
    return [f"x{number}" for number in range(len(first))] if numbers else first


def read_table(path: Path) -> Table:
    names, rows = read_rows(path)
    columns = [_column(name, number, rows, path) for number, name in enumerate(names)]
    numbers = [values for values in columns if values.dtype.kind == "f"]
    if not numbers:
        raise DataError(f"{path} has no column of numbers; each is one coordinate of an item")
    words = {name: values for name, values in zip(names, columns, strict=True) if values.dtype.kind != "f"}
    classes, fields = {}, {}
    for name, values in words.items():
        known, classes[name] = np.unique(values, return_inverse=True)
        fields[name] = ClassLabel(len(known), tuple(map(str, known)))
    return Table(np.stack(numbers, 1).astype(np.float32), classes, fields)


def read_rows(path: Path) -> tuple[list[str], Rows]:
    """The names of the columns, and (line, cells) of every row, of a table that may be packed as .xz.

    Raises DataError for rows of different lengths.
    """
    with reading(path), open_regular(path) as file:
        if size_of(file) > MOST_BYTES:
            raise DataError(f"{path} is larger than a gigabyte; save its numbers as .npy, which is read piece by piece")
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(lzma.LZMAFile(file)) if path.suffix == ".xz" else file
            text = stack.enter_context(io.TextIOWrapper(plain, newline="", encoding="utf-8-sig"))
            rows = list(_rows(text, path))
    return _names(rows, path), rows


def _rows(file: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row that is not empty."""
    lines = iter(file)
    first = next(lines, "")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader((line for part in ([first], lines) for line in part), delimiter=separator)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {cause(error)}") from error


def _names(rows: Rows, path: Path) -> list[str]:
    """The names of the columns, whose row is taken away; raises DataError for rows of different lengths."""
    if not rows:
        raise DataError(f"{path} is empty")
    _, first = rows[0]
    for line, cells in rows:
        if len(cells) != len(first):
            raise DataError(f"{path}, line {line}: {len(cells)} cells, where the first row has {len(first)}")
    names = _names_in(first)
    if names is not first:
        return names
    rows.pop(0)
    if not rows:
        raise DataError(f"{path} has the names of its columns and no row of values")
    if twice := sorted({name for name in first if first.count(name) > 1}):
        raise DataError(f"{path}: two columns are called {twice[0]!r}; give each a name of its own")
    return first


def _column(name: str, number: int, rows: Rows, path: Path) -> np.ndarray:
    """(N,) float64, or int64 or strings where it is a class."""
    cells = [cells[number] for _, cells in rows]
    if "" in cells:
        line = rows[cells.index("")][0]
        raise DataError(f"{path}, line {line}: column {name!r} is empty; drop such rows or fill in a value")
    values = [number_in(cell) for cell in cells]
    found = [value for value in values if value is not None]
    if len(found) == len(cells):
        classes = name.lower() in CLASS_NAMES and all(value.is_integer() for value in found)
        return np.array(found, np.int64 if classes else np.float64)
    if 2 * len(found) > len(cells) and len(found) < len(cells):  # a column of numbers with a slip
        line = rows[values.index(None)][0]
        raise DataError(f"{path}, line {line}: column {name!r} is {cells[values.index(None)]!r} there, and no number")
    if (words := len(set(cells))) > MOST_WORDS or words == len(cells) > 1:
        raise DataError(
            f"{path}: column {name!r} holds {words:,} different words, neither numbers nor classes; leave it out"
        )
    return np.array(cells)


def number_in(cell: str) -> float | None:
    """The finite number in a cell; None of anything else."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
