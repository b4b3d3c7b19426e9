r"""Whether pictures show the objects and relations that a caption, a graph or a layout states.

    accuracy of an attribute    |{stated} ∩ {shown}| / max(stated, shown)   of digits, say, as multisets of one picture
    object recall               the share of stated objects that are shown with all their attributes; where the model is
                                given boxes, at an IoU of at least 0.5 with its own
    relation accuracy           the share of stated relations that two shown objects of these attributes stand in

What a picture shows a detector says that has learnt from the training split (`simulacra.evaluation.detector`); what it
gets right on real pictures is the ceiling. Attributes that a caption does not state of every object are left out.
Relations are those of places: left of, right of, above and below by the axis on which the middles of two boxes are
further apart, inside and surrounding where one box holds the other; others are not counted.

Needed of the data: a list of objects, each with classes and `box` (x0, y0, x1, y1) in shares of the sides; for
relations a list of records with two places in that list and a class with names, as `scenes` has them. Where classes
called "unseen" stand in no training item, the figures of seen and unseen items are reported by themselves too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.data.shipped.scenes import RELATIONS, relation_of
from simulacra.evaluation import intervals
from simulacra.evaluation.baselines import is_picture
from simulacra.evaluation.detector import BOX, Objects, Scene, detector, scenes_of
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.paired import Paired, Rows
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.fields import ClassLabel, Field, Index, Many, Record, Tokens

OVERLAP = 0.5
FEWEST = 8  # items
HOLDS = ("surrounding", "inside")
SEEN = ("seen", "unseen")


@dataclass(frozen=True)
class Relations:
    """The list `name` of a data set: two places in a list of objects, in order, and the class that relates them."""

    name: str
    subject: str
    predicate: str
    object: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, fields: Mapping[str, Field], objects: Objects) -> Relations | None:
        """The first list of relations between these objects; None where there is none."""
        for name, own in fields.items():
            inner = own.field.fields if isinstance(own, Many) and isinstance(own.field, Record) else {}
            places = [key for key, leaf in inner.items() if isinstance(leaf, Index) and leaf.of == objects.name]
            named = [(key, leaf) for key, leaf in inner.items() if isinstance(leaf, ClassLabel) and leaf.names]
            if len(places) == 2 and len(named) == 1 and set(named[0][1].names) & {*RELATIONS, *HOLDS}:
                return cls(name, places[0], named[0][0], places[1], named[0][1].names)
        return None

    def stated(self, columns: Mapping[str, np.ndarray]) -> list[list[tuple[int, str, int]]]:
        """(subject, relation, object) of each item, those of places alone, from columns (n, most)."""
        keys = (f"{self.name}.{key}" for key in ("mask", self.subject, self.predicate, self.object))
        rows = zip(*(columns[key] for key in keys), strict=True)
        each = [list(zip(one[mask], by[mask], other[mask], strict=True)) for mask, one, by, other in rows]
        found = [[(int(one), self.names[by], int(other)) for one, by, other in listed] for listed in each]
        return [[own for own in listed if own[1] in (*RELATIONS, *HOLDS)] for listed in found]


# The figures of one picture


def attribute(stated: np.ndarray, shown: np.ndarray) -> float:
    """The share of classes (m,) and (k,) that both have, as multisets, of the larger of the two."""
    most = int(max(stated.max(initial=0), shown.max(initial=0))) + 1
    both = np.minimum(np.bincount(stated, minlength=most), np.bincount(shown, minlength=most)).sum()
    return float(both / max(len(stated), len(shown), 1))


def recall(stated: Scene, shown: Scene, at: bool) -> float:
    """The share of stated objects that are shown, each by another one, `at`: in its place. nan of none."""
    free, hits = np.ones(len(shown), bool), 0
    for i in range(len(stated)):
        fits = free & _alike(stated, i, shown)
        overlaps = overlap(stated.boxes[i], shown.boxes)
        fits &= (overlaps >= OVERLAP) | (not at)
        if fits.any():
            hits += 1
            free[np.where(fits, overlaps, -1.0).argmax()] = False
    return hits / len(stated) if len(stated) else np.nan


def related(stated: Scene, relations: list[tuple[int, str, int]], shown: Scene) -> float:
    """The share of stated relations in which two shown objects stand that are as stated. nan of none."""
    hits = 0
    for one, relation, other in relations:
        pairs = (
            (a, b)
            for a in np.flatnonzero(_alike(stated, one, shown))
            for b in np.flatnonzero(_alike(stated, other, shown))
        )
        hits += any(a != b and stands(shown.boxes[a], relation, shown.boxes[b]) for a, b in pairs)
    return hits / len(relations) if relations else np.nan


def _alike(stated: Scene, i: int, shown: Scene) -> np.ndarray:
    """Which shown objects (k,) have all attributes of the i-th stated one."""
    found = np.ones(len(shown), bool)
    for key, own in stated.classes.items():
        found &= shown.classes[key] == own[i]
    return found


def stands(one: np.ndarray, relation: str, other: np.ndarray) -> bool:
    """Whether a box (4,) stands in a relation of places to another."""
    if relation in HOLDS:
        outer, inner = (one, other) if relation == HOLDS[0] else (other, one)
        return bool((outer[:2] <= inner[:2]).all() and (outer[2:] >= inner[2:]).all())
    return RELATIONS[relation_of(tuple(one), tuple(other))[0]] == relation


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with boxes (k, 4), (k,)."""
    sides = np.maximum(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0)
    both, areas = sides.prod(1), np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
    return both / np.maximum((box[2:] - box[:2]).prod() + areas - both, 1e-9)


# The metric


def _objects(subject: Subject) -> Objects | None:
    """Those of the data, where the model is conditioned on what states them: them, or a caption."""
    found, fields = Objects.of(subject.data.spec.condition), subject.model.spec.condition
    if found is None or not is_picture(subject.model.spec.x):
        return None
    return found if found.name in fields or _captions(fields) else None


def _captions(fields: Mapping[str, Field]) -> dict[str, Tokens]:
    return {name: own for name, own in fields.items() if isinstance(own, Tokens)}


def stated_attributes(subject: Subject, objects: Objects) -> Objects:
    """The objects with those of their attributes that the condition states of each."""
    fields, items = subject.model.spec.condition, subject.items
    given = fields.get(objects.name)
    if isinstance(given, Many) and isinstance(given.field, Record):
        return Objects(objects.name, {key: own for key, own in objects.attributes.items() if key in given.field.fields})
    name, caption = next(iter(_captions(fields).items()))
    tokens, mask = items.field(name)[subject.index], items.field(f"{objects.name}.mask")[subject.index]
    kept = {}
    for key, own in objects.attributes.items():
        values = items.field(f"{objects.name}.{key}")[subject.index]
        words = own.names or tuple(map(str, range(own.count)))
        numbers = np.array([caption.vocabulary.index(word) if word in caption.vocabulary else -2 for word in words])
        said = (numbers[values][..., None] == tokens[:, None]).any(-1)
        if said[mask].all():
            kept[key] = own
    return Objects(objects.name, kept)


@metric(
    needs=(Sampler,),
    name="scenes",
    least=FEWEST,
    thorough=True,
    held_out=True,
    when=lambda subject: _objects(subject) is not None,
)
def objects_and_relations(subject: Subject) -> dict[str, Measure]:
    """Whether a detector finds the objects, attributes and relations that the condition states."""
    every = _objects(subject)
    assert every is not None
    objects, fields = stated_attributes(subject, every), subject.model.spec.condition
    if not objects.attributes:
        return {}
    judge, relations = detector(subject.data, every), Relations.of(subject.data.spec.condition, every)
    items = subject.items.rows(subject.index).condition
    stated = scenes_of(objects, items)
    links = [[] for _ in stated] if relations is None else relations.stated(items)
    at = every.name in fields and BOX in fields[every.name].field.fields  # pyright: ignore[reportAttributeAccessIssue]

    def figure(x: np.ndarray, rows: Rows) -> np.ndarray:
        """(m, attributes + 2)"""
        shown = [Scene({key: own.classes[key] for key in objects.attributes}, own.boxes) for own in judge(x)]
        return np.array([_of_one(stated[row], links[row], scene, at) for row, scene in zip(rows, shown, strict=True)])

    paired = subject.shared(Paired)
    scores = paired.scores(figure)
    found: dict[str, Measure] = {}
    for column, (name, says) in enumerate(_figures(objects, at).items()):
        for ending, only in _groups(subject).items():
            own = scores.of(column, only)
            if own.n:
                items_of = ending and f"; items that are {ending[1:]}"
                how = f"{says}, by {judge.protocol}{items_of}; {paired.which}"
                found[f"{name}{ending}"] = _within_a_share(own.measure(how))
    return found


def _within_a_share(measure: Measure) -> Measure:
    """With an interval within 0 and 1 that holds that of as many shares of 0 or 1: of few different values the standard
    error is too small, and 0 where all are equal."""
    low, high = intervals.of_share(measure.value, measure.n)
    return replace(measure, low=max(0.0, min(low, measure.low)), high=min(1.0, max(high, measure.high)))


def _of_one(stated: Scene, links: list[tuple[int, str, int]], shown: Scene, at: bool) -> list[float]:
    shares = [attribute(own, shown.classes[key]) for key, own in stated.classes.items()]
    return [*shares, recall(stated, shown, at), related(stated, links, shown)]


def _figures(objects: Objects, at: bool) -> dict[str, str]:
    """Names and protocols, in the order of `_of_one`."""
    named = {f"shown_{key}": f"share of stated and shown objects whose {key} is both" for key in objects.attributes}
    of_all = " and ".join(objects.attributes)
    where = f" at an IoU of at least {OVERLAP:g}" if at else " anywhere"
    return named | {
        "object_recall": f"share of stated objects that are shown with their {of_all}{where}",
        "relation_accuracy": f"share of stated relations that objects of the same {of_all} are shown in",
    }


def _groups(subject: Subject) -> dict[str, np.ndarray | None]:
    """All items, and by their endings those of a field of classes seen and unseen, where training items are seen."""
    found: dict[str, np.ndarray | None] = {"": None}
    for name, own in subject.data.spec.condition.items():
        if isinstance(own, ClassLabel) and own.names == SEEN and not np.any(subject.data.train.field(name)):
            value = subject.items.field(name)[subject.index]
            found |= {f"_{each}": value == number for number, each in enumerate(SEEN)}
    return found
