"""Arrays in files of NumPy's formats, read a few megabytes at a time; objects are refused and never unpickled.

A header is read first, and compared with the size of what follows it: a few bytes cannot promise gigabytes.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from simulacra.data.source import reading
from simulacra.data.streams import CHUNK_BYTES, MAX_ROW_BYTES, rows
from simulacra.errors import DataError
from simulacra.files import open_regular, size_of

MAX_HEADER = 10_000  # bytes; NumPy itself believes no longer one
MAX_WHOLE = 1 << 28  # bytes of an array that is read at once
MAX_SIDE = 1 << 40
DEFLATED = 1032  # bytes at most that come of one, and so of a member of an archive


@dataclass(frozen=True)
class NpyArray:
    """An array in .npy format that has not been read yet: its header, and how to open its bytes again."""

    where: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool

    @classmethod
    def inspect(
        cls,
        where: str,
        opener: Callable[[], AbstractContextManager[IO[bytes]]],
        size: int | None = None,
        items: bool = True,
    ) -> NpyArray:
        """Reads the header only.

        size: of all that can be read, in bytes, where it is known. items: there is a first axis.
        Raises DataError for an array of objects or of another size, ValueError for no .npy at all.
        """
        with opener() as file:
            shape, fortran_order, dtype = _read_header(file)
            begin = file.tell()
        if dtype.hasobject:
            raise DataError(f"{where} holds Python objects, which are never unpickled. Save it as plain numbers.")
        if items and not shape:
            raise DataError(f"{where} holds a single value; items along a first axis are needed")
        promised = math.prod(shape) * dtype.itemsize
        if size is not None and size != begin + promised:
            kind = "ends early" if size < begin + promised else "goes on behind its array"
            raise DataError(f"{where} {kind}: its header promises {promised:,} bytes and it holds {size - begin:,}")
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

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, most: float = MAX_WHOLE) -> np.ndarray:
        """The whole array, of the type that the header says, its byte order too.

        Raises DataError for one of more than `most` bytes.
        """
        if self.nbytes > most:
            raise DataError(f"{self.where} has shape {self.shape}: {self.nbytes:,} bytes are too many to read at once")
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        if not self.shape:
            return replace(self, shape=(1,)).read()[0, ...]
        return np.concatenate(list(self.chunks()), dtype=self.dtype)


def npy_array(path: Path, items: bool = True) -> NpyArray:
    """The array of an .npy file, not read yet, of `items` along a first axis; raises DataError for one of objects."""
    with reading(path):
        with open_regular(path) as file:
            size = size_of(file)
        return NpyArray.inspect(str(path), lambda: open_regular(path), size, items)


def npz_keys(path: Path) -> list[str]:
    """The names of the arrays of an .npz file, in its order; raises DataError for a file that is none."""
    with reading(path), _archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if len(set(names)) < len(names):
            raise DataError(f"{path} holds two arrays of one name; write it anew")
        return names


def npz_array(path: Path, key: str, items: bool = True) -> NpyArray:
    """One array of an .npz file, not read yet, of `items` along a first axis; raises DataError for one of objects."""
    with reading(path):
        with _archive(path) as archive:
            size = _size_of_member(path, archive.getinfo(f"{key}.npy"))
        return NpyArray.inspect(f"{path}:{key}", lambda: _NpzMember(path, key), size, items)


def npz_comment(path: Path) -> bytes:
    """What is written at the end of an .npz file, which NumPy ignores; b"" in most of them."""
    with reading(path), _archive(path) as archive:
        return archive.comment


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _size_of_member(path: Path, member: zipfile.ZipInfo) -> int:
    """Bytes of an array in an archive; raises DataError where they cannot come of those that are stored."""
    stored = min(member.compress_size, path.stat().st_size)
    most = {zipfile.ZIP_STORED: stored, zipfile.ZIP_DEFLATED: DEFLATED * (stored + 1)}.get(member.compress_type, -1)
    if member.file_size > most:
        raise DataError(f"{path}:{member.filename} claims {member.file_size:,} bytes, and {stored:,} are stored")
    return member.file_size


class _NpzMember(AbstractContextManager[IO[bytes]]):
    """One member of an .npz, opened for streaming; closes the archive with it."""

    def __init__(self, path: Path, key: str) -> None:
        with ExitStack() as stack:
            archive = stack.enter_context(_archive(path))
            self._file = stack.enter_context(archive.open(f"{key}.npy"))
            self._open = stack.pop_all()

    def __enter__(self) -> IO[bytes]:
        return self._file

    def __exit__(self, *exception: object) -> None:
        self._open.close()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type; raises ValueError for whatever is no header of plain numbers."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format holds named fields, not plain numbers")
    width = 2 if version == (1, 0) else 4
    length = file.read(width)
    size = int.from_bytes(length, "little")
    if len(length) < width or size > MAX_HEADER:
        raise ValueError(f"its header has {size:,} bytes, and {MAX_HEADER:,} are the limit")
    text, read = io.BytesIO(length + file.read(size)), np.lib.format.read_array_header_1_0
    try:
        shape, fortran_order, dtype = (read if width == 2 else np.lib.format.read_array_header_2_0)(text)
    except Exception as error:  # of a text that is no header the parsers of Python raise a dozen kinds
        raise ValueError(f"its header is malformed ({type(error).__name__})") from error
    if not all(type(side) is int and 0 <= side <= MAX_SIDE for side in shape):
        raise ValueError(f"its header says that the shape is {shape!s:.60}")
    return shape, fortran_order, dtype
