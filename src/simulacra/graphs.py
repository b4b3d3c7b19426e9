"""A scene graph of JSON as a condition: the values of the fields `objects` and `relations` of a model.

    {"objects": ["small red 3", "a large blue 7"], "relationships": [[0, "above", 1]]}

An object is a table of its attributes, {"digit": 3, "colour": "red", "size": "small"}, or a phrase in which each of
them is named once, in any order, with or without an article. The form is that of `fields.graphs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulacra.data.spec import DataSpec
from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.fields import ClassLabel, Field, Many, Record
from simulacra.fields.graphs import BOX, NO_BOX, SEGMENTATION, Graph
from simulacra.fields.masks import IGNORED, WITHIN_BOX, OutOfSize

OBJECTS, RELATIONS = "objects", "relations"
ARTICLES = ("a", "an", "the")
GRAPH = "the graph"


def graph_values(record: Any, spec: DataSpec) -> dict[str, Any]:
    """The values of `objects` and `relations` for one item, as far as a model of this spec is conditioned on them.

    record: what the JSON says. An object without a box, where the model reads boxes, has the box (-1, -1, -1, -1), by
    which a model knows that it is not known, or what its mask lies within; one without a mask a mask of 2. Boxes and
    masks that a model does not read are passed over.

    Raises UsageError for a model of no graphs, another form, a relation to an object that is not there, a class or a
    predicate that the model does not know, with the nearest one, and an object without one of its attributes.
    """
    objects, relations = (_record(spec, name) for name in (OBJECTS, RELATIONS))
    if objects is None and relations is None:
        fields = ", ".join(spec.condition) or "nothing"
        raise UsageError(f"a graph is for a model of objects and relations, and this one is conditioned on {fields}")
    try:
        graph = Graph.from_json(record, GRAPH)
    except DataError as error:
        raise UsageError(str(error)) from None
    values: dict[str, Any] = {}
    if objects is not None:
        size = (spec.shape[-2], spec.shape[-1]) if spec.is_image else (1, 1)
        values[OBJECTS] = [_object(place, graph, objects, size) for place in range(len(graph.objects))]
    if relations is not None:
        values[RELATIONS] = [
            {"subject": subject, "predicate": _predicate(by, relations), "object": other}
            for subject, by, other in graph.relations
        ]
    return values


def _record(spec: DataSpec, name: str) -> Record | None:
    """What an element of the field `name` is; None where the spec has no such field."""
    field = spec.condition.get(name)
    return field.field if isinstance(field, Many) and isinstance(field.field, Record) else None


def _predicate(by: str, relations: Record) -> int:
    return _class(f"{GRAPH}: predicate", relations.fields["predicate"], by)


def _object(place: int, graph: Graph, record: Record, size: tuple[int, int]) -> dict[str, Any]:
    """The table of an object in pictures of this size (H, W)."""
    kinds = {name: own for name, own in record.fields.items() if name != BOX and own != WITHIN_BOX}
    own, where = graph.objects[place], f"{GRAPH}: object {place}"
    table = own if isinstance(own, Mapping) else _attributes(own, kinds, where)
    if strange := [name for name in table if name not in kinds]:
        raise UsageError(f"{where} has {strange[0]!r}, and no object has.{did_you_mean(strange[0], kinds)}")
    for name, kind in kinds.items():
        if name not in table:
            raise UsageError(f"{where}, {_said(own)}, has no {name!r}: {_choice(kind)}")
    values = {name: _class(f"{where}, {name}", kind, table[name]) for name, kind in kinds.items()}
    try:
        return values | _place(place, graph, record, size)
    except OutOfSize as error:
        raise UsageError(str(error)) from None


def _place(place: int, graph: Graph, record: Record, size: tuple[int, int]) -> dict[str, Any]:
    """Where an object is in pictures of this size (H, W): its box, and its mask within it, as far as they are read."""
    box, mask, within = graph.boxes[place], graph.masks[place], np.full(WITHIN_BOX.shape, IGNORED, np.uint8)
    reads_mask = record.fields.get(SEGMENTATION) == WITHIN_BOX
    if mask is not None and (reads_mask or (BOX in record.fields and box == NO_BOX)):
        mask.refuse_unless_of(size, f"{GRAPH}: object {place}")
        box = (mask.box(size) or NO_BOX) if box == NO_BOX else box
        within = mask.within(box, size) if box != NO_BOX else np.zeros(WITHIN_BOX.shape, np.uint8)
    own = {BOX: list(box)} if BOX in record.fields else {}
    return own | ({SEGMENTATION: within} if reads_mask else {})


def _said(own: str | Mapping[str, Any]) -> str:
    return repr(own if isinstance(own, str) else dict(own))


def _choice(kind: Field) -> str:
    """`small or large`."""
    return " or ".join(_names(kind)[:10]) or kind.describe()


def _names(kind: Field) -> Sequence[str]:
    """The words for the classes of a field: their numbers where they have no names."""
    return (kind.names or tuple(map(str, range(kind.count)))) if isinstance(kind, ClassLabel) else ()


def _class(where: str, kind: Field, value: Any) -> Any:
    """The number of a class that is given by number or name; the value of another field as it is."""
    if not isinstance(kind, ClassLabel):
        return value
    try:
        return kind.index(value)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _attributes(phrase: str, kinds: Mapping[str, Field], where: str) -> dict[str, str]:
    """The attributes that a phrase names: at each place the longest name that is one of those not given yet."""
    if len(kinds) == 1 and phrase in _names(next(iter(kinds.values()))):
        return {next(iter(kinds)): phrase}
    words, found = phrase.split(), dict[str, str]()
    words = words[1:] if words and words[0].lower() in ARTICLES else words
    while words:
        name, length = _longest(words, {own: kind for own, kind in kinds.items() if own not in found})
        if not length:
            known = [word for kind in kinds.values() for word in _names(kind)]
            rest = " ".join(words) if len(kinds) == 1 else words[0]
            raise UsageError(f"{where}, {phrase!r}: {rest!r} is no attribute of it.{did_you_mean(rest, known)}")
        found[name] = " ".join(words[:length])
        words = words[length:]
    return found


def _longest(words: Sequence[str], kinds: Mapping[str, Field]) -> tuple[str, int]:
    """The attribute whose name the first words are, and how many of them; ("", 0) where they are none."""
    found = [
        (len(own), name)
        for name, kind in kinds.items()
        for own in (each.split() for each in _names(kind))
        if own and list(words[: len(own)]) == own
    ]
    length, name = max(found, default=(0, ""))
    return name, length
