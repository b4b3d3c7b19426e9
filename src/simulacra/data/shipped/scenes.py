"""Scenes: one to four real digits in colours and sizes on a ground, with everything that can be said of them.

Every scene is drawn as a layout first: objects of a digit, a colour and a size at places that do not overlap, in a
chain of which each stands left of, right of, above or below the next one. The picture, the caption, the graph, the
boxes and the maps are all made of that layout, so that a model of any of them can be measured.

What is held out for the test split: the handwriting (the digits of a scene come from the same split of `digits`), and
the relations (a, left of or above, b) of which a tenth occurs in no training scene, between whatever pair. Half of the
test scenes state one of these and have `combination` "unseen".

Scene graphs, and boxes (x0, y0, x1, y1) in shares of the sides, are those of Johnson et al. 2018, "Image generation
from scene graphs".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from simulacra.data.cache import cached
from simulacra.data.dataset import Split
from simulacra.data.images import resized
from simulacra.data.shipped import digits_source
from simulacra.data.source import Batch, Source
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Field, Index, LabelMap, Many, Real, Record, Tokens

SIDE, DOUBLE, TILES = 32, 64, (8, 12)  # pixels; of a small and a large digit at side 32
MOST, MARGIN = 4, 2  # objects; pixels by which a relation must be clear at side 32
TRIES = 20  # places that are drawn for an object before the others are drawn anew
INK = 0.5  # from here on a pixel belongs to the digit
COLOURS = {
    "red": (255, 48, 48), "green": (48, 208, 64), "blue": (64, 96, 255), "yellow": (255, 224, 32),
    "magenta": (240, 64, 224), "cyan": (32, 224, 224),
}  # fmt: skip
SIZES = ("small", "large")
RELATIONS = ("left of", "right of", "above", "below")
DARKEST, LIGHTEST = 0, 64  # of the ground, a grey that nothing tells of
WORDS = ("a", *SIZES, *COLOURS, *map(str, range(10)), "left", "right", "of", "above", "below")
SEED, TOGETHER = 1, 500
COUNTS = {"train": 16_000, "valid": 2_000, "test": 2_000}


class Thing(NamedTuple):
    """One object of a layout: what it is, which item of the digits it is drawn with, and where its tile begins."""

    digit: int
    colour: int
    size: int
    item: int
    left: int
    top: int


@dataclass(frozen=True)
class Scene:
    """things: in the order of the chain. relations: of each with the next one. named: whose size the caption tells.
    ground: its grey level."""

    things: tuple[Thing, ...]
    relations: tuple[int, ...]
    named: tuple[bool, ...]
    ground: int

    @property
    def unseen(self) -> bool:
        """Whether a relation is stated that no training scene has."""
        pairs = zip(itertools.pairwise(self.things), self.relations, strict=True)
        return any(is_unseen(one.digit, relation, other.digit) for (one, other), relation in pairs)

    @property
    def caption(self) -> str:
        """`a small red 3 above a blue 7 left of a green 1`."""
        words = []
        for i, thing in enumerate(self.things):
            size = f"{SIZES[thing.size]} " if self.named[i] else ""
            words.append(f"a {size}{list(COLOURS)[thing.colour]} {thing.digit}")
            words += [RELATIONS[relation] for relation in self.relations[i : i + 1]]
        return " ".join(words)


def scenes_source(size: tuple[int, int] | None = None) -> Source:
    """20,000 scenes, 3×32×32 or 3×64×64 on 256 levels; raises UsageError for another size."""
    if size not in (None, (SIDE, SIDE), (DOUBLE, DOUBLE)):
        raise UsageError(f"scenes are {SIDE}×{SIDE} or {DOUBLE}×{DOUBLE}, not {size[0]}×{size[1]}")
    side = SIDE if size is None else size[0]
    below = digits_source()

    def batches() -> Iterator[Batch]:
        digits = cached(below)
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random = np.random.RandomState(SEED)
        for part, count in COUNTS.items():
            own = _Digits(digits.split(part))
            for start in range(0, count, TOGETHER):
                unseen = [part == "test" and number % 2 == 1 for number in range(min(TOGETHER, count - start))]
                scenes = [_drawn(own, random, each) for each in unseen]
                yield Batch(part, *_rendered(own, scenes, side))

    card = below.card
    return Source(
        name="scenes",
        card=replace(card, title=f"scenes of one to four digits in colour, of {card.title}"),
        count=sum(COUNTS.values()),
        batches=batches,
        files=below.files,
        options=("version=1", f"side={side}"),
        levels=256,
        fields=fields(side),
    )


def fields(side: int) -> dict[str, Field]:
    """What is known of a scene."""
    what = {"digit": ClassLabel(10), "colour": ClassLabel(len(COLOURS), tuple(COLOURS)), "size": ClassLabel(2, SIZES)}
    place = Index("objects", MOST)
    relation = {"subject": place, "predicate": ClassLabel(len(RELATIONS), RELATIONS), "object": place}
    return {
        "caption": Tokens(WORDS, 4 * MOST + 2 * (MOST - 1)),
        "objects": Many(Record(what | {"box": Real((4,))}), MOST),
        "relations": Many(Record(relation), MOST - 1),
        "map": LabelMap(11, (side, side)),
        "instances": LabelMap(MOST + 1, (side, side)),
        "combination": ClassLabel(2, ("seen", "unseen")),
    }


# Layouts


class _Digits:
    """The digits of one split: their ink at every size, and which items are of a class."""

    def __init__(self, split: Split) -> None:
        self.ink = np.asarray(split.x)[:, 0] / np.float32(16)
        label = np.asarray(split.field("label"))
        self.of = [np.flatnonzero(label == digit) for digit in range(10)]
        self.tiles: dict[tuple[int, int], np.ndarray] = {}
        self.extents: dict[tuple[int, int], tuple[int, int, int, int]] = {}

    def at(self, thing: Thing, scale: int) -> np.ndarray:
        """How much of each pixel is ink, 0 to 1, of a tile as large as the thing is at so many times side 32."""
        side = scale * TILES[thing.size]
        if (thing.item, side) not in self.tiles:
            self.tiles[thing.item, side] = np.clip(resized(self.ink[thing.item], side, side), 0, 1)
        return self.tiles[thing.item, side]

    def box(self, thing: Thing, scale: int) -> tuple[int, int, int, int]:
        """The pixels (x0, y0, x1, y1) between which the digit lies."""
        key = thing.item, scale * TILES[thing.size]
        if key not in self.extents:
            rows, columns = np.nonzero(self.at(thing, scale) >= INK)
            self.extents[key] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        x0, y0, x1, y1 = self.extents[key]
        left, top = scale * thing.left, scale * thing.top
        return left + x0, top + y0, left + x1, top + y1


def is_unseen(subject: int, relation: int, other: int) -> bool:
    """Whether no training scene has digit `subject` in this relation to digit `other`."""
    if RELATIONS[relation] in ("right of", "below"):
        subject, relation, other = other, relation - 1, subject
    return (3 * subject + other + relation) % 10 == 0


def relation_of(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, float]:
    """The relation of a box to another, by the axis on which their middles are further apart, and by how much so."""
    right, down = ((one[i + 2] + one[i] - other[i + 2] - other[i]) / 2 for i in (0, 1))
    along = (right > 0) if abs(right) > abs(down) else 2 + (down > 0)
    return int(along), abs(abs(right) - abs(down))


def _drawn(digits: _Digits, random: np.random.RandomState, unseen: bool) -> Scene:
    """A scene that states a relation which training has not, or one in which there is none."""
    count = random.randint(2 if unseen else 1, MOST + 1)
    while True:
        things = _placed(digits, random, count)
        if things is None:
            continue
        held = _relations(digits, things)
        chain = [held[i, i + 1] for i in range(count - 1)]
        new = {(i, j) for (i, j), (by, _) in held.items() if is_unseen(things[i].digit, by, things[j].digit)}
        states_new = any((i, i + 1) in new for i in range(count - 1))
        if all(clear >= MARGIN for _, clear in chain) and (states_new if unseen else not new):
            named = tuple(bool(bit) for bit in random.randint(2, size=count))
            ground = random.randint(DARKEST, LIGHTEST)
            return Scene(things, tuple(relation for relation, _ in chain), named, ground)


def _relations(digits: _Digits, things: tuple[Thing, ...]) -> dict[tuple[int, int], tuple[int, float]]:
    """`relation_of` every thing to every one behind it; the other way round it is the opposite."""
    boxes = [digits.box(thing, 1) for thing in things]
    return {(i, j): relation_of(boxes[i], boxes[j]) for i, j in itertools.combinations(range(len(things)), 2)}


def _placed(digits: _Digits, random: np.random.RandomState, count: int) -> tuple[Thing, ...] | None:
    """Things whose tiles neither overlap nor touch; None where no place was found for one of them."""
    things: list[Thing] = []
    for _ in range(count):
        digit, colour, size = random.randint(10), random.randint(len(COLOURS)), random.randint(2)
        item = digits.of[digit][random.randint(len(digits.of[digit]))]
        for left, top in random.randint(SIDE - TILES[size] + 1, size=(TRIES, 2)).tolist():
            thing = Thing(digit, colour, size, int(item), left, top)
            if not any(_touch(thing, other) for other in things):
                things.append(thing)
                break
        else:
            return None
    return tuple(things)


def _touch(one: Thing, other: Thing) -> bool:
    apart = [
        a > b + TILES[other.size] or b > a + TILES[one.size] for a, b in ((one.left, other.left), (one.top, other.top))
    ]
    return not any(apart)


# What is made of them


def _rendered(digits: _Digits, scenes: list[Scene], side: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pictures (N, 3, side, side) uint8, and the columns of all fields."""
    known, n, scale = fields(side), len(scenes), side // SIDE
    x = np.empty((n, 3, side, side), np.uint8)
    columns = {
        key: np.zeros((n, *column.shape), column.dtype)
        for name, field in known.items()
        for key, column in field.columns(name).items()
    }
    caption = known["caption"]
    columns |= caption.convert("caption", [scene.caption for scene in scenes], single=False)
    for i, scene in enumerate(scenes):
        x[i] = scene.ground
        for place, thing in enumerate(scene.things):
            _paint(digits, thing, scale, x[i], columns["map"][i], columns["instances"][i], place)
            for key in ("digit", "colour", "size"):
                columns[f"objects.{key}"][i, place] = getattr(thing, key)
            columns["objects.box"][i, place] = np.array(digits.box(thing, scale)) / side
        columns["objects.mask"][i, : len(scene.things)] = True
        for place, relation in enumerate(scene.relations):
            columns["relations.subject"][i, place] = place
            columns["relations.predicate"][i, place] = relation
            columns["relations.object"][i, place] = place + 1
        columns["relations.mask"][i, : len(scene.relations)] = True
        columns["combination"][i] = scene.unseen
    return x, columns


def _paint(
    digits: _Digits, thing: Thing, scale: int, x: np.ndarray, classes: np.ndarray, instances: np.ndarray, place: int
) -> None:
    """A thing into a picture (3, H, W) and two maps (H, W)."""
    ink = digits.at(thing, scale)
    rows, columns = (slice(scale * begin, scale * begin + len(ink)) for begin in (thing.top, thing.left))
    colour = np.array(list(COLOURS.values())[thing.colour])[:, None, None]
    ground = x[:, rows, columns]
    x[:, rows, columns] = np.rint(ground + ink * (colour - ground.astype(np.float32)))
    classes[rows, columns][ink >= INK] = thing.digit + 1
    instances[rows, columns][ink >= INK] = place + 1
