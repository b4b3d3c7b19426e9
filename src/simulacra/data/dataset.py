"""What `load` returns: a spec, three splits of a memory-mapped cache, and where the data came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from simulacra.data.domains import DOMAIN, PAIR, dealt, every, one_each
from simulacra.data.recipe import Origin, Recipe
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError, did_you_mean
from simulacra.fields import Classes, ClassLabel, LabelMap, Levels, Tokens

FREQUENT = 8  # words of a summary
LABELLED = (
    "A folder has them where it holds a sub-folder for each class, of which several are needed: name the folder above "
    "one of these; a table has them in a column, an .npz in an array, a list of items as pairs (x, label)."
)


@dataclass(frozen=True)
class Card:
    """Where the data come from. `sha256` is that of the source's bytes, and is filled in once they are read."""

    title: str
    source: str
    licence: str
    reference: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A file of a folder that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Altered:
    """Files of a folder that are not read as they are stored: in what way, how many, and the first of them."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True)
class Split:
    """A contiguous part of the cache.

    x:         (N, *shape), uint8 on the grid 0..levels-1, or float32 when continuous. A read-only memory map: nothing
               is read until it is indexed, so index first and convert after.
    condition: the columns of all other fields, {"label": (N,) int64}; {} when there are none. Memory maps too.

    all_words: the columns of text whose vocabulary was made of training items, numbered by the words of all items; see
               `Dataset`.

    The items of an official split keep their order; those of a split that was drawn lie in the order of the draw.
    """

    x: np.ndarray
    condition: dict[str, np.ndarray]
    name: str
    all_words: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        """Without the values, which may be many gigabytes."""
        fields = f" with {', '.join(self.condition)}" if self.condition else ""
        return f"<split {self.name!r}: {self.x.shape} {self.x.dtype}{fields}>"

    def field(self, name: str) -> np.ndarray:
        """One column of the fields, (N, ...); raises UsageError where the data have no such field."""
        if name not in self.condition:
            known = did_you_mean(name, self.condition) if self.condition else f" They have no labels at all. {LABELLED}"
            raise UsageError(f"these data have no field {name!r}.{known}")
        return self.condition[name]

    def rows(self, index: np.ndarray | slice) -> Split:
        """The split of some of the items, with all their fields."""
        columns, words = (
            {name: values[index] for name, values in each.items()} for each in (self.condition, self.all_words)
        )
        return Split(self.x[index], columns, self.name, words)


@dataclass(frozen=True)
class Dataset:
    """Three splits under one spec. `fingerprint` is a sha256 over the spec and the contents of the splits, in order.

    recipe: the steps by which it was read (resize, levels, target, domains), so that they can be repeated; see `load`.
    source: a named set or an absolute path, from which it can be read again; "" for data in memory.
    levels_found: whether the levels of the grid were found from the values, which may then be on a finer one.
    columns: of a table the names of the coordinates of x, or of a step of a series; () where they have none.
    kind:   of folder, in a few words; "" of what is none.
    remarks: what was found in reading and is worth a line: what did not match, and was left out.
    order:  (N,) of every item, train | valid | test, its number in the array or sequence that it is from; None where
            items come from files.
    all_words: the vocabularies of all items, by column, where that of `spec` is of training items alone: by these a
            model of other data reads the words that it knows.
    """

    name: str
    spec: DataSpec
    train: Split
    valid: Split
    test: Split
    card: Card
    fingerprint: str
    unreadable: tuple[Unreadable, ...] = ()
    altered: tuple[Altered, ...] = ()
    duplicates: int = 0
    kind: str = ""
    remarks: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    source: str = ""
    levels_found: bool = False
    columns: tuple[str, ...] = ()
    order: np.ndarray | None = field(default=None, compare=False, repr=False)
    all_words: Mapping[str, Tokens] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", replace(self.spec, of_data=True))

    def __repr__(self) -> str:
        return f"<data set {self.name!r}: {self.spec.x.describe()}; {', '.join(map(repr, self.splits))}>"

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        return self.train, self.valid, self.test

    @property
    def origin(self) -> Origin:
        """What a model that is fitted on these data remembers of them."""
        return Origin(self.name, self.fingerprint, self.recipe, self.source, self.columns)

    def split(self, name: str) -> Split:
        """The split called `name`, or "all" items: in the order of the array or sequence that they are from, else
        train | valid | test. Raises UsageError for another name, and for a split without items."""
        by_name = {split.name: split for split in self.splits}
        if name == "all":
            return self._all()
        if name not in by_name:
            raise UsageError(f"there is no split {name!r}.{did_you_mean(str(name), [*by_name, 'all'])}")
        if not len(by_name[name]):
            raise UsageError(
                f"{self.name} has no {name} items: all of them are test items, as they are too few to split"
            )
        return by_name[name]

    def _all(self) -> Split:
        back = slice(None) if self.order is None else np.argsort(self.order)

        def joined(parts: list[np.ndarray]) -> np.ndarray:
            return np.concatenate(parts)[back]

        columns = {name: joined([split.condition[name] for split in self.splits]) for name in self.train.condition}
        words = {name: joined([split.all_words[name] for split in self.splits]) for name in self.train.all_words}
        return Split(joined([split.x for split in self.splits]), columns, "all", words)

    def on_levels(self, levels: int) -> Dataset:
        """The same items on the grid 0..levels-1; raises UsageError where a value lies beyond it, or is real."""
        if not isinstance(self.spec.x, Levels):
            raise UsageError(f"{self.name} holds {self.spec.x.describe()}, which is on no grid of levels")
        largest = max(int(split.x.max(initial=0)) for split in self.splits)
        if largest >= levels:
            raise UsageError(f"{self.name} has the value {largest}, and the grid is 0 to {levels - 1}")
        return replace(self, spec=replace(self.spec, x=replace(self.spec.x, levels=levels)))

    def target(self, name: str) -> Dataset:
        """The same items with the field `name` in the place of x, which becomes the field "x". A map (H, W) of classes
        is an image (1, H, W) of them.

        Raises UsageError for a field that does not exist, or that is no one array.
        """
        if name not in self.spec.condition:
            raise UsageError(f"{self.name} has no field {name!r}.{did_you_mean(name, self.spec.condition)}")
        if "x" in self.spec.condition and name != "x":
            raise UsageError(f"{self.name} has another target already, and x is a field of it")
        spec = self.spec.conditioned_on((name,))
        if len(spec.columns) != 1:
            raise UsageError(f"{name!r} is {spec.condition[name].describe()}, and no one array that could be modelled")
        others = {"x": self.spec.x} | {own: kind for own, kind in self.spec.condition.items() if own != name}
        train, valid, test = (
            replace(
                split,
                x=split.field(name),
                condition={"x": split.x} | {k: v for k, v in split.condition.items() if k != name},
            )
            for split in self.splits
        )
        own, recipe = DataSpec(spec.condition[name], others), replace(self.recipe, target=name)
        found = replace(self, spec=own, train=train, valid=valid, test=test, recipe=recipe, columns=())
        return found.of_arrays()

    def of_arrays(self) -> Dataset:
        """The same items with an x that models take: a map (H, W) becomes an image (1, H, W) of classes."""
        own = self.spec.x
        if not isinstance(own, LabelMap):
            return self
        spec = replace(self.spec, x=Classes((1, *own.shape), own.classes))
        return replace(self, spec=spec, **{split.name: replace(split, x=split.x[:, None]) for split in self.splits})

    def domains(self, *names: str) -> Dataset:
        """Fields of one kind as one set without pairs; "x" is the usual x. The field "domain" says of which an item is.

        Each training item is shown in one domain alone. Each other item is shown in all of them, one after the other,
        and the column "pair" (N, domains, *shape) of these splits, which is no field, holds it in every domain.

        Raises UsageError for fewer than two fields, for one that does not exist, for fields of several kinds, for data
        that have a target or domains already, and for fewer training items than domains.
        """
        recipe = replace(self.recipe, domains=names)
        self._check_domains(names)
        others = {"x": self.spec.x} | dict(self.spec.condition)
        spec = DataSpec(others[names[0]], {k: own for k, own in others.items() if k not in names})
        spec = replace(spec, condition={**spec.condition, DOMAIN: ClassLabel(len(names), names)})

        def parted(split: Split) -> Split:
            columns = {"x": split.x} | split.condition
            fields = [columns.pop(name) for name in names]
            if split is self.train:
                domain = dealt(fields)
                if len(split) and len(np.unique(domain)) < len(names):
                    raise UsageError(f"{self.name} has fewer distinct training items than {len(names)} domains")
                return Split(one_each(fields, domain), columns | {DOMAIN: domain}, split.name)
            index, domain, x, pair = every(fields)
            own = {name: values[index] for name, values in columns.items()}
            return Split(x, own | {DOMAIN: domain, PAIR: pair}, split.name)

        train, valid, test = map(parted, self.splits)
        return replace(self, spec=spec, train=train, valid=valid, test=test, recipe=recipe, columns=(), order=None)

    def _check_domains(self, names: tuple[str, ...]) -> None:
        if self.recipe.domains is not None:
            raise UsageError(f"{self.name} has the domains {' '.join(self.recipe.domains)} already")
        known = {"x": self.spec.x} | dict(self.spec.condition)
        for name in names:
            if name not in known:
                raise UsageError(f"{self.name} has no field {name!r}.{did_you_mean(name, known)}")
            if known[name] != known[names[0]]:
                kinds = [f"{own!r} is {known[own].describe()}" for own in (names[0], name)]
                raise UsageError(f"domains are fields of one kind, and {', '.join(kinds)}")
        if taken := [name for name in (DOMAIN, PAIR) if name in known]:
            raise UsageError(
                f"{self.name} has a field {taken[0]!r} already, which is to say which domain an item is of"
            )

    def summary(self) -> dict[str, Any]:
        """What was understood of the data, JSON-able: `simulacra data NAME` prints it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "remarks": list(self.remarks),
            "shape": list(self.spec.shape),
            "levels": self.spec.levels,
            "columns": list(self.columns),
            "fields": {name: own.describe() for name, own in self.spec.condition.items()},
            "classes": {
                name: self._class_counts(name, own)
                for name, own in self.spec.condition.items()
                if isinstance(own, ClassLabel)
            },
            "maps": {name: list(own.names) for name, own in self.spec.condition.items() if isinstance(own, LabelMap)},
            "vocabularies": {
                name: self._words(name, own) for name, own in self.spec.condition.items() if isinstance(own, Tokens)
            },
            "splits": {split.name: len(split) for split in self.splits},
            "duplicates": self.duplicates,
            "unreadable": [asdict(entry) for entry in self.unreadable],
            "altered": [asdict(entry) for entry in self.altered],
            "card": asdict(self.card),
            "fingerprint": self.fingerprint,
            "recipe": {**self.recipe.to_json(), "digest": self.recipe.digest},
        }

    def _class_counts(self, field: str, label: ClassLabel) -> list[Mapping[str, Any]]:
        """One row a class: its name (its number where it has none) and its items in each split."""
        counts = {split.name: np.bincount(split.condition[field], minlength=label.count) for split in self.splits}
        names = label.names or tuple(map(str, range(label.count)))
        return [{"name": name, **{s: int(n[i]) for s, n in counts.items()}} for i, name in enumerate(names)]

    def _words(self, name: str, own: Tokens) -> dict[str, Any]:
        """How many words there are, the most frequent ones of training, and how many of a split are unknown."""
        held = {split.name: np.asarray(split.condition[name]) for split in self.splits}
        counts = {part: np.bincount(v[v >= 0], minlength=len(own.vocabulary)) for part, v in held.items()}
        unknown = own.unknown
        first = [i for i in np.argsort(-counts["train"], kind="stable") if counts["train"][i] and i != unknown]
        most = [i for i in first if own.vocabulary[i][:1].isalnum()]  # and no marks
        return {
            "words": len(own.vocabulary) - (unknown is not None),
            "longest": own.most,
            "frequent": {own.vocabulary[i]: int(counts["train"][i]) for i in most[:FREQUENT]},
            "unknown": {part: 0 if unknown is None else int(n[unknown]) for part, n in counts.items()},
            "of": {part: int(n.sum()) for part, n in counts.items()},
        }
