"""Arrays in files of NumPy's formats, read a few megabytes at a time; objects are refused and never unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from simulacra.data.source import reading
from simulacra.data.streams import CHUNK_BYTES, MAX_ROW_BYTES, rows
from simulacra.errors import DataError


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
        """The whole array, of the type that the header says, its byte order too."""
        if not self.shape[0]:
            return np.empty(self.shape, self.dtype)
        return np.concatenate(list(self.chunks()), dtype=self.dtype)


def npy_array(path: Path) -> NpyArray:
    """The array of an .npy file, not read yet; raises DataError for a file that is none, or holds objects."""
    with reading(path):
        return NpyArray.inspect(str(path), lambda: path.open("rb"))


def npz_keys(path: Path) -> list[str]:
    """The names of the arrays of an .npz file, in its order; raises DataError for a file that is none."""
    with reading(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def npz_array(path: Path, key: str) -> NpyArray:
    """One array of an .npz file, not read yet; raises DataError for one that holds objects."""
    with reading(path):
        return NpyArray.inspect(f"{path}:{key}", lambda: _NpzMember(path, key))


def npz_comment(path: Path) -> bytes:
    """What is written at the end of an .npz file, which NumPy ignores; b"" in most of them."""
    with reading(path), zipfile.ZipFile(path) as archive:
        return archive.comment


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


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the .npy format holds named fields, not plain numbers")
