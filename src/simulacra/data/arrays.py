"""`.npy` and `.npz` files as sources.

| values                   | shapes                                      | become                          |
| ------------------------ | ------------------------------------------- | ------------------------------- |
| bool, integers 0..255    | (N, H, W), (N, C, H, W), (N, H, W, C)        | images (C, H, W), C at most 4   |
| bool, integers 0..255    | (N, T, C, H, W), (N, T, H, W, C)            | clips (T, C, H, W)              |
| bool, integers 0..255    | (N, D)                                      | vectors on a grid               |
| real numbers             | (N, D), (N, T, D), images as above          | continuous data, float32        |

An `.npz` has `x` (or `images`) and maybe `label` (or `labels`, `y`); official splits are `x_train`, `x_valid`, `x_test`
with `label_train` and so on. Every other array of as many items is a field by its own name: integers (N,) are classes,
real numbers (N, ...) are real, bytes (N, ...) are a picture or a vector on a grid, other integers (N, H, W) a map of
classes. Arrays that are none of these are passed over.

What `simulacra sample --out FILE.npz` writes says in the comment of the archive what its arrays are (`description`),
and is read back as just that: levels, names of classes, tokens, lists and all.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from simulacra.data.checks import NAME
from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels, check_shape
from simulacra.data.npy import NpyArray, npy_array, npz_array, npz_comment, npz_keys
from simulacra.data.source import Batch, Source, reading, rows_of
from simulacra.data.spec import DataSpec
from simulacra.data.splits import SPLITS
from simulacra.data.values import as_field, as_items, is_field, item_shape
from simulacra.derived import Derived
from simulacra.errors import DataError, SimulacraError, cause
from simulacra.files import parse_json
from simulacra.terminal import printable

X_NAMES = ("x", "images")
LABEL_NAMES = ("label", "labels", "y")
PART_NAMES = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}
MOST_OF_A_COMMENT = (1 << 16) - 1  # bytes, of a zip archive


@dataclass(frozen=True)
class Part:
    """One part of a source: its items, their labels, and other arrays of as many rows by name.

    declared: what all of them are, where the file says so; they are taken as they are then.
    """

    x: NpyArray
    label: NpyArray | None = None
    others: Mapping[str, NpyArray] = field(default_factory=dict)
    declared: DataSpec | None = None


def npy_source(path: Path, card: Card) -> Source:
    """One array, without labels."""
    return _source(path, card, {"train": Part(npy_array(path))})


def npz_source(path: Path, card: Card) -> Source:
    """Named arrays: items with or without labels and other fields, in one part or in official splits."""
    declared, keys = _described(path), set(npz_keys(path))
    if declared is not None:
        return _declared_source(path, card, declared, keys)
    named = _parts_by_key(keys, path)

    def inspect(key: str) -> NpyArray:
        return npz_array(path, key)

    parts = {
        part: Part(inspect(x), inspect(label) if label else None, _fields(inspect, others))
        for part, (x, label, others) in named.items()
    }
    return _source(path, card, _alike(parts))


def description(spec: DataSpec) -> bytes:
    """What x and the fields of an .npz are, as the comment of the archive; b"" where that has no room."""
    fields = {name: own.own if isinstance(own, Derived) else own for name, own in spec.condition.items()}
    comment = json.dumps({"simulacra": DataSpec(spec.x, fields).to_json()}).encode()
    return comment if len(comment) <= MOST_OF_A_COMMENT else b""


def _described(path: Path) -> DataSpec | None:
    """What a file says of its arrays; None where it says nothing. Raises DataError where that is no description."""
    try:
        record = parse_json(npz_comment(path))
    except ValueError:
        return None
    if not isinstance(record, dict) or "simulacra" not in record:
        return None
    try:
        return DataSpec.from_json(record["simulacra"])
    except (SimulacraError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} does not say what its arrays are: {cause(error)}. Save x and its fields anew."
        ) from error


def _declared_source(path: Path, card: Card, spec: DataSpec, keys: set[str]) -> Source:
    if missing := sorted({"x", *spec.columns} - keys):
        raise DataError(f"{path} says that it holds {missing[0]!r}, and does not; write it anew")
    x = npz_array(path, "x")
    (column,) = spec.x.columns("x").values()
    if (x.shape[1:], x.dtype) != (column.shape, column.dtype):
        raise DataError(f"{path}: x is said to be {spec.x.describe()}, and is {x.dtype} of shape {x.shape}")
    fields = {name: npz_array(path, name) for name in spec.columns}
    for name, array in fields.items():
        if array.shape[0] != x.shape[0]:
            raise DataError(f"{array.where}: {array.shape[0]:,} values of {name!r} for {x.shape[0]:,} items")
    part = Part(x, None, fields, spec)
    return replace(_source(path, card, {"train": part}), levels=spec.levels, fields=spec.condition)


def _fields(inspect: Callable[[str], NpyArray], keys: Mapping[str, str]) -> dict[str, NpyArray]:
    """Those of the arrays that can be read as fields: {name: key} -> {name: array}."""
    found = {}
    for name, key in keys.items():
        with contextlib.suppress(DataError):  # objects and records are no fields
            array = inspect(key)
            if is_field(array.shape, array.dtype) and re.fullmatch(NAME, name):
                found[name] = array
    return found


def _alike(parts: dict[str, Part]) -> dict[str, Part]:
    """Only those fields that every part has, a value for each item."""
    names = set.intersection(*(set(part.others) for part in parts.values()))
    common = [n for n in sorted(names) if all(part.others[n].shape[0] == part.x.shape[0] for part in parts.values())]
    return {key: replace(part, others={name: part.others[name] for name in common}) for key, part in parts.items()}


def _source(path: Path, card: Card, parts: Mapping[str, Part]) -> Source:
    for part in parts.values():
        if part.declared is None:
            item_shape(part.x.shape, part.x.dtype, part.x.where)  # refused at once, whatever the cache holds
    return Source(
        name=printable(path.stem),
        card=card,
        count=sum(part.x.shape[0] for part in parts.values()),
        batches=lambda: _batches(path, parts),
        files=(path,),
    )


Keys = dict[str, tuple[str, str | None, dict[str, str]]]


def _parts_by_key(keys: set[str], path: Path) -> Keys:
    """Of each part the key of the items, of the labels, and of other arrays by name: {"train": ("x_train", "y_train",
    {})}, say."""

    def find(names: tuple[str, ...], endings: tuple[str, ...]) -> str | None:
        return next((name + ending for name in names for ending in endings if name + ending in keys), None)

    whole = find(X_NAMES, ("",))
    if whole is not None:
        others = {key: key for key in keys if key not in (*X_NAMES, *LABEL_NAMES)}
        return {"train": (whole, find(LABEL_NAMES, ("",)), others)}
    endings = {part: tuple(f"_{name}" for name in PART_NAMES[part]) for part in SPLITS}
    found: Keys = {}
    for part in SPLITS:
        x, label = find(X_NAMES, endings[part]), find(LABEL_NAMES, endings[part])
        if x is not None:
            ends = {key: key.rpartition("_")[0] for key in keys if key.endswith(endings[part])}
            others = {name: key for key, name in ends.items() if name not in (*X_NAMES, *LABEL_NAMES)}
            found[part] = (x, label, others)
    if "train" not in found:
        there = ", ".join(sorted(keys)[:8]) or "nothing"
        raise DataError(f"{path} has neither 'x' nor 'images' nor 'x_train'; it holds {there}")
    return found


def _batches(path: Path, parts: Mapping[str, Part]) -> Iterator[Batch]:
    for name, part in parts.items():
        with reading(path):
            labels = {} if part.label is None else {"label": _read_labels(part.label, part.x.shape[0])}
            step = min(array.rows_at_once for array in (part.x, *part.others.values()))
            others = {key: array.chunks(step) for key, array in part.others.items()}
            start = 0
            for chunk in part.x.chunks(step):
                values = {key: next(chunks) for key, chunks in others.items()}
                if part.declared is None:
                    chunk = as_items(chunk, part.x.where, start)
                    values = {key: as_field(array, part.others[key].where) for key, array in values.items()}
                yield Batch(name, chunk, rows_of(labels, start, len(chunk)) | values)
                start += len(chunk)


def _read_labels(array: NpyArray, count: int) -> np.ndarray:
    check_shape(array.shape, count, array.where)  # before reading: the header may promise more than memory holds
    return as_labels(array.read(), count, array.where)
