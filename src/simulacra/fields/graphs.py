"""Scene graphs as JSON: objects, and relations between them, in the form of sg2im (Johnson et al. 2018).

    {"objects": ["sky", "sheep"], "relationships": [[1, "below", 0]], "boxes": [[0, 0, 1, 0.5], [0.2, 0.5, 0.6, 0.9]]}

A relation is [subject, predicate, object] with the places of two objects, counted from 0. Boxes are (x0, y0, x1, y1) in
shares of the sides of the picture, and may be left out, or be null where that of an object is not known. An object may
also be a table of its attributes, {"digit": 3, "colour": "red"}, the box among them. "masks" or "segmentations" beside
"boxes", or "mask" or "segmentation" in a table, say which places of the picture are those of an object; see `masks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real as Number
from typing import Any

from simulacra.errors import DataError
from simulacra.fields.masks import Mask, mask_of, segmentation_of

NO_BOX = (-1.0, -1.0, -1.0, -1.0)  # in the place of a box that is not known
BOX, SEGMENTATION = "box", "segmentation"  # the fields of an object that say where it is
PLURALS = {BOX: "boxes", "mask": "masks", SEGMENTATION: "segmentations"}
MASKS = {"mask": mask_of, SEGMENTATION: segmentation_of}
SLACK = 1e-3  # by which rounding may have moved a side out of the picture
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Graph:
    """objects: names, or tables of attributes. relations: (subject, predicate, object). boxes, masks: one for each
    object."""

    objects: tuple[str | Mapping[str, Any], ...]
    relations: tuple[tuple[int, str, int], ...]
    boxes: tuple[Box, ...]
    masks: tuple[Mask | None, ...] = ()

    @classmethod
    def from_json(cls, record: Any, where: str) -> Graph:
        """Raises DataError, which names the place, for another form, and for a relation to an object that is not
        there."""
        if not isinstance(record, Mapping) or not isinstance(record.get("objects"), list):
            raise DataError(f'{where} is no scene graph: {{"objects": [...], "relationships": [[0, "above", 1]]}}')
        objects = record["objects"]
        for place, each in enumerate(objects):
            if not isinstance(each, str | Mapping) or not each:
                raise DataError(f"{where}: object {place} is a name or a table of attributes, not {each!r:.40}")
        tables = [each if isinstance(each, Mapping) else {} for each in objects]
        own = {key: _each(record, key, plural, tables, where) for key, plural in PLURALS.items()}
        objects = [each if isinstance(each, str) else {k: each[k] for k in each if k not in own} for each in objects]
        relations = record.get("relationships", [])
        if not isinstance(relations, list):
            raise DataError(f'{where}: "relationships" is a list of [subject, predicate, object]')
        edges = tuple(_edge(each, len(objects), where) for each in relations)
        boxes = tuple(box_of(box, f"{where}: object {place}") for place, box in enumerate(own[BOX]))
        return cls(tuple(objects), edges, boxes, _masks(own, where))

    @property
    def has_boxes(self) -> bool:
        return any(box != NO_BOX for box in self.boxes) or self.has_masks

    @property
    def has_masks(self) -> bool:
        return any(mask is not None for mask in self.masks)


def _edge(edge: Any, count: int, where: str) -> tuple[int, str, int]:
    form = isinstance(edge, list) and len(edge) == 3 and isinstance(edge[1], str)
    if not form or any(type(edge[i]) is not int for i in (0, 2)):
        form = '[subject, predicate, object], such as [0, "above", 1]'
        raise DataError(f"{where}: a relationship is {form}, not {edge!r:.60}")
    if missing := [place for place in (edge[0], edge[2]) if not 0 <= place < count]:
        there = f"they are 0 to {count - 1}" if count else "there are none"
        raise DataError(f"{where}: the relationship {edge!r} is to object {missing[0]}, and {there}")
    return edge[0], edge[1], edge[2]


def _each(
    record: Mapping[str, Any], key: str, plural: str, tables: Sequence[Mapping[str, Any]], where: str
) -> list[Any]:
    """What is given of each object under `key` of its table, or in the list `plural` of all; None where nothing is."""
    listed = record.get(plural)
    if listed is None:
        return [table.get(key) for table in tables]
    if not isinstance(listed, list) or len(listed) != len(tables):
        found = len(listed) if isinstance(listed, list) else "no list of"
        raise DataError(f"{where}: {found} {plural} for {len(tables)} objects")
    return listed


def _masks(own: Mapping[str, Sequence[Any]], where: str) -> tuple[Mask | None, ...]:
    found: list[Mask | None] = []
    for place in range(len(own[BOX])):
        here = f"{where}: object {place}"
        given = [mask for key, read in MASKS.items() if (mask := read(own[key][place], here)) is not None]
        if len(given) > 1:
            raise DataError(f"{here} has a mask and a segmentation; leave one out")
        found.append(given[0] if given else None)
    return tuple(found)


def box_of(box: Any, where: str) -> Box:
    """A box of JSON, or that which stands for none; raises DataError for what is none in shares of the sides."""
    if box is None:
        return NO_BOX
    numbers = isinstance(box, list) and len(box) == 4 and all(isinstance(n, Number) and n == n for n in box)
    if not numbers or not (box[0] < box[2] and box[1] < box[3] and min(box) >= -SLACK and max(box) <= 1 + SLACK):
        raise DataError(f"{where} has the box {box!r:.60}; it is [x0, y0, x1, y1] in shares of the sides, 0 to 1")
    x0, y0, x1, y1 = (min(max(float(number), 0.0), 1.0) for number in box)
    return x0, y0, x1, y1
