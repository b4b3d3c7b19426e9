"""What a source may yield: batches that agree with each other, values on the grid, fields that hold their values."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from simulacra.data.source import Batch, Source
from simulacra.data.spec import DataSpec
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Field, LabelMap, Levels, Real, columns_of, numeric

NAME = r"\w[\w. -]*"  # of a field: it names a file of the cache


def check_alike(source: Source, first: Batch, batch: Batch) -> None:
    """Every part has items of one shape and type, and the same fields or none, under names that files can have."""
    for name in batch.fields:
        if not re.fullmatch(NAME, name) or name == "x":
            raise DataError(f"{source.name}: a field cannot be called {name!r}; use letters, digits, spaces, . and -")
        if len(batch.fields[name]) != len(batch.x):
            raise DataError(f"{source.name}: {len(batch.fields[name])} values of {name!r} for {len(batch.x)} items")
    kinds = [(part.x.shape[1:], str(part.x.dtype), _columns(part)) for part in (first, batch)]
    if kinds[0] != kinds[1]:
        described = [f"{shape} {dtype} with {', '.join(names) or 'no labels'}" for shape, dtype, names in kinds]
        raise DataError(f"{source.name}: {first.part} holds {described[0]}, but {batch.part} {described[1]}")


def _columns(batch: Batch) -> list[str]:
    """The names of the fields, with shape and type where they are no numbers (n,)."""
    return [
        name if values.ndim == 1 and values.dtype == np.int64 else f"{name} {values.shape[1:]} {values.dtype}"
        for name, values in batch.fields.items()
    ]


def check_values(source: Source, x: np.ndarray, start: int) -> None:
    """Raise DataError unless values are on the grid of `source.levels`, or finite real numbers."""
    if x.dtype == np.float32:
        if source.levels is not None:
            raise DataError(f"{source.name} holds real numbers, which have no levels: leave out --levels")
        wrong = ~np.isfinite(x)
        remedy = "remove the item or mend the value"
    else:
        wrong = x >= (source.levels or 256)
        remedy = "give more --levels, or leave it out"
    if wrong.any():
        at = np.unravel_index(int(wrong.argmax()), x.shape)
        grid = "finite" if source.levels is None else f"one of the levels 0..{source.levels - 1}"
        raise DataError(f"{source.name}: the value {x[at]} of item {start + int(at[0])} is not {grid}: {remedy}")


def understood_spec(source: Source, x: np.ndarray, largest: float, columns: Mapping[str, np.ndarray]) -> DataSpec:
    """The spec of items x (N, *shape) whose largest value is `largest`: declared by the source, else by its values.

    Raises DataError where a field holds something else than it should.
    """
    found = None if x.dtype == np.float32 else 2 if largest <= 1 else 256
    declared = columns_of(source.fields)
    undeclared = {name: _found(name, values) for name, values in columns.items() if name not in declared}
    held = {name: own for name, own in source.fields.items() if own.columns(name).keys() <= columns.keys()}
    for name, own in (held | undeclared).items():
        _check_field(source, name, own, columns, exactly=name in held)
    return DataSpec(source.x or numeric(x.shape[1:], source.levels or found), held | undeclared)


def _check_field(source: Source, name: str, own: Field, columns: Mapping[str, np.ndarray], exactly: bool) -> None:
    """Raise DataError for values that are none of the field's, a few megabytes at a time.

    exactly: they have to have the types of its columns too, and not only its values.
    """
    wanted = own.columns(name)
    size = sum(columns[key][:1].nbytes for key in wanted)
    step, n = max(1, CHUNK_BYTES // max(1, size)), len(columns[next(iter(wanted))])
    for start in range(0, n, step):
        part = {key: columns[key][start : start + step] for key in wanted}
        if not exactly:
            part = {key: values.astype(wanted[key].dtype) for key, values in part.items()}
        try:
            own.check(name, part, np.arange(start, min(start + step, n)))
        except DataError as error:
            raise DataError(f"{source.name}: {error}") from None


def _found(name: str, values: np.ndarray) -> Field:
    """What a column is that no source declares: classes, numbers on a grid, a map of classes, or real numbers."""
    if values.dtype.kind == "f":
        return Real(values.shape[1:])
    largest = int(values.max(initial=0))
    if values.min(initial=0) < 0:
        raise DataError(f"{name}: the value {values.min()} is no class; say what this field is")
    if values.ndim == 1:
        return ClassLabel(largest + 1)
    if values.dtype == np.uint8:
        return Levels(values.shape[1:], 2 if largest <= 1 else 256)
    return LabelMap(max(2, largest + 1), values.shape[1:])
