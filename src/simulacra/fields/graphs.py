"""Scene graphs as JSON: objects, and relations between them, in the form of sg2im (Johnson et al. 2018).

    {"objects": ["sky", "sheep"], "relationships": [[1, "below", 0]], "boxes": [[0, 0, 1, 0.5], [0.2, 0.5, 0.6, 0.9]]}

A relation is [subject, predicate, object] with the places of two objects, counted from 0. Boxes are (x0, y0, x1, y1) in
shares of the sides of the picture, and may be left out, or be null where that of an object is not known. An object may
also be a table of its attributes, {"digit": 3, "colour": "red"}, the box among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real as Number
from typing import Any

from simulacra.errors import DataError

NO_BOX = (-1.0, -1.0, -1.0, -1.0)  # in the place of a box that is not known
SLACK = 1e-3  # by which rounding may have moved a side out of the picture
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Graph:
    """objects: names, or tables of attributes. relations: (subject, predicate, object). boxes: one for each object."""

    objects: tuple[str | Mapping[str, Any], ...]
    relations: tuple[tuple[int, str, int], ...]
    boxes: tuple[Box, ...]

    @classmethod
    def from_json(cls, record: Any, where: str) -> Graph:
        """Raises DataError, which names the place, for another form, and for a relation to an object that is not
        there."""
        if not isinstance(record, Mapping) or not isinstance(record.get("objects"), list):
            raise DataError(f'{where} is no scene graph: {{"objects": [...], "relationships": [[0, "above", 1]]}}')
        objects, boxes = record["objects"], record.get("boxes")
        for place, each in enumerate(objects):
            if not isinstance(each, str | Mapping) or not each:
                raise DataError(f"{where}: object {place} is a name or a table of attributes, not {each!r:.40}")
        tables = [each if isinstance(each, Mapping) else {} for each in objects]
        if boxes is None and any("box" in table for table in tables):
            boxes = [table.get("box") for table in tables]
        objects = [each if isinstance(each, str) else {k: each[k] for k in each if k != "box"} for each in objects]
        relations = record.get("relationships", [])
        if not isinstance(relations, list):
            raise DataError(f'{where}: "relationships" is a list of [subject, predicate, object]')
        edges = tuple(_edge(each, len(objects), where) for each in relations)
        return cls(tuple(objects), edges, _boxes(boxes, len(objects), where))

    @property
    def has_boxes(self) -> bool:
        return any(box != NO_BOX for box in self.boxes)


def _edge(edge: Any, count: int, where: str) -> tuple[int, str, int]:
    form = isinstance(edge, list) and len(edge) == 3 and isinstance(edge[1], str)
    if not form or any(type(edge[i]) is not int for i in (0, 2)):
        form = '[subject, predicate, object], such as [0, "above", 1]'
        raise DataError(f"{where}: a relationship is {form}, not {edge!r:.60}")
    if missing := [place for place in (edge[0], edge[2]) if not 0 <= place < count]:
        there = f"they are 0 to {count - 1}" if count else "there are none"
        raise DataError(f"{where}: the relationship {edge!r} is to object {missing[0]}, and {there}")
    return edge[0], edge[1], edge[2]


def _boxes(boxes: Any, count: int, where: str) -> tuple[Box, ...]:
    if boxes is None:
        return (NO_BOX,) * count
    if not isinstance(boxes, list) or len(boxes) != count:
        found = len(boxes) if isinstance(boxes, list) else "no list of"
        raise DataError(f"{where}: {found} boxes for {count} objects")
    return tuple(box_of(box, f"{where}: object {place}") for place, box in enumerate(boxes))


def box_of(box: Any, where: str) -> Box:
    """A box of JSON, or that which stands for none; raises DataError for what is none in shares of the sides."""
    if box is None:
        return NO_BOX
    numbers = isinstance(box, list) and len(box) == 4 and all(isinstance(n, Number) and n == n for n in box)
    if not numbers or not (box[0] < box[2] and box[1] < box[3] and min(box) >= -SLACK and max(box) <= 1 + SLACK):
        raise DataError(f"{where} has the box {box!r:.60}; it is [x0, y0, x1, y1] in shares of the sides, 0 to 1")
    x0, y0, x1, y1 = (min(max(float(number), 0.0), 1.0) for number in box)
    return x0, y0, x1, y1
