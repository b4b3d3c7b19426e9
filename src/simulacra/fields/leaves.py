"""Fields of one tensor: a class, levels on a grid, real numbers, a map of classes, a place in a list."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.fields.base import PADDING, Field, Leaf, as_array, as_list, sides
from simulacra.parts import part
from simulacra.terminal import number_of

MOST_LEVELS = 1 << 15  # an int16 holds them


@part("field", "class")
class ClassLabel(Leaf):
    """One of `count` classes, an integer 0..count-1, of which each may have a name."""

    count: int = 2
    names: tuple[str, ...] = ()
    shape = ()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise DataError(f"a label field needs at least one class, not {self.count}")
        if self.names and len(self.names) != self.count:
            raise DataError(f"a label field with {self.count} classes has {len(self.names)} names")

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int64)

    @property
    def wanted(self) -> str:
        return f"a class, 0 to {self.count - 1}"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        return (values < 0) | (values >= self.count)

    def index(self, label: Any) -> int:
        """The integer for a class given by number or name; raises UsageError for a class that does not exist."""
        if isinstance(label, str) and label in self.names:
            return self.names.index(label)
        if isinstance(label, str) and not label.lstrip("-").isdigit():
            known = self.names or map(str, range(self.count))
            raise UsageError(f"there is no class {label!r}.{did_you_mean(label, known)}")
        if not isinstance(label, str | Integral):
            raise UsageError(f"a label is an integer or a name, not {label!r}")
        if not 0 <= int(label) < self.count:
            raise UsageError(f"label {label} does not exist: the labels are 0 to {self.count - 1}")
        return int(label)

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """By number or name; a column (n, 1) of numbers counts as (n,)."""
        if single:
            values = [values.item() if hasattr(values, "item") else values]
        elif hasattr(values, "dtype"):
            array = as_array(name, values)
            if array.dtype.kind not in "iubU":
                raise UsageError(f"labels are integers, not {array.dtype}")
            values = array.reshape(-1)
            if values.dtype.kind != "U":
                return {name: self._numbers(values)}
        return {name: np.array([self.index(value) for value in as_list(name, values)], np.int64)}

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        wrong = self.wrong(values)
        if wrong.any():
            self.index(int(values[wrong][0]))  # raises, and says which labels there are
        return values.astype(np.int64)

    def is_single(self, values: Any) -> bool:
        return isinstance(values, str) or sides(values) == 0

    def describe(self) -> str:
        return number_of(self.count, "class")


@part("field", "levels")
class Levels(Leaf):
    """Integers 0..levels-1: images (C, H, W), vectors (D,), video (T, C, H, W), μ-law sound (T,).

    Attributes:
        shape: of one item.
        levels: 2 = binary, 256 = 8 bit; data have at most 256, what a model reads inside may have 32,768.
    """

    shape: tuple[int, ...] = (1, 28, 28)
    levels: int = 256

    def __post_init__(self) -> None:
        _check_shape(self, self.shape)
        if not 2 <= self.levels <= MOST_LEVELS:
            raise DataError(f"levels must be 2 to {MOST_LEVELS}, or None for continuous data, not {self.levels}")

    @property
    def dtype(self) -> np.dtype:
        return smallest(self.levels)

    @property
    def wanted(self) -> str:
        return f"integers 0 to {self.levels - 1}"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        return (values < 0) | (values >= self.levels)

    def describe(self) -> str:
        return f"{times(self.shape)}, {self.levels} levels"


@part("field", "classes")
class Classes(Levels):
    """Levels whose order means nothing: a map of classes (1, H, W) as x.

    Attributes:
        shape: of one item.
        levels: classes.
    """

    def describe(self) -> str:
        return f"{times(self.shape)}, {self.levels} classes"


@part("field", "real")
class Real(Leaf):
    """Real numbers: vectors (D,), images (C, H, W), series (T, D)."""

    shape: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        _check_shape(self, self.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32)

    @property
    def wanted(self) -> str:
        return "finite real numbers"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        return ~(abs(values) <= np.finfo(self.dtype).max)

    def describe(self) -> str:
        return f"{times(self.shape)}, continuous"


@part("field", "paths")
class Paths(Real):
    """Positions in metres of at most P people in a plane at T steps of time, (P, T, 2). Zeros stand for people who are
    not there; who is there, a field of the condition says."""

    shape: tuple[int, ...] = (1, 1, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.shape) != 3 or self.shape[2] != 2:
            raise DataError(f"paths have the shape (people, steps, 2), not {self.shape}")

    def describe(self) -> str:
        people, steps, _ = self.shape
        return f"paths of at most {people} people over {steps} steps"


@part("field", "map")
class LabelMap(Leaf):
    """A class 0..classes-1 for each pixel, (H, W), of which each may have a name.

    Attributes:
        classes: how many there are.
        shape: (H, W).
        names: of the classes. The last one is "ignore" where pixels have none.
        colours: in which a picture shows the classes, "#rrggbb" each, or "" of one that has none.
    """

    classes: int = 2
    shape: tuple[int, ...] = (28, 28)
    names: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_shape(self, self.shape)
        if not 2 <= self.classes <= MOST_LEVELS or len(self.shape) != 2:
            raise DataError(f"a label map has 2 to {MOST_LEVELS} classes and a shape (H, W), not {self}")
        for what, given in (("names", self.names), ("colours", self.colours)):
            if given and len(given) != self.classes:
                raise DataError(f"a label map with {self.classes} classes has {len(given)} {what}")

    @property
    def dtype(self) -> np.dtype:
        return smallest(self.classes)

    @property
    def wanted(self) -> str:
        return f"classes 0 to {self.classes - 1}"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        return (values < 0) | (values >= self.classes)

    def describe(self) -> str:
        return f"{times(self.shape)}, a map of {self.classes} classes"


@part("field", "index")
class Index(Leaf):
    """The place of an element in the list `of`, which has room for `count`; -1 where there is none."""

    of: str = ""
    count: int = 1
    shape = ()

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int64)

    @property
    def wanted(self) -> str:
        return f"a place in {self.of!r}, 0 to {self.count - 1}, or {PADDING} for none"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        return (values < PADDING) | (values >= self.count)

    def describe(self) -> str:
        return f"a place in {self.of}"


def numeric(shape: Sequence[int], levels: int | None) -> Levels | Real:
    """Integers on a grid of so many levels, or real numbers where there is none."""
    shape = tuple(int(side) for side in shape)
    return Real(shape) if levels is None else Levels(shape, levels)


def smallest(count: int) -> np.dtype:
    """The smallest type that holds integers 0..count-1."""
    return np.dtype(np.uint8 if count <= 256 else np.int16)


def times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _check_shape(field: Field, shape: tuple[int, ...]) -> None:
    if not shape or min(shape) < 1 or math.prod(shape) > 1 << 40:
        raise DataError(f"shape {shape} of {type(field).__name__} has sides that are no positive integers")
