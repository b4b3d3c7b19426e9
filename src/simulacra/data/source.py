"""The one thing every reader returns: a `Source`, which describes data and yields them in batches.

A reader handles one format and no splits or caches; the cache handles batches and no format.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Altered, Card, Unreadable
from simulacra.data.splits import Fractions
from simulacra.errors import DataError, SimulacraError, cause
from simulacra.fields import Field
from simulacra.files import open_regular

Encode = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[str, np.ndarray, np.ndarray], tuple[Field, Encode]]
"""(name, values (N, ...) of all items, numbers of the training items) -> what the column is, and its values as such"""


@dataclass(frozen=True)
class Batch:
    """Some consecutive items of one part of a source.

    part:   "train", "valid" or "test". A source without official splits is all "train", and the rest is drawn from it.
    x:      (n, *shape), uint8 on the grid or float32 when continuous.
    fields: the columns of all other fields, such as {"label": (n,) int64}. All batches of a source have the same.
    siblings: keys (n,) uint64 by what they are of: items of equal key never lie in different splits that are drawn.
    fits:   what of a column is learnt from the training items. Those of the first batch count.
    remarks: what was found and is worth a line, such as what did not match.
    """

    part: str
    x: np.ndarray
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    altered: tuple[Altered, ...] = ()
    siblings: Mapping[str, np.ndarray] = field(default_factory=dict)
    fits: Mapping[str, Fit] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def rows_of(fields: Mapping[str, np.ndarray], start: int, n: int) -> dict[str, np.ndarray]:
    """n consecutive values of every field."""
    return {name: values[start : start + n] for name, values in fields.items()}


@dataclass(frozen=True)
class Source:
    """Data that can be read, in order and more than once, by calling `batches`.

    files:   what the content depends on; a change of path, size or time of any of them makes a new cache.
    options: what else it depends on, as text, such as "resize=(32, 32)".
    count:   the number of items; unreadable ones make it less, never more.
    levels:  the grid; None finds it from the values (bits -> 2, other integers -> 256, real numbers -> continuous).
    whole:   whether nothing is drawn from "train", whose items are test items where there are no others.
    fields:  what a field other than x is, such as ClassLabel(10); where it is left out, its values decide.
    kind:    of folder, in a few words; "" of what is none.
    remarks: what was found before anything was read, beside those of the batches.
    learned: which of the fields have the words, or the names of classes, of all items and are to keep those of training
             items alone; see `vocabulary.refitted`.
    x:       what x is, where neither its values nor `levels` say it: sound at a rate, say.
    columns: names of the numbers of one step of a series.
    """

    name: str
    card: Card
    count: int
    batches: Callable[[], Iterator[Batch]]
    files: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()
    levels: int | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    fractions: Fractions = field(default_factory=Fractions)
    whole: bool = False
    kind: str = ""
    remarks: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    x: Field | None = None
    columns: tuple[str, ...] = ()

    def state(self) -> list[list[str | int]]:
        """[path, size, time] of every file: as long as this is the same, so is the content."""
        return [_file_state(path) for path in self.files]

    def sha256(self) -> str:
        """The sha256 of the one file, or of the lines `sha256  name` when there are several; "" when there is none."""
        if len(self.files) < 2:
            return "".join(map(file_sha256, self.files))
        lines = (f"{file_sha256(path)}  ".encode() + os.fsencode(path.name) + b"\n" for path in self.files)
        return hashlib.sha256(b"".join(lines)).hexdigest()


def _file_state(path: Path) -> list[str | int]:
    with reading(path):
        stat = path.stat()
    return [str(path.absolute()), stat.st_size, stat.st_mtime_ns]


def file_sha256(path: Path) -> str:
    with reading(path), open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever a damaged file makes the standard decoders raise into a DataError that names the file."""
    try:
        yield
    except SimulacraError:
        raise
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError) as error:
        raise DataError(f"{path} is damaged: {cause(error)}. Copy or download it again.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, struct.error, RuntimeError) as error:
        reason = "it is no file of NumPy" if "pickle" in str(error) else error  # no advice to allow that
        raise DataError(f"cannot read {path}: {reason}") from error
