"""Tracks of people: text with a row `frame id x y` for each person and frame, in the order of the frames.

    (X, Y, W) = H (x, y, 1),   position = (X, Y) / W

Positions are taken as metres, unless a homography H (3 rows of 3 numbers) lies beside the file, which maps pixels to
metres: in `NAME.H.txt` for `NAME.txt`, or in `H.txt` for all files of the folder, as the ETH recordings have it.
A step is the time between two rows of one person, the same for all. A person is there without a gap: two stretches of
one person need two ids. Pellegrini et al. 2009, "You'll never walk alone".
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulacra.data.source import reading
from simulacra.errors import DataError, SimulacraError
from simulacra.files import open_regular, size_of

SUFFIX, HOMOGRAPHY = ".txt", "H.txt"
MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Track:
    """One person: the frame in which it is first seen, and its positions (T, 2) in metres, a step apart."""

    first: int
    positions: np.ndarray


@dataclass(frozen=True)
class Tracks:
    """Everybody in one file, in the order in which they are first seen; a step is so many frames."""

    people: tuple[Track, ...]
    step: int


def read_tracks(path: Path) -> Tracks:
    """Raises DataError, naming the file and the line, for a row that is not four numbers, a frame out of order, a
    person who is seen twice in a frame or is missing for some, and a homography that is none."""
    rows: dict[float, list[tuple[int, int, float, float]]] = {}
    before = None
    for line, (frame, person, x, y) in _rows(path, 4):
        if not float(frame).is_integer() or abs(frame) > 1 << 53:
            raise DataError(f"{path}, line {line}: the frame is {frame:g}, and no whole number")
        if before is not None and frame < before:
            raise DataError(
                f"{path}, line {line}: frame {frame:.0f} comes after frame {before:.0f}; sort the rows by their frames"
            )
        before = frame
        rows.setdefault(person, []).append((line, int(frame), x, y))
    if not rows:
        raise DataError(f"{path} is empty; a row is `frame id x y`")
    step = _step(rows, path)
    matrix = _homography(path)
    people = []
    for person, own in rows.items():
        _check_gaps(person, own, step, path)
        positions = np.array([row[2:] for row in own])
        people.append(Track(own[0][1], _in_metres(positions, matrix, path)))
    return Tracks(tuple(people), step)


def homography_of(path: Path) -> Path | None:
    """The file with the homography of a file of tracks."""
    own = path.with_name(f"{path.stem}.{HOMOGRAPHY}"), path.with_name(HOMOGRAPHY)
    return next((each for each in own if each.is_file()), None)


def holds_tracks(path: Path) -> bool:
    """Whether a file is one of tracks by its first row: four numbers."""
    if path.suffix.lower() != SUFFIX or path.name.endswith(HOMOGRAPHY) or not path.is_file():
        return False
    cells: list[str] = []
    with suppress(OSError, SimulacraError), open_regular(path) as file:  # the reader of whatever else it is reports
        cells = file.read(1 << 10).decode(errors="replace").partition("\n")[0].replace(",", " ").split()
    return len(cells) == 4 and all(_number(cell) is not None for cell in cells)


def _rows(path: Path, width: int) -> Iterator[tuple[int, list[float]]]:
    """(line, numbers) of every row that is not empty."""
    with reading(path), open_regular(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as lines:
        if size_of(file) > MOST_BYTES:
            raise DataError(f"{path} is larger than {MOST_BYTES >> 20} MiB; cut it into scenes")
        for line, text in enumerate(lines, 1):
            cells = text.replace(",", " ").split()
            numbers = [_number(cell) for cell in cells]
            found = [number for number in numbers if number is not None]
            if cells and len(found) < len(cells):
                raise DataError(f"{path}, line {line}: {cells[numbers.index(None)]!r:.40} is no finite number")
            if cells and len(cells) != width:
                raise DataError(f"{path}, line {line}: {len(cells)} numbers, and {width} are needed")
            if cells:
                yield line, found


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _step(rows: dict[float, list[tuple[int, int, float, float]]], path: Path) -> int:
    """Frames between two rows of a person, as most of them have it."""
    apart = Counter(b[1] - a[1] for own in rows.values() for a, b in itertools.pairwise(own) if b[1] > a[1])
    if not apart:
        raise DataError(f"{path}: nobody is seen in two frames, so that there are no paths")
    return min(apart, key=lambda frames: (-apart[frames], frames))


def _check_gaps(person: float, own: list[tuple[int, int, float, float]], step: int, path: Path) -> None:
    for (_, before, *_), (line, frame, *_) in itertools.pairwise(own):
        if frame == before:
            raise DataError(f"{path}, line {line}: person {person:g} is in frame {frame} twice")
        if frame != before + step:
            raise DataError(
                f"{path}, line {line}: person {person:g} is seen in frame {before} and then in frame {frame}, where a "
                f"step is {step}; fill the gap, or give the second stretch another id"
            )


def _homography(path: Path) -> np.ndarray | None:
    """(3, 3), where there is one."""
    own = homography_of(path)
    if own is None:
        return None
    matrix = np.array([numbers for _, numbers in _rows(own, 3)])
    if matrix.shape != (3, 3) or abs(np.linalg.det(matrix)) < 1e-300:
        raise DataError(f"{own} is no homography: an invertible matrix of 3 rows of 3 numbers")
    return matrix


def _in_metres(positions: np.ndarray, matrix: np.ndarray | None, path: Path) -> np.ndarray:
    """(T, 2) float32"""
    if matrix is not None:
        homogeneous = np.column_stack([positions, np.ones(len(positions))]) @ matrix.T
        if (homogeneous[:, 2] == 0).any():
            raise DataError(f"{homography_of(path)} maps a position of {path} to infinity")
        positions = homogeneous[:, :2] / homogeneous[:, 2:]
    return positions.astype(np.float32)
