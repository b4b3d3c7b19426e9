"""`.npy` and `.npz` files as items and back: an equal array, of the same type, with its axes where they were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.compression.contents import Contents
from simulacra.data.arrays import LABEL_NAMES, X_NAMES
from simulacra.data.labels import as_labels
from simulacra.data.npy import npy_array, npz_array, npz_keys
from simulacra.data.source import reading
from simulacra.data.spec import DataSpec
from simulacra.errors import DataError


def read_arrays(path: Path, spec: DataSpec) -> Contents:
    """The items of a file with their channels first, and the labels of the model's condition that it has.

    Raises DataError for a file that is damaged, holds Python objects, or lacks the array.
    """
    names = {field: LABEL_NAMES if field == "label" else (field,) for field in spec.condition}
    held, others = _load(path, {*X_NAMES, *(name for options in names.values() for name in options)})
    x = next((held[name] for name in X_NAMES if name in held), None)
    if x is None:
        raise DataError(f"{path} holds no array of items called {' or '.join(map(repr, X_NAMES))}")
    found = {field: next((held[name] for name in options if name in held), None) for field, options in names.items()}
    fields = {field: as_labels(v, len(x), f"{path}:{field}") for field, v in found.items() if v is not None}
    plain = x.shape[1:] == spec.shape and x.dtype == np.uint8
    notes = {} if plain else {"axes": list(x.shape[1:]), "type": x.dtype.str}
    return Contents(_channels_first(x, spec), fields, notes, others)


def _load(path: Path, wanted: set[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays that are wanted, with their axes and types as they are; and the names of the others."""
    with reading(path):
        if path.suffix == ".npy":
            return {"x": npy_array(path).read()}, []
        keys = npz_keys(path)
        held = {key: npz_array(path, key).read() for key in keys if key in wanted}
        return held, [key for key in keys if key not in wanted]


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
    axes, kind = notes.get("axes", list(x.shape[1:])), str(notes.get("type", "|u1"))
    if kind.lstrip("<>|=") not in ("b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"):
        raise DataError(f"{where} is malformed: it notes values of type {kind!r}")
    if axes != list(x.shape[1:]):
        x = x[:, 0] if len(axes) == 2 else np.moveaxis(x, 1, -1)
    if axes != list(x.shape[1:]):
        raise DataError(f"{where} is malformed: it notes axes {axes} for items of shape {x.shape[1:]}")
    return np.ascontiguousarray(x).astype(kind)
