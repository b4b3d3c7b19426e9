"""`.npy` and `.npz` files. Never unpickled: a file that holds objects is refused by its header.

| values                   | shapes                                      | become                          |
| ------------------------ | ------------------------------------------- | ------------------------------- |
| bool, integers 0..255    | (N, H, W), (N, C, H, W), (N, H, W, C)        | images (C, H, W), C at most 4   |
| bool, integers 0..255    | (N, D)                                      | vectors on a grid               |
| real numbers             | (N, D), (N, T, D), images as above          | continuous data, float32        |

An `.npz` has `x` (or `images`) and maybe `label` (or `labels`, `y`); official splits are `x_train`, `x_valid`, `x_test`
with `label_train` and so on. Every other array of as many items is a field by its own name: integers (N,) are classes,
real numbers (N, ...) are real, bytes (N, ...) are a picture or a vector on a grid, other integers (N, H, W) a map of
classes. Arrays that are none of these are passed over. What `simulacra sample --out FILE.npz` writes is read back.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.source import Batch, Source, reading, rows_of
from simulacra.data.splits import SPLITS
from simulacra.data.streams import CHUNK_BYTES, MAX_ROW_BYTES, rows
from simulacra.errors import DataError
from simulacra.fields import MOST_LEVELS

X_NAMES = ("x", "images")
LABEL_NAMES = ("label", "labels", "y")
PART_NAMES = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}


@dataclass(frozen=True)
class NpyArray:
    """An array in .npy format that has not been read yet: its header, and how to open its bytes again."""

    where: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool

    @classmethod
    def inspect(cls, where: str, opener: Callable[[], AbstractContextManager[IO[bytes]]]) -> NpyArray:
        """Reads the header only; raises DataError for an array of objects, ValueError for no .npy at all."""
        with opener() as file:
            shape, fortran_order, dtype = _read_header(file)
        if dtype.hasobject:
            raise DataError(f"{where} holds Python objects, which are never unpickled. Save it as plain numbers.")
        if not shape:
            raise DataError(f"{where} holds a single value; items along a first axis are needed")
        return cls(where, opener, shape, dtype, fortran_order)

    def chunks(self, step: int | None = None) -> Iterator[np.ndarray]:
        """The array along its first axis, `step` rows or a few megabytes at a time; all at once in Fortran order."""
        if self.fortran_order and math.prod(self.shape) * self.dtype.itemsize > MAX_ROW_BYTES:
            raise DataError(
                f"{self.where} is large and in Fortran order: save it with np.save(.., np.ascontiguousarray(x))"
            )
        with self.open() as file:
            _read_header(file)
            if self.fortran_order:
                whole = next(rows(file, 1, self.shape[::-1], self.dtype, self.where))
                array = whole[0].transpose()
                yield from (
                    array[i : i + (step or len(array))] for i in range(0, len(array), step or max(1, len(array)))
                )
            else:
                yield from rows(file, self.shape[0], self.shape[1:], self.dtype, self.where, step)

    @property
    def rows_at_once(self) -> int:
        """As many as make a few megabytes."""
        return max(1, CHUNK_BYTES // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize))

    def read(self) -> np.ndarray:
        return np.concatenate(list(self.chunks())) if self.shape[0] else np.empty(self.shape, self.dtype)


@dataclass(frozen=True)
class Part:
    """One part of a source: its items, their labels, and other arrays of as many rows by name."""

    x: NpyArray
    label: NpyArray | None = None
    others: Mapping[str, NpyArray] = field(default_factory=dict)


def npy_source(path: Path, card: Card) -> Source:
    """One array, without labels."""
    with reading(path):
        array = NpyArray.inspect(str(path), lambda: path.open("rb"))
    return _source(path, card, {"train": Part(array)})


def npz_source(path: Path, card: Card) -> Source:
    """Named arrays: items with or without labels and other fields, in one part or in official splits."""
    with reading(path), zipfile.ZipFile(path) as archive:
        keys = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    named = _parts_by_key(keys, path)

    def inspect(key: str) -> NpyArray:
        return NpyArray.inspect(f"{path}:{key}", lambda: _NpzMember(path, key))

    with reading(path):
        parts = {
            part: Part(inspect(x), inspect(label) if label else None, _fields(inspect, others))
            for part, (x, label, others) in named.items()
        }
    return _source(path, card, _alike(parts))


def _fields(inspect: Callable[[str], NpyArray], keys: Mapping[str, str]) -> dict[str, NpyArray]:
    """Those of the arrays that can be read as fields: {name: key} -> {name: array}."""
    found = {}
    for name, key in keys.items():
        with contextlib.suppress(DataError, ValueError):  # objects and records are no fields
            array = inspect(key)
            maps = (array.dtype.kind in "iu" and len(array.shape) in (1, 3)) or array.dtype == np.uint8
            if array.dtype.kind in "fb" or maps:
                found[name] = array
    return found


def _alike(parts: dict[str, Part]) -> dict[str, Part]:
    """Only those fields that every part has, a value for each item."""
    names = set.intersection(*(set(part.others) for part in parts.values()))
    common = [n for n in sorted(names) if all(part.others[n].shape[0] == part.x.shape[0] for part in parts.values())]
    return {key: replace(part, others={name: part.others[name] for name in common}) for key, part in parts.items()}


class _NpzMember(AbstractContextManager[IO[bytes]]):
    """One member of an .npz, opened for streaming; closes the archive with it."""

    def __init__(self, path: Path, key: str) -> None:
        self._archive = zipfile.ZipFile(path)
        self._file = self._archive.open(f"{key}.npy")

    def __enter__(self) -> IO[bytes]:
        return self._file

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._archive.close()


def _source(path: Path, card: Card, parts: Mapping[str, Part]) -> Source:
    for part in parts.values():
        _item_shape(part.x)  # a wrong shape is refused at once, whatever the cache holds
    return Source(
        name=path.stem,
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
                x = _items(chunk, part.x, start)
                fields = {key: _values(next(chunks), part.others[key]) for key, chunks in others.items()}
                yield Batch(name, x, rows_of(labels, start, len(x)) | fields)
                start += len(x)


def _values(chunk: np.ndarray, array: NpyArray) -> np.ndarray:
    """Values of a field that is not the label, in the type in which they are held."""
    if chunk.dtype.kind == "f":
        return (chunk[:, None] if chunk.ndim == 1 else chunk).astype(np.float32)
    if chunk.ndim == 1:
        return as_labels(chunk.astype(np.int64), len(chunk), array.where)
    if chunk.dtype in (np.uint8, np.bool_):
        return _items(chunk, array, 0)
    if chunk.min(initial=0) < 0 or chunk.max(initial=0) >= MOST_LEVELS:
        raise DataError(
            f"{array.where}: a map of classes holds 0 to {MOST_LEVELS - 1}, not {chunk.min()}..{chunk.max()}"
        )
    return chunk.astype(np.int16)


def _read_labels(array: NpyArray, count: int) -> np.ndarray:
    if array.shape[0] != count:  # before reading: the header may promise more than memory holds
        raise DataError(f"{array.where}: {array.shape[0]:,} labels for {count:,} items; one each is needed")
    return as_labels(array.read(), count, array.where)


def _item_shape(array: NpyArray) -> tuple[int, ...]:
    """(C, H, W) or (D,); raises DataError for a shape or type that is neither images nor vectors."""
    kind, shape = array.dtype.kind, array.shape[1:]
    if kind not in "fbiu":
        raise DataError(f"{array.where} holds {array.dtype}; bool, uint8 or real numbers are read")
    if len(shape) == 1:
        return shape
    if len(shape) == 2:
        return shape if kind == "f" else (1, *shape)
    if len(shape) == 3 and shape[0] <= 4:
        return shape
    if len(shape) == 3 and shape[2] <= 4:
        return (shape[2], *shape[:2])
    if kind == "f" and shape:
        return shape
    raise DataError(f"{array.where} has shape {array.shape}: neither (N, H, W), (N, C, H, W), (N, H, W, C) nor (N, D)")


def _items(chunk: np.ndarray, array: NpyArray, start: int) -> np.ndarray:
    """A chunk as items (n, C, H, W) or (n, D): uint8 on a grid, or float32."""
    shape = _item_shape(array)
    if chunk.ndim == 4 and chunk.shape[1:] != shape:
        chunk = chunk.transpose(0, 3, 1, 2)
    chunk = chunk.reshape(len(chunk), *shape)
    if chunk.dtype.kind == "f":
        return chunk.astype(np.float32)
    if chunk.dtype not in (np.bool_, np.uint8):
        wrong = ((chunk < 0) | (chunk > 255)).reshape(len(chunk), -1).any(axis=1)
        if wrong.any():
            at = int(wrong.argmax())
            values = f"{chunk[at].min()}..{chunk[at].max()}"
            raise DataError(f"{array.where}: item {start + at} has values {values}; the grid is 0..255 at most")
    return chunk.astype(np.uint8, copy=False)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the .npy format holds named fields, not plain numbers")
