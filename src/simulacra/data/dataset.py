"""What `load` returns: a spec, three splits of a memory-mapped cache, and where the data came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simulacra.data.spec import ClassLabel, DataSpec
from simulacra.errors import UsageError, did_you_mean


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
class Split:
    """A contiguous part of the cache.

    x:         (N, *shape), uint8 on the grid 0..levels-1, or float32 when continuous. A read-only memory map: nothing
               is read until it is indexed, so index first and convert after.
    condition: the fields of the condition, {"label": (N,) int64}; {} when there are none.

    The items of an official split keep their order; those of a split that was drawn lie in the order of the draw.
    """

    x: np.ndarray
    condition: dict[str, np.ndarray]
    name: str

    def __len__(self) -> int:
        return len(self.x)

    def field(self, name: str) -> np.ndarray:
        """One field of the condition, (N,); raises UsageError where the data have no such field."""
        if name not in self.condition:
            known = did_you_mean(name, self.condition) if self.condition else " They have no labels at all."
            raise UsageError(f"these data have no field {name!r}.{known}")
        return self.condition[name]


@dataclass(frozen=True)
class Dataset:
    """Three splits under one spec. `fingerprint` is a sha256 over the spec and the contents of the splits, in order."""

    name: str
    spec: DataSpec
    train: Split
    valid: Split
    test: Split
    card: Card
    fingerprint: str
    unreadable: tuple[Unreadable, ...] = ()
    duplicates: int = 0

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        return self.train, self.valid, self.test

    def split(self, name: str) -> Split:
        """The split called `name`; raises UsageError for a name that is none of the three."""
        by_name = {split.name: split for split in self.splits}
        if name not in by_name:
            raise UsageError(f"there is no split {name!r}.{did_you_mean(name, by_name)}")
        return by_name[name]

    def summary(self) -> dict[str, Any]:
        """What was understood of the data, JSON-able: `simulacra data NAME` prints it."""
        return {
            "name": self.name,
            "shape": list(self.spec.shape),
            "levels": self.spec.levels,
            "classes": {field: self._class_counts(field, label) for field, label in self.spec.condition.items()},
            "splits": {split.name: len(split) for split in self.splits},
            "duplicates": self.duplicates,
            "unreadable": [asdict(entry) for entry in self.unreadable],
            "card": asdict(self.card),
            "fingerprint": self.fingerprint,
        }

    def _class_counts(self, field: str, label: ClassLabel) -> list[Mapping[str, Any]]:
        """One row a class: its name (its number where it has none) and its items in each split."""
        counts = {split.name: np.bincount(split.condition[field], minlength=label.count) for split in self.splits}
        names = label.names or tuple(map(str, range(label.count)))
        return [{"name": name, **{s: int(n[i]) for s, n in counts.items()}} for i, name in enumerate(names)]
