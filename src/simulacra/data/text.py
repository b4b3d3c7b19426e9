"""A `.txt` file as a data set: items are pieces of one length, (T,) bytes of UTF-8, without overlap.

Splits are blocks: the first 80 % of the pieces are for training, then 10 % for validation and 10 % for the test. A
letter beyond ASCII is several bytes, so that bits per character are bits per byte times bytes per character, which is
among the remarks. The rest that fills no piece is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Source, reading
from simulacra.errors import DataError
from simulacra.fields import Text
from simulacra.files import open_regular
from simulacra.terminal import number_of, printable

SUFFIXES = (".txt",)
WINDOW = 256  # bytes of a piece, by default
CONTINUED = 0b10  # the upper two bits of a byte that goes on with a character
SHARE = 0.1


def text_source(path: Path, card: Card, window: int | None = None) -> Source:
    """window: bytes of a piece. Raises DataError for a file that is empty, or too short for three pieces."""
    window = window or WINDOW
    text = _read(path)
    n = len(text) // window
    if n < 3:
        size = number_of(len(text), "byte")
        raise DataError(
            f"{path} is empty"
            if not len(text)
            else f"{path} has {size}: too few for three pieces of {window} (give a smaller --window)"
        )
    characters = int((text >> 6 != CONTINUED).sum())
    rest = len(text) - n * window
    remarks = [f"{characters:,} characters in {len(text):,} bytes: {len(text) / characters:.4g} bytes per character"]
    remarks += [f"the last {number_of(rest, 'byte')} fill no piece and are left out"] if rest else []
    return Source(
        printable(path.name),
        card,
        n,
        partial(_batches, path, window),
        (path,),
        (f"window={window}",),
        x=Text((window,)),
        kind="text: blocks of it are train, valid and test",
        remarks=tuple(remarks),
    )


def _read(path: Path) -> np.ndarray:
    with reading(path), open_regular(path) as file:
        return np.frombuffer(file.read(), np.uint8)


def _batches(path: Path, window: int) -> Iterator[Batch]:
    text = _read(path)
    n = len(text) // window
    x, held = text[: n * window].reshape(n, window), max(1, round(SHARE * n))
    yield Batch("train", x[: n - 2 * held])
    yield Batch("valid", x[n - 2 * held : n - held])
    yield Batch("test", x[n - held :])
