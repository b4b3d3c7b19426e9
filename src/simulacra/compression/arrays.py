"""`.npy` and `.npz` files as items and back: an equal array, of the same type, with its axes where they were."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.compression.contents import Contents
from simulacra.data.arrays import LABEL_NAMES, X_NAMES
from simulacra.data.labels import as_labels, check_shape
from simulacra.data.npy import NpyArray, npy_array, npz_array, npz_keys
from simulacra.data.source import reading
from simulacra.data.spec import DataSpec
from simulacra.errors import DataError, UsageError


def read_arrays(path: Path, spec: DataSpec) -> Contents:
    """The items of a file with their channels first, and the labels of the model's condition that it has.

    Raises DataError for a file that is damaged, holds Python objects, or lacks the array; UsageError, before anything
    is read, for items of another size than the model's, or of real numbers.
    """
    names = {field: LABEL_NAMES if field == "label" else (field,) for field in spec.condition}
    held, others = _load(path, {*X_NAMES, *(name for options in names.values() for name in options)})
    items = next((held[name] for name in X_NAMES if name in held), None)
    if items is None:
        raise DataError(f"{path} holds no array of items called {' or '.join(map(repr, X_NAMES))}")
    if math.prod(items.shape[1:]) != spec.dims or items.dtype.kind not in "biu":  # before they are read
        raise UsageError(f"the model is for {spec.describe()}, and {path} holds {items.dtype} of shape {items.shape}")
    with reading(path):
        x = items.read(most=math.inf)
    found = {field: next((held[name] for name in options if name in held), None) for field, options in names.items()}
    fields = {field: _labels(array, len(x)) for field, array in found.items() if array is not None}
    plain = x.shape[1:] == spec.shape and x.dtype == np.uint8
    notes = {} if plain else {"axes": list(x.shape[1:]), "type": x.dtype.str}
    return Contents(_channels_first(x, spec), fields, notes, others)


def _load(path: Path, wanted: set[str]) -> tuple[dict[str, NpyArray], list[str]]:
    """The arrays that are wanted, of which only the headers are read; and the names of the others."""
    with reading(path):
        if path.suffix == ".npy":
            return {"x": npy_array(path)}, []
        keys = npz_keys(path)
        return {key: npz_array(path, key) for key in keys if key in wanted}, [key for key in keys if key not in wanted]


def _labels(array: NpyArray, count: int) -> np.ndarray:
    check_shape(array.shape, count, array.where)
    return as_labels(array.read(), count, array.where)


def _channels_first(x: np.ndarray, spec: DataSpec) -> np.ndarray:
    """(N, H, W) for one channel and (N, H, W, C) -> (N, C, H, W); other arrays, the wrong ones too, as they are."""
    if x.shape[1:] == spec.shape or not spec.is_image:
        return x
    channels, *sides = spec.shape
    if x.shape[1:] == (*sides, channels):
        return np.moveaxis(x, -1, 1)
    return x[:, None] if channels == 1 and x.shape[1:] == tuple(sides) else x


def as_stored(x: np.ndarray, notes: Mapping[str, Any], where: str) -> np.ndarray:
    """x (N, *shape) uint8 -> the axes and the type that were noted; raises DataError for notes that cannot be so."""
    axes, kind = notes.get("axes", list(x.shape[1:])), notes.get("type", "|u1")
    if not (isinstance(kind, str) and re.fullmatch("[<>|=]?(b1|[ui][1248])", kind)):
        raise DataError(f"{where} is malformed: it notes values of type {kind!r:.40}")
    channels, *sides = x.shape[1:]
    last, without = [*sides, channels], sides if channels == 1 and len(sides) == 2 else None
    if axes not in (list(x.shape[1:]), last, without):
        raise DataError(f"{where} is malformed: it notes axes {axes!r:.40} for items of shape {x.shape[1:]}")
    if axes != list(x.shape[1:]):
        x = x[:, 0] if axes == without else np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(x).astype(kind)
