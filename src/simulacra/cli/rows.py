"""Items as the rows of a table of text, `.csv`: a column for each coordinate, and one for each class of the condition.

It is read back as a data set with the same columns; see `simulacra.data.table`. Of series each step is a row, behind
the number of the item and of the step, which `--window T --entity item` reads back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Real
from simulacra.files import write_atomically

DIGITS = 9  # which tell one float32 from all others


def refuse_rows(path: Path, spec: DataSpec) -> None:
    """Raise UsageError, before anything is drawn, for items or a condition that are no columns of a table."""
    if len(spec.shape) != 1 and not _is_series(spec):
        what = "pictures" if spec.is_image else f"arrays of shape {spec.shape}"
        others = "a .png, a .npz or a folder" if spec.is_image else "a .npz"
        raise UsageError(
            f"cannot write {path}: items are {what}, and a table has one row of numbers each; use {others}"
        )
    for name, field in spec.condition.items():
        if not isinstance(field, ClassLabel):
            raise UsageError(f"cannot write {path}: {name!r} is {field.describe()}, and no column; use a .npz")


def write_rows_of_text(
    path: Path, items: np.ndarray, spec: DataSpec, fields: Mapping[str, np.ndarray], columns: Sequence[str]
) -> None:
    """Items (N, D) or (N, T, D) and the classes that they are conditioned on, by name where they have names.

    columns: the names of the coordinates; x0, x1, ... where there are not as many of them.
    """
    width = spec.shape[-1]
    names = columns if len(columns) == width else [f"x{number}" for number in range(width)]
    series = _is_series(spec)
    words = [_words(values, spec.condition[name]) for name, values in fields.items()]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(("item", "step") if series else ()), *names, *fields])
    for number, item in enumerate(items):
        for step, row in enumerate(item if series else item[None]):
            place = (number, step) if series else ()
            cells = (f"{value:.{DIGITS}g}" for value in row.tolist())
            writer.writerow([*place, *cells, *(own[number] for own in words)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode(errors="backslashreplace"))


def _is_series(spec: DataSpec) -> bool:
    return isinstance(spec.x, Real) and len(spec.shape) == 2


def _words(values: np.ndarray, field: object) -> list[str]:
    names = field.names if isinstance(field, ClassLabel) else ()
    return [names[value] if names else str(value) for value in values.tolist()]
