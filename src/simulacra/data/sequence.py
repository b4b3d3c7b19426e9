"""Anything with `__len__` and `__getitem__` as a data set: a torch `Dataset`, a list. All of it is read into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulacra.data.dataset import Dataset
from simulacra.data.memory import from_arrays
from simulacra.errors import DataError, UsageError
from simulacra.fields import as_array


def from_sequence(items: Any, levels: int | None = None) -> Dataset:
    """Items of a sequence: x alone, pairs (x, label), or tables {"x": ..., field: ...}; arrays, tensors or pictures.

    Images may have their channels last; bytes are levels 0..255, real numbers stay real.
    Raises DataError for an empty sequence, items of different kinds or shapes, and as `from_arrays` does.
    """
    if not len(items):
        raise DataError("the sequence holds no items")
    tables = [_table(items[i]) for i in range(len(items))]
    names = tables[0].keys()
    if any(table.keys() != names for table in tables) or "x" not in names:
        raise DataError(f"every item has the fields {', '.join(names)}, x among them; some have others")
    columns = {name: _stacked(name, [table[name] for table in tables]) for name in names}
    x = columns.pop("x")
    label = columns.pop("label", None)
    name = type(items).__name__.lower()
    return from_arrays(
        _images(x), None if label is None else label.reshape(-1), fields=columns, levels=levels, name=name
    )


def from_array(x: np.ndarray) -> Dataset:
    """The rows of an array; channels may be first or last, or be left out where there is one."""
    return from_arrays(_images(x))


def _table(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, tuple | list) and len(item) == 2:
        return {"x": item[0], "label": item[1]}
    return {"x": item}


def _stacked(name: str, values: list[Any]) -> np.ndarray:
    arrays = [as_array(name, value) for value in values]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise DataError(
            f"{name}: items have different shapes, {', '.join(map(str, sorted(shapes)[:3]))}; make them alike"
        )
    return np.stack(arrays)


def _images(x: np.ndarray) -> np.ndarray:
    """(N, H, W) of bytes -> (N, 1, H, W), channels last -> first; bits become bytes."""
    x = x.astype(np.uint8) if x.dtype == np.bool_ else x
    if x.dtype.kind in "iu" and (x.min(initial=0) < 0 or x.max(initial=0) > 255):
        raise DataError(f"x holds the integers {x.min()}..{x.max()}; the grid is 0..255 at most")
    x = x.astype(np.uint8) if x.dtype.kind in "iu" else x
    if x.ndim == 3 and x.dtype == np.uint8:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] > 4 >= x.shape[3]:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if x.ndim == 1:
        raise UsageError("items of a sequence are arrays, not single numbers; x is (D,), (C, H, W) or (H, W)")
    return x
