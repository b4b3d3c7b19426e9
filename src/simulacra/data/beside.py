"""What is written beside the pictures of a folder: captions, scene graphs.

Each kind is a table whose rows belong to pictures by their names. A picture with several rows, of captions, becomes as
many items: they are equal, and so lie in one split. One without any has an empty row, and is counted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Altered, Unreadable
from simulacra.errors import DataError
from simulacra.fields import Field
from simulacra.fields.graphs import BOX, NO_BOX, SEGMENTATION
from simulacra.fields.masks import IGNORED, SIDE, Mask

Size = tuple[int, int]
ROW = "row"  # of `Drawn`, in the place of its columns while the sizes of pictures are not known


@dataclass(frozen=True)
class Drawn:
    """Where the objects of R rows are in their pictures.

    boxes: (R, most, 4) in shares of the picture; zeros of padding.
    masks: of objects (row, place) that have one.
    where: of each row, the beginning of a message.
    """

    boxes: np.ndarray
    masks: Mapping[tuple[int, int], Mask]
    where: Sequence[str]

    def columns(self, name: str, rows: np.ndarray, stored: Sequence[Size], size: Size) -> dict[str, np.ndarray]:
        """The columns of `rows` (n,), which belong to pictures of `stored` sizes that become of `size`."""
        boxes = np.zeros((len(rows), *self.boxes.shape[1:]), np.float32)
        masks = np.zeros((*boxes.shape[:2], SIDE, SIDE), np.uint8)
        for i, (row, picture) in enumerate(zip(rows.tolist(), stored, strict=True)):
            own = self._boxes(row, picture)
            boxes[i] = in_the_crop(own[None], picture, size)[0]
            masks[i] = self._masks(row, boxes[i], picture, size)
        return {f"{name}.{BOX}": boxes} | ({f"{name}.{SEGMENTATION}": masks} if self.masks else {})

    def _boxes(self, row: int, picture: Size) -> np.ndarray:
        """(most, 4), where that of an object of a mask alone is what the mask lies within."""
        own = self.boxes[row].copy()
        for place in range(len(own)):
            if (mask := self.masks.get((row, place))) is None:
                continue
            mask.refuse_unless_of(picture, f"{self.where[row]}: object {place}")
            if (own[place] == NO_BOX).all():
                own[place] = mask.box(picture) or NO_BOX
        return own

    def _masks(self, row: int, boxes: np.ndarray, picture: Size, size: Size) -> np.ndarray:
        """(most, SIDE, SIDE) within the boxes of a crop; of padding zeros."""
        kept, there = _kept(picture, size), (boxes != 0).any(-1)
        found = np.where(there[:, None, None], IGNORED, np.zeros((len(boxes), SIDE, SIDE), np.uint8)).astype(np.uint8)
        for place, box in enumerate(boxes):
            mask = self.masks.get((row, place))
            if mask is not None and there[place] and (box != NO_BOX).any():
                x0, y0, x1, y1 = (box * kept + (1 - kept) / 2).tolist()
                found[place] = mask.within((x0, y0, x1, y1), picture)
        return found


@dataclass(frozen=True)
class Beside:
    """Attributes:
    fields: by name, of which all have the words of every row; see `Source.learned`.
    columns: (R, ...) by name.
    rows: of every picture the rows that belong to it, at least one.
    files: that were read.
    missing: what is written of pictures that are not there.
    altered: pictures of which nothing is written.
    drawn: where the objects of each row are, by the name of their list.
    """

    fields: Mapping[str, Field]
    columns: Mapping[str, np.ndarray]
    rows: Mapping[Path, tuple[int, ...]]
    files: tuple[Path, ...]
    missing: tuple[Unreadable, ...] = ()
    altered: tuple[Altered, ...] = ()
    drawn: Mapping[str, Drawn] = field(default_factory=dict)

    def placed(self, columns: Mapping[str, np.ndarray], stored: Sequence[Size], size: Size) -> dict[str, np.ndarray]:
        """The same columns of items, and those of where their objects are in pictures of `stored` sizes (H, W) that
        become of `size`."""
        found = dict(columns)
        for name, drawn in self.drawn.items():
            found |= drawn.columns(name, found.pop(f"{name}.{ROW}"), stored, size)
        return found


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
    kept = _kept(source, target)
    moved = np.clip((boxes - (1 - kept) / 2) / kept, 0, 1)
    none = (boxes == np.array(NO_BOX)) | (boxes == 0)  # not known, or padding
    inside = (moved[..., :2] < moved[..., 2:]).all(-1, keepdims=True)
    moved = np.where(inside, moved, NO_BOX)
    return np.where(none.all(-1, keepdims=True), boxes, moved).astype(np.float32)


def _kept(source: Size, target: Size) -> np.ndarray:
    """Which share of a picture is left of its width, height, width and height."""
    (high, wide), (h, w) = source, target
    kept = np.minimum(np.array([w * high, h * wide]) / (h * wide, w * high), 1)
    return np.array([*kept, *kept])


def folders_of(root: Path, paths: Iterable[Path]) -> list[Path]:
    """The folder, and all within it that lead to these pictures."""
    parents = {parent for folder in {path.parent for path in paths} for parent in (folder, *folder.parents)}
    return sorted(parent for parent in parents if parent == root or root in parent.parents)


def partners(
    root: Path, paths: Sequence[Path], suffix: str, also: Mapping[Path, Path]
) -> tuple[dict[Path, list[Path]], list[Path]]:
    """The files with this suffix that are called like a picture, or like another path of it, of each; and those in the
    same folders that are not called like any."""
    names: dict[Path, dict[Path, None]] = {}
    for path in (*paths, *also):
        names.setdefault(path.with_suffix(""), {})[also.get(path, path)] = None
    folders = sorted({stem.parent for stem in names})
    held = [folder / name for folder in folders if folder.is_dir() for name in sorted(os.listdir(folder))]
    files = [path for path in held if path.suffix.lower() == suffix and not path.name.startswith(".")]
    found: dict[Path, list[Path]] = {}
    for path in files:
        for picture in names.get(path.with_suffix(""), ()):
            found.setdefault(picture, []).append(path)
    used = {path for own in found.values() for path in own}
    among = {path.parent for path in used}
    return found, [path for path in files if path not in used and path.parent in among]


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
