"""The idx format of MNIST: two zero bytes, a type, the number of axes, the axes as big-endian uint32, the values."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.npy import DEFLATED
from simulacra.data.source import Batch, Source, reading, rows_of
from simulacra.data.streams import GZIP, open_maybe_gzip, read_fully, rows
from simulacra.errors import DataError
from simulacra.files import open_regular, size_of
from simulacra.terminal import printable

UINT8 = 0x08


def idx_source(path: Path, card: Card) -> Source:
    """An idx file of images, with the labels of the file beside it that is named like it, if there is one."""
    labels = labels_beside(path)
    return Source(
        name=printable(path.name.removesuffix(".gz")),
        card=card,
        count=idx_shape(path)[0],
        batches=lambda: idx_batches("train", path, labels),
        files=(path,) if labels is None else (path, labels),
    )


def is_idx(path: Path) -> bool:
    """Whether a file, plain or gzip, begins like an idx file."""
    with reading(path), open_maybe_gzip(path) as file:
        start = read_fully(file, 4)
    return len(start) == 4 and start[:2] == b"\0\0" and 0x08 <= start[2] <= 0x0E and 1 <= start[3] <= 4


def labels_beside(path: Path) -> Path | None:
    """train-images-idx3-ubyte.gz -> train-labels-idx1-ubyte[.gz], where such a file exists."""
    name, replaced = re.subn(r"images([-.])idx\d", r"labels\1idx1", path.name)
    stem = name.removesuffix(".gz")
    candidates = [path.with_name(name), path.with_name(stem), path.with_name(stem + ".gz")]
    return next((file for file in candidates if file.is_file()), None) if replaced else None


def idx_shape(path: Path) -> tuple[int, ...]:
    """The axes that the header declares; raises DataError if the file is no idx file of unsigned bytes."""
    with reading(path), open_maybe_gzip(path) as file:
        shape = _read_header(file, path)
        _check_size(path, file.tell() + math.prod(shape))
        return shape


def _check_size(path: Path, promised: int) -> None:
    """Raise DataError for a file that cannot hold as many bytes as its header promises, or holds more."""
    with open_regular(path) as file:
        held, packed = size_of(file), file.read(2) == GZIP
    if promised > held * (DEFLATED if packed else 1):
        raise DataError(f"{path} ends early: its header promises {promised:,} bytes and it has {held:,}")
    if promised < held and not packed:
        raise DataError(
            f"{path} goes on behind its values: its header promises {promised:,} bytes, and it has {held:,}"
        )


def idx_batches(part: str, images: Path, labels: Path | None) -> Iterator[Batch]:
    """The images (N, H, W) of one file as batches (n, 1, H, W), with the labels of another."""
    shape = idx_shape(images)
    if len(shape) != 3:
        raise DataError(f"{images} holds values with {len(shape)} axes; idx images have 3: (N, H, W)")
    fields = {} if labels is None else {"label": _read_labels(labels, shape[0])}
    with reading(images), open_maybe_gzip(images) as file:
        _read_header(file, images)
        start = 0
        for x in rows(file, shape[0], (1, *shape[1:]), np.dtype(np.uint8), images):
            yield Batch(part, x, rows_of(fields, start, len(x)))
            start += len(x)


def _read_labels(path: Path, count: int) -> np.ndarray:
    shape = idx_shape(path)
    if shape != (count,):
        raise DataError(f"{path} has shape {shape} but there are {count:,} images: one label each is needed")
    with reading(path), open_maybe_gzip(path) as file:
        _read_header(file, path)
        return as_labels(np.concatenate(list(rows(file, count, (), np.dtype(np.uint8), path))), count, path)


def _read_header(file: IO[bytes], path: Path) -> tuple[int, ...]:
    start = read_fully(file, 4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise DataError(f"{path} is not an idx file: it does not begin with two zero bytes, a type and a shape")
    if start[2] != UINT8:
        raise DataError(f"{path} holds values of type 0x{start[2]:02x}; only unsigned bytes (0x08) are read")
    return struct.unpack(f">{start[3]}I", read_fully(file, 4 * start[3]))
