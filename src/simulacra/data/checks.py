"""What a source may yield: batches that agree with each other, values on the grid, fields that hold their values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulacra.data.source import Batch, Source
from simulacra.data.spec import DataSpec
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Column, Field, LabelMap, Levels, Real, columns_of, numeric


def check_alike(source: Source, first: Batch, batch: Batch) -> None:
    """Every part has items of one shape and type, and the same fields or none."""
    kinds = [(part.x.shape[1:], str(part.x.dtype), list(part.fields)) for part in (first, batch)]
    if kinds[0] != kinds[1]:
        described = [f"{shape} {dtype} with {', '.join(names) or 'no labels'}" for shape, dtype, names in kinds]
        raise DataError(f"{source.name}: {first.part} holds {described[0]}, but {batch.part} {described[1]}")


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
    """The spec of items x (N, *shape) whose largest value is `largest`: declared by the source, else by its values."""
    found = None if x.dtype == np.float32 else 2 if largest <= 1 else 256
    declared = columns_of(source.fields)
    condition = dict(source.fields)
    for name, values in columns.items():
        if name not in declared:
            condition[name] = _found(name, values)
    _check_fields(source, {name: own for name, own in condition.items() if name in source.fields}, declared, columns)
    kept = {name: own for name, own in condition.items() if own.columns(name).keys() <= columns.keys()}
    return DataSpec(numeric(x.shape[1:], source.levels or found), kept)


def _check_fields(
    source: Source, fields: Mapping[str, Field], declared: Mapping[str, Column], columns: Mapping[str, np.ndarray]
) -> None:
    """Raise DataError where declared fields hold something else."""
    for name, own in fields.items():
        if not own.columns(name).keys() <= columns.keys():
            continue
        if isinstance(own, ClassLabel) and (largest := int(columns[name].max(initial=0))) >= own.count:
            at = columns[name].argmax()
            raise DataError(f"{source.name}: {name} {largest} of item {at}, but there are {own.count} classes")
        try:
            own.check(name, columns)
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
    return LabelMap(largest + 1, values.shape[1:])
