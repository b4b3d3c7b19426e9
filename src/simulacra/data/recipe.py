"""The steps by which data were read, written into the run, and applied again to whatever a verb of that run reads.

pairs -> resize or rate -> window and entity -> levels -> target or domains; what is derived of x (`down:factor=2`)
stands in the model's spec, with what the training data showed: the grid, and the names of the classes in their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.fields import MOST_RATE
from simulacra.parts import convert

MOST_PIXELS = 4096  # to a side
MOST_GRID = 256  # levels
LEAST_RATE = 100  # samples a second
MOST_WINDOW = 1 << 26  # samples, or bytes
PAIRS = ("by-name", "side-by-side", "none")


@dataclass(frozen=True)
class Recipe:
    """Attributes:
    resize: (H, W) to which a folder of images is brought: shorter side resized to fit, centre cropped.
    levels: of the grid 0..levels-1 that the values are on, where it was stated and not found from them.
    target: the field that is modelled, in the place of the usual x.
    pairs: how a folder holds pairs of pictures, one of `PAIRS`; None where it shows that itself.
    domains: fields of one kind that become one set without pairs, labelled by which of them an item is of.
    rate: samples a second to which sound is brought.
    window: steps of a sequence that make an item: samples of sound, bytes of text, frames of a clip, rows of a table,
        of which without it each is an item.
    entity: the column of a table that says of which series a row is.
    """

    resize: tuple[int, int] | None = None
    levels: int | None = None
    target: str | None = None
    pairs: str | None = None
    domains: tuple[str, ...] | None = None
    rate: int | None = None
    window: int | None = None
    entity: str | None = None

    def __post_init__(self) -> None:
        convert(tuple[int, int] | None, self.resize, "resize")
        convert(int | None, self.levels, "levels")
        convert(str | None, self.target, "target")
        if self.pairs is not None and self.pairs not in PAIRS:
            raise UsageError(f"there are no pairs {self.pairs!r}.{did_you_mean(str(self.pairs), PAIRS)}")
        convert(tuple[str, ...] | None, self.domains, "domains")
        if self.domains is not None and (len(self.domains) < 2 or len(set(self.domains)) < len(self.domains)):
            raise UsageError(f"domains are two or more different fields, such as x noto, not {' '.join(self.domains)}")
        if self.domains is not None and self.target is not None:
            raise UsageError(
                f"the domains are what is modelled: leave out the target {self.target!r}, or name it among them"
            )
        if self.resize is not None and not all(1 <= side <= MOST_PIXELS for side in self.resize):
            raise UsageError(f"resize must be 1 to {MOST_PIXELS} pixels, not {self.resize}")
        convert(int | None, self.rate, "rate")
        convert(int | None, self.window, "window")
        if self.rate is not None and not LEAST_RATE <= self.rate <= MOST_RATE:
            raise UsageError(f"rate must be {LEAST_RATE} to {MOST_RATE:,} samples a second, not {self.rate}")
        if self.window is not None and not 1 <= self.window <= MOST_WINDOW:
            raise UsageError(f"a window must be 1 to {MOST_WINDOW:,} steps, not {self.window}")
        if self.levels is not None and not 2 <= self.levels <= MOST_GRID:
            raise UsageError(f"levels must be 2 to {MOST_GRID}, not {self.levels}")
        convert(str | None, self.entity, "entity")
        if self.entity is not None and self.window is None:
            raise UsageError(f"the entity {self.entity!r} is of series: give their --window too")

    @property
    def digest(self) -> str:
        """The beginning of a sha256 over the steps."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def over(self, other: Recipe) -> Recipe:
        """The steps of this recipe, and those of `other` where this one has none."""
        steps = {name: value for name, value in vars(self).items() if value is not None}
        return replace(other, **steps)

    def describe(self) -> str:
        """`resize 16×16, levels 4`, as far as there are steps."""
        return ", ".join(f"{name} {_words(value)}" for name, value in self.to_json().items() if value is not None)

    def to_json(self) -> dict[str, Any]:
        steps = {"resize": self.resize and list(self.resize), "levels": self.levels, "target": self.target}
        steps |= {} if self.pairs is None else {"pairs": self.pairs}
        steps |= {} if self.domains is None else {"domains": list(self.domains)}
        later = {name: getattr(self, name) for name in ("rate", "window", "entity")}
        return steps | {name: value for name, value in later.items() if value is not None}

    @classmethod
    def from_json(cls, record: Any) -> Recipe:
        """Raises DataError for what is no recipe; a step that is not there is none."""
        if not isinstance(record, Mapping) or not record.keys() <= cls.__dataclass_fields__.keys():
            raise DataError(f"{record!r:.60} is no recipe of data")
        resize, domains, target = (record.get(name) for name in ("resize", "domains", "target"))
        sides = resize is None or (
            isinstance(resize, list) and len(resize) == 2 and all(type(n) is int for n in resize)
        )
        whole = all(type(record.get(name)) in (int, type(None)) for name in ("levels", "rate", "window"))
        if not sides or not whole or not isinstance(target, str | None):
            raise DataError(f"{dict(record)!r:.60} is no recipe of data")
        if domains is not None and not (isinstance(domains, list) and all(isinstance(name, str) for name in domains)):
            raise DataError(f"{domains!r:.60} are no domains of data")
        try:
            lists = {"resize": resize, "domains": domains}
            return cls(**{**record, **{name: own if own is None else tuple(own) for name, own in lists.items()}})
        except UsageError as error:
            raise DataError(str(error)) from None


def _words(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return "×".join(map(str, value)) if all(isinstance(each, int) for each in value) else " ".join(value)


@dataclass(frozen=True)
class Origin:
    """The data that a model was fitted on.

    Attributes:
        name: of the data set.
        fingerprint: of its contents; see `Dataset`.
        recipe: by which they were read.
        source: a named set or an absolute path, from which they can be read again; "" where that is not known. A model
            that is saved alone does not have it: it says where files lie on somebody's machine.
        columns: of a table the names of the coordinates of x.
    """

    name: str
    fingerprint: str
    recipe: Recipe = Recipe()
    source: str = ""
    columns: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What a model that is saved alone says of its data."""
        record = {"name": self.name, "fingerprint": self.fingerprint, "recipe": self.recipe.to_json()}
        return record | ({"columns": list(self.columns)} if self.columns else {})

    @classmethod
    def from_json(cls, record: Any, source: str = "") -> Origin:
        """Raises DataError for a record that `to_json` cannot have made; further entries do not matter."""
        names = ("name", "fingerprint")
        if not isinstance(record, Mapping) or not all(isinstance(record.get(name), str) for name in names):
            raise DataError(f"{record!r:.60} does not say what a model was fitted on")
        columns, recipe = record.get("columns", []), Recipe.from_json(record.get("recipe", {}))
        if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
            raise DataError(f"{columns!r:.60} are no names of columns")
        return cls(record["name"], record["fingerprint"], recipe, source, tuple(columns))
