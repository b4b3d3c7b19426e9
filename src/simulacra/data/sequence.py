"""Anything with `__len__` and `__getitem__` as a data set: a torch `Dataset`, a list. All of it is read into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulacra.data.dataset import Dataset, Split
from simulacra.data.memory import columns_of_arrays, from_arrays, texts_among
from simulacra.data.values import as_items
from simulacra.errors import DataError, UsageError
from simulacra.fields import Field, as_array


def from_sequence(items: Any, levels: int | None = None, whole: bool = False) -> Dataset:
    """Items of a sequence: x alone, pairs (x, label), or tables {"x": ..., field: ...}; arrays, tensors or pictures.

    Images may have their channels last; bytes are levels 0..255, real numbers stay real. `whole` as in `from_arrays`.
    Raises DataError for an empty sequence, items of different kinds or shapes, and as `from_arrays` does.
    """
    x, label, fields = _arrays(items)
    return from_arrays(x, label, fields=fields, levels=levels, name=type(items).__name__.lower(), whole=whole)


def split_of(items: Any, fields: Mapping[str, Field]) -> Split:
    """All items of a sequence in their order, as one split; errors as in `from_sequence`, but few items will do.

    fields: those of the model that is to read them, in whose words texts are.
    """
    x, label, own = _arrays(items)
    kinds = {name: fields[name] for name in texts_among(own, {}) if name in fields}
    return Split(x, columns_of_arrays(label, own, kinds, len(x)), "all")


def _arrays(items: Any) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
    """x, the labels if there are any, and the other fields of a sequence."""
    if not len(items):
        raise DataError("the sequence holds no items")
    tables = [_table(items[i]) for i in range(len(items))]
    names = tables[0].keys()
    if any(table.keys() != names for table in tables) or "x" not in names:
        raise DataError(f"every item has the fields {', '.join(names)}, x among them; some have others")
    columns = {name: _stacked(name, [table[name] for table in tables]) for name in names}
    x, label = columns.pop("x"), columns.pop("label", None)
    if label is not None and label.size != len(label):
        raise DataError(
            f"a label is one integer, and these are of shape {label.shape[1:]}: give items as tables, "
            "{'x': ..., 'picture': ...}, to condition on something else"
        )
    return _items(x), None if label is None else label.reshape(-1), columns


def from_array(x: np.ndarray, whole: bool = False) -> Dataset:
    """The rows of an array; channels may be first or last, or be left out where there is one."""
    return from_arrays(_items(x), whole=whole)


def _table(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    pair = isinstance(item, tuple) or (isinstance(item, list) and len(item) > 0 and np.ndim(item[0]) > 0)
    if pair and len(item) == 2:
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


def _items(x: np.ndarray) -> np.ndarray:
    if x.ndim < 2:
        raise UsageError("items of a sequence are arrays, not single numbers; x is (D,), (C, H, W) or (H, W)")
    return np.ascontiguousarray(as_items(x, "x"))
