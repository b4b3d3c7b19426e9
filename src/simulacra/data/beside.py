"""What is written beside the pictures of a folder: captions, scene graphs.

Each kind is a table whose rows belong to pictures by their names. A picture with several rows, of captions, becomes as
many items: they are equal, and so lie in one split. One without any has an empty row, and is counted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Altered, Unreadable
from simulacra.errors import DataError
from simulacra.fields import Field
from simulacra.fields.graphs import NO_BOX


@dataclass(frozen=True)
class Beside:
    """Attributes:
    fields: by name, of which all have the words of every row; see `Source.learned`.
    columns: (R, ...) by name.
    rows: of every picture the rows that belong to it, at least one.
    files: that were read.
    missing: what is written of pictures that are not there.
    altered: pictures of which nothing is written.
    boxes: the columns (R, most, 4) of boxes in shares of the picture.
    """

    fields: Mapping[str, Field]
    columns: Mapping[str, np.ndarray]
    rows: Mapping[Path, tuple[int, ...]]
    files: tuple[Path, ...]
    missing: tuple[Unreadable, ...] = ()
    altered: tuple[Altered, ...] = ()
    boxes: tuple[str, ...] = ()


def items_of(tables: Sequence[Beside], paths: Sequence[Path]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The items that pictures become: of each the number of its picture (n,), and their columns."""
    found = [
        (number, rows)
        for number, path in enumerate(paths)
        for rows in itertools.product(*(table.rows[path] for table in tables))
    ]
    columns = {
        key: values[np.array([rows[i] for _, rows in found], np.int64)]
        for i, table in enumerate(tables)
        for key, values in table.columns.items()
    }
    return np.array([number for number, _ in found], np.int64), columns


def in_the_crop(boxes: np.ndarray, source: tuple[int, int], target: tuple[int, int]) -> np.ndarray:
    """Boxes (n, most, 4) in shares of a picture (H, W) as shares of what is left of it, shorter side to fit, centre
    crop, at size (h, w). A box that lies outside is not known any more."""
    (high, wide), (h, w) = source, target
    kept = np.minimum(np.array([w * high, h * wide]) / (h * wide, w * high), 1)  # of the width, of the height
    kept = np.array([*kept, *kept])
    moved = np.clip((boxes - (1 - kept) / 2) / kept, 0, 1)
    none = (boxes == np.array(NO_BOX)) | (boxes == 0)  # not known, or padding
    inside = (moved[..., :2] < moved[..., 2:]).all(-1, keepdims=True)
    moved = np.where(inside, moved, NO_BOX)
    return np.where(none.all(-1, keepdims=True), boxes, moved).astype(np.float32)


def folders_of(root: Path, paths: Iterable[Path]) -> list[Path]:
    """The folder, and all within it that lead to these pictures."""
    parents = {parent for folder in {path.parent for path in paths} for parent in (folder, *folder.parents)}
    return sorted(parent for parent in parents if parent == root or root in parent.parents)


def partners(root: Path, paths: Sequence[Path], suffix: str) -> tuple[dict[Path, Path], list[Path]]:
    """The files with this suffix that are called like a picture, and those that are not called like any."""
    held = {path.parent / name for path in {p.parent: p for p in paths}.values() for name in os.listdir(path.parent)}
    files = {path for path in held if path.suffix.lower() == suffix and not path.name.startswith(".")}
    of_stem = {path.with_suffix(""): path for path in files}
    found = {path: of_stem[path.with_suffix("")] for path in paths if path.with_suffix("") in of_stem}
    return found, sorted(files - set(found.values()))


def matched(
    what: str, written: Mapping[Path, Sequence[int]], paths: Sequence[Path], where: Mapping[Path, Path], empty: int
) -> tuple[dict[Path, tuple[int, ...]], tuple[Unreadable, ...], tuple[Altered, ...]]:
    """The rows of every picture, what is written of pictures that are not there, and pictures of which nothing is.

    written: rows by picture; where: the file in which it is. empty: the row of nothing.
    Raises DataError where no name is that of a picture.
    """
    there = set(paths)
    strays = [path for path in written if path not in there]
    if len(strays) == len(written):
        raise DataError(
            f"{where[strays[0]]} has the {what} of {strays[0].name}, and neither this picture is there nor any of the "
            f"{len(strays):,} that it names; names are relative to its folder"
        )
    rows = {path: tuple(written.get(path, ())) or (empty,) for path in paths}
    without = [path for path in paths if not written.get(path)]
    missing = tuple(Unreadable(str(path), f"{where[path].name} has its {what}, and it is not there") for path in strays)
    reason = f"it has no {what}, and that of its item is empty"
    return rows, missing, tuple(Altered(reason, 1, str(path)) for path in without)
