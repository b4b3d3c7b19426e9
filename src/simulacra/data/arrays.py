"""`.npy` and `.npz` files. Never unpickled: a file that holds objects is refused by its header.

| values                   | shapes                                      | become                          |
| ------------------------ | ------------------------------------------- | ------------------------------- |
| bool, integers 0..255    | (N, H, W), (N, C, H, W), (N, H, W, C)        | images (C, H, W), C at most 4   |
| bool, integers 0..255    | (N, D)                                      | vectors on a grid               |
| real numbers             | (N, D)                                      | continuous vectors, float32     |

An `.npz` has `x` (or `images`) and maybe `label` (or `labels`, `y`); official splits are `x_train`, `x_valid`,
`x_test` with `label_train` and so on. What `simulacra sample --out FILE.npz` writes is read back as it is.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.source import Batch, Source, reading, rows_of
from simulacra.data.splits import SPLITS
from simulacra.data.streams import MAX_ROW_BYTES, rows
from simulacra.errors import DataError

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

    def chunks(self) -> Iterator[np.ndarray]:
        """The array along its first axis, a few megabytes at a time; all at once if it is in Fortran order."""
        if self.fortran_order and math.prod(self.shape) * self.dtype.itemsize > MAX_ROW_BYTES:
            raise DataError(
                f"{self.where} is large and in Fortran order: save it with np.save(.., np.ascontiguousarray(x))"
            )
        with self.open() as file:
            _read_header(file)
            if self.fortran_order:
                whole = next(rows(file, 1, self.shape[::-1], self.dtype, self.where))
                yield whole[0].transpose()
            else:
                yield from rows(file, self.shape[0], self.shape[1:], self.dtype, self.where)

    def read(self) -> np.ndarray:
        return np.concatenate(list(self.chunks())) if self.shape[0] else np.empty(self.shape, self.dtype)


def npy_source(path: Path, card: Card) -> Source:
    """One array, without labels."""
    with reading(path):
        array = NpyArray.inspect(str(path), lambda: path.open("rb"))
    return _source(path, card, {"train": (array, None)})


def npz_source(path: Path, card: Card) -> Source:
    """Named arrays: items with or without labels, in one part or in official splits."""
    with reading(path), zipfile.ZipFile(path) as archive:
        keys = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    named = _parts_by_key(keys, path)

    def inspect(key: str) -> NpyArray:
        return NpyArray.inspect(f"{path}:{key}", lambda: _NpzMember(path, key))

    with reading(path):
        parts = {part: (inspect(x), inspect(label) if label else None) for part, (x, label) in named.items()}
    return _source(path, card, parts)


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


Parts = dict[str, tuple[NpyArray, NpyArray | None]]


def _source(path: Path, card: Card, parts: Parts) -> Source:
    for array, _ in parts.values():
        _item_shape(array)  # a wrong shape is told at once, whatever the cache holds
    return Source(
        name=path.stem,
        card=card,
        count=sum(array.shape[0] for array, _ in parts.values()),
        batches=lambda: _batches(path, parts),
        files=(path,),
    )


def _parts_by_key(keys: set[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """Which key holds the items, and which the labels, of each part: {"train": ("x_train", "y_train"), ...}."""

    def find(names: tuple[str, ...], endings: tuple[str, ...]) -> str | None:
        return next((name + ending for name in names for ending in endings if name + ending in keys), None)

    whole = find(X_NAMES, ("",))
    if whole is not None:
        return {"train": (whole, find(LABEL_NAMES, ("",)))}
    endings = {part: tuple(f"_{name}" for name in PART_NAMES[part]) for part in SPLITS}
    found = {part: (find(X_NAMES, endings[part]), find(LABEL_NAMES, endings[part])) for part in SPLITS}
    if found["train"][0] is None:
        there = ", ".join(sorted(keys)[:8]) or "nothing"
        raise DataError(f"{path} has neither 'x' nor 'images' nor 'x_train'; it holds {there}")
    return {part: (x, label) for part, (x, label) in found.items() if x is not None}


def _batches(path: Path, parts: Parts) -> Iterator[Batch]:
    for part, (array, label_array) in parts.items():
        with reading(path):
            fields = {} if label_array is None else {"label": _read_labels(label_array, array.shape[0])}
            start = 0
            for chunk in array.chunks():
                x = _items(chunk, array, start)
                yield Batch(part, x, rows_of(fields, start, len(x)))
                start += len(x)


def _read_labels(array: NpyArray, count: int) -> np.ndarray:
    if array.shape[0] != count:  # before reading: the header may promise more than memory holds
        raise DataError(f"{array.where}: {array.shape[0]:,} labels for {count:,} items; one each is needed")
    return as_labels(array.read(), count, array.where)


def _item_shape(array: NpyArray) -> tuple[int, ...]:
    """(C, H, W) or (D,); raises DataError for a shape or type that is neither images nor vectors."""
    kind, shape = array.dtype.kind, array.shape[1:]
    if kind == "f" and len(shape) != 1:
        raise DataError(
            f"{array.where} holds {array.dtype} of shape {array.shape}: real numbers are read as vectors (N, D). "
            "For images store the integers 0..255 as uint8, e.g. (x * 255).round().astype('uint8')."
        )
    if kind not in "fbiu":
        raise DataError(f"{array.where} holds {array.dtype}; bool, uint8 or real numbers are read")
    if len(shape) == 1:
        return shape
    if len(shape) == 2:
        return (1, *shape)
    if len(shape) == 3 and shape[0] <= 4:
        return shape
    if len(shape) == 3 and shape[2] <= 4:
        return (shape[2], *shape[:2])
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
