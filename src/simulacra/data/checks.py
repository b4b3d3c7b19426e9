"""What a source may yield: batches that agree with each other, values on the grid, labels among the classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulacra.data.source import Batch, Source
from simulacra.data.spec import ClassLabel, DataSpec
from simulacra.errors import DataError


def check_alike(source: Source, first: Batch, batch: Batch) -> None:
    """Every part has items of one shape and type, and the same fields or none."""
    kinds = [(part.x.shape[1:], str(part.x.dtype), list(part.fields)) for part in (first, batch)]
    if kinds[0] != kinds[1]:
        told = [f"{shape} {dtype} with {', '.join(names) or 'no labels'}" for shape, dtype, names in kinds]
        raise DataError(f"{source.name}: {first.part} holds {told[0]}, but {batch.part} {told[1]}")


def check_values(source: Source, x: np.ndarray, start: int) -> None:
    """Values on the grid that was asked for, or finite real numbers."""
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


def understood_spec(source: Source, x: np.ndarray, largest: float, fields: Mapping[str, np.ndarray]) -> DataSpec:
    """The spec of items x (N, *shape) whose largest value is `largest`: declared by the source, else told by them."""
    found = None if x.dtype == np.float32 else 2 if largest <= 1 else 256
    condition = {name: _class_label(source, name, values) for name, values in fields.items()}
    return DataSpec(x.shape[1:], source.levels or found, condition)


def _class_label(source: Source, field: str, label: np.ndarray) -> ClassLabel:
    """As many classes as the source declares, else as the labels show; raises DataError for a label beyond."""
    largest, classes = int(label.max()), source.classes.get(field)
    if classes is None:
        return ClassLabel(largest + 1)
    names = classes if isinstance(classes, tuple) else ()
    count = classes if isinstance(classes, int) else len(names)
    if largest >= count:
        raise DataError(f"{source.name}: {field} {largest} of item {label.argmax()}, but there are {count} classes")
    return ClassLabel(count, names)
