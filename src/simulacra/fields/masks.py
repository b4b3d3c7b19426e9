r"""The mask of one object: which places of a picture are its own.

    {"mask": [[0, 1], [1, 1]]}                               rows of 0 and 1, over the whole picture
    {"mask": {"size": [2, 2], "counts": [1, 3]}}             runs of 0 and 1 by turns, column after column, as COCO's
    {"segmentation": [[10, 10, 30, 10, 20, 40]]}             polygons x0, y0, x1, y1, ... in pixels of the picture

What a model reads is the mask within the box, in `SIDE` rows of as many numbers: each is that of the pixel in which its
place lies, 1 within and 0 outside the object, and all are 2 where the mask of an object is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from simulacra.errors import DataError
from simulacra.fields.leaves import LabelMap

SIDE = 16
IGNORED = 2
WITHIN_BOX = LabelMap(3, (SIDE, SIDE), ("outside", "inside", "ignore"))
MOST_PIXELS = 64_000_000
SLACK = 1.0  # pixels by which a polygon may leave its picture
Box = tuple[float, float, float, float]
Size = tuple[int, int]


class OutOfSize(DataError):
    """A mask that is not one of a picture of this size."""


@dataclass(frozen=True, eq=False)
class Mask:
    """pixels: (h, w) bool over the whole picture; or polygons: (n, 2) corners (x, y) each, in its pixels."""

    pixels: np.ndarray | None = None
    polygons: tuple[np.ndarray, ...] = ()

    def refuse_unless_of(self, picture: Size, where: str) -> None:
        """Raise OutOfSize for a mask whose sides are not in proportion to those of a picture (H, W), and for a polygon
        that leaves it."""
        (high, wide), said = picture, f"its picture is {picture[1]}×{picture[0]}"
        if self.pixels is not None:
            h, w = self.pixels.shape
            if h * wide != w * high:
                raise OutOfSize(f"{where} has a mask of {w}×{h}, and {said}: draw it at that size")
            return
        for x, y in (corner for polygon in self.polygons for corner in polygon):
            if not (-SLACK <= x <= wide + SLACK and -SLACK <= y <= high + SLACK):
                raise OutOfSize(f"{where} has a polygon with the corner ({x:g}, {y:g}), and {said}: mend one of them")

    def box(self, picture: Size) -> Box | None:
        """(x0, y0, x1, y1) in shares of a picture (H, W) between which the object lies; None of an empty mask."""
        if self.pixels is not None:
            (h, w), (rows, columns) = self.pixels.shape, np.nonzero(self.pixels)
            if not len(rows):
                return None
            return columns.min() / w, rows.min() / h, (columns.max() + 1) / w, (rows.max() + 1) / h
        corners = np.concatenate(self.polygons) / (picture[1], picture[0])
        (x0, y0), (x1, y1) = np.clip(corners.min(0), 0, 1), np.clip(corners.max(0), 0, 1)
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def within(self, box: Box, picture: Size) -> np.ndarray:
        """(SIDE, SIDE) uint8, 1 at the places within a box of the object, in shares of a picture (H, W)."""
        shares = (np.arange(SIDE) + 0.5) / SIDE
        x, y = box[0] + shares * (box[2] - box[0]), box[1] + shares * (box[3] - box[1])
        if self.pixels is not None:
            rows, columns = (
                np.minimum((at * n).astype(int), n - 1) for at, n in zip((y, x), self.pixels.shape, strict=True)
            )
            return self.pixels[rows[:, None], columns].astype(np.uint8)
        found = np.zeros((SIDE, SIDE), bool)
        for polygon in self.polygons:
            found |= _inside(polygon, x * picture[1], y[:, None] * picture[0])
        return found.astype(np.uint8)


def _inside(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether a ray to the right of each (x, y) crosses the sides of a polygon (n, 2) an odd number of times."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def mask_of(given: Any, where: str) -> Mask | None:
    """A mask of JSON, rows or runs; None where none is given. Raises DataError, which names the place, for what is
    none."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return _of_runs(given, where)
    rows = isinstance(given, list) and bool(given) and all(isinstance(row, list) and row for row in given)
    if not rows or not all(type(n) in (int, bool) and n in (0, 1) for row in given for n in row):
        raise DataError(f'{where} has no mask: it is rows of 0 and 1, or {{"size": [height, width], "counts": [...]}}')
    if unlike := [len(row) for row in given if len(row) != len(given[0])]:
        raise DataError(
            f"{where} has a mask with rows of {len(given[0])} and of {unlike[0]} numbers; all have one length"
        )
    return Mask(np.array(given, bool))


def segmentation_of(given: Any, where: str) -> Mask | None:
    """A segmentation of JSON, polygons or runs; None where none is given. Raises DataError for what is none."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return _of_runs(given, where)
    polygons = isinstance(given, list) and bool(given) and all(isinstance(each, list) for each in given)
    if not polygons or not all(len(each) >= 6 and len(each) % 2 == 0 and all(map(_finite, each)) for each in given):
        form = "polygons [[x0, y0, x1, y1, x2, y2, ...], ...] in pixels"
        raise DataError(f'{where} has no segmentation: it is {form}, or {{"size": [height, width], "counts": [...]}}')
    return Mask(polygons=tuple(np.array(each, float).reshape(-1, 2) for each in given))


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and abs(number) < 1e9


def _of_runs(given: Mapping[str, Any], where: str) -> Mask:
    size, counts = given.get("size"), given.get("counts")
    if isinstance(counts, str):
        raise DataError(f"{where} has runs that are compressed; write their counts as a list of numbers")
    form = isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    if not form or not isinstance(counts, list) or not all(type(n) is int and n >= 0 for n in counts):
        raise DataError(f'{where} has no mask: runs are {{"size": [height, width], "counts": [zeros, ones, ...]}}')
    height, width = cast(list[int], size)
    if sum(counts) != height * width or height * width > MOST_PIXELS:
        raise DataError(f"{where} has a mask of {width}×{height}, and runs of {sum(counts):,} pixels; they make up all")
    values = np.arange(len(counts)) % 2 == 1
    return Mask(np.repeat(values, counts).reshape(width, height).T)
