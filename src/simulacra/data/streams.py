"""Rows from a binary stream, a few megabytes at a time: what idx, .npy, .npz and CIFAR files have in common.

Reading in chunks keeps memory flat however long the file is, compressed or not.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np

from simulacra.errors import DataError
from simulacra.files import open_regular

CHUNK_BYTES = 4 << 20
GZIP = b"\x1f\x8b"  # how a packed file begins
MAX_ROW_BYTES = 64 << 20  # a header that promises more than this for one item is wrong or hostile


def rows(
    file: IO[bytes], count: int, shape: tuple[int, ...], dtype: np.dtype, where: object, step: int | None = None
) -> Iterator[np.ndarray]:
    """Yields `count` rows of `shape` in chunks (n, *shape); raises DataError when the stream ends before.

    `step`: rows in a chunk; a few megabytes without it.
    """
    row_bytes = math.prod(shape) * dtype.itemsize
    if not 0 < row_bytes <= MAX_ROW_BYTES:
        raise DataError(f"{where}: items of shape {shape} ({row_bytes:,} bytes each) are not supported")
    step = step or max(1, CHUNK_BYTES // row_bytes)
    for start in range(0, count, step):
        n = min(step, count - start)
        data = read_fully(file, n * row_bytes)
        if len(data) < n * row_bytes:
            there = start + len(data) // row_bytes
            raise DataError(f"{where} ends early: its header promises {count:,} items and it holds {there:,}")
        yield np.frombuffer(data, dtype).reshape(n, *shape)


def read_fully(file: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes; fewer only at the end (a single read of a decompressor may return fewer at any time)."""
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def open_maybe_gzip(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if its first bytes are those of gzip, whatever its name."""
    with open_regular(path) as file:
        packed = file.read(2) == GZIP
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else open_regular(path)
