"""What one named tensor of a data set is: x, and everything that x may be conditioned on.

| field                          | an item's value                              | tensors                                  |
| ------------------------------ | -------------------------------------------- | ---------------------------------------- |
| `ClassLabel(count, names)`     | one of `count` classes; -1: unlabelled       | (N,) int64                               |
| `Levels(shape, levels)`        | integers 0..levels-1 on a grid               | (N, *shape) uint8 (int16 beyond 256)     |
| `Real(shape)`                  | real numbers                                 | (N, *shape) float32                      |
| `LabelMap(classes, shape)`     | a class for each pixel                       | (N, *shape) uint8 (int16 beyond 256)     |
| `Tokens(vocabulary, most)`     | at most `most` tokens, padded with -1        | (N, most) int64                          |
| `Index(of, count)`             | the place of an element of the field `of`    | (N,) int64; -1: none                     |
| `Record(fields)`               | several fields                               | those of each, as `name.field`           |
| `Many(field, most)`            | a list of at most `most` values of a field   | theirs, (N, most, ...); `name.mask` bool |

A field checks and converts what a user gives (`convert`), and arrays of a data set (`check`); it describes itself, and it
is a part, so that JSON and the command line know it too. Arrays are NumPy here: data sets are read without torch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.parts import kind, part

MOST_LEVELS = 1 << 15  # an int16 holds them
PADDING = -1  # in the place of a token, a label or an index that is not there


class Column(NamedTuple):
    """One tensor of a field: the shape of an item's share of it, and its type."""

    shape: tuple[int, ...]
    dtype: np.dtype


@kind("field")
class Field(ABC):
    """Abstract: what an item's value is. `name` is that of the field in its data set, for messages and columns."""

    @abstractmethod
    def columns(self, name: str) -> dict[str, Column]:
        """The tensors in which values are held, by their names."""

    @abstractmethod
    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """What a user gives, checked, as columns with a batch axis; `single`: it is the value of one item.

        Raises UsageError for values of another kind, shape or range.
        """

    @abstractmethod
    def check(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Raise DataError, naming the first wrong item, unless columns (n, ...) hold values of this field."""

    @abstractmethod
    def describe(self) -> str:
        """In a few words."""

    def is_single(self, values: Any) -> bool:
        """Whether a user's values are those of one item, and not one for each of several."""
        return np.ndim(values) == len(next(iter(self.columns("").values())).shape)


class Leaf(Field):
    """Abstract: a field of one tensor, whose values are numbers of one type within a range."""

    shape: tuple[int, ...]

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """Of the tensor."""

    @abstractmethod
    def wrong(self, values: np.ndarray) -> np.ndarray:
        """(n, ...) True where a number is none of this field's."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What values are, for messages."""

    def columns(self, name: str) -> dict[str, Column]:
        return {name: Column(self.shape, self.dtype)}

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        array = as_array(name, values)
        array = array[None] if single else array
        if array.shape[1:] != self.shape:
            raise UsageError(f"{name!r} is {self.wanted} of shape {self.shape}, not of shape {array.shape[1:]}")
        if array.dtype.kind not in ("f" if self.dtype.kind == "f" else "") + "iub":
            raise UsageError(f"{name!r} is {self.wanted}, not {array.dtype}")
        if (wrong := self.wrong(array)).any():
            raise UsageError(f"{name!r} is {self.wanted}: {array[wrong].flat[0]} is none")
        return {name: array.astype(self.dtype)}

    def check(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        array = arrays[name]
        if array.shape[1:] != self.shape or array.dtype != self.dtype:
            raise DataError(
                f"{name}: items are {array.dtype} of shape {array.shape[1:]}, not {self.dtype} of shape {self.shape}"
            )
        if (wrong := self.wrong(array)).any():
            at = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise DataError(f"{name}: the value {array[at]} of item {int(at[0])} is not {self.wanted}")


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
        return {name: np.array([self.index(value) for value in values], np.int64)}

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        wrong = self.wrong(values)
        if wrong.any():
            self.index(int(values[wrong][0]))  # raises, and says which labels there are
        return values.astype(np.int64)

    def is_single(self, values: Any) -> bool:
        return isinstance(values, str) or np.ndim(values) == 0

    def describe(self) -> str:
        return f"{self.count} classes"


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
        return ~np.isfinite(values)

    def describe(self) -> str:
        return f"{times(self.shape)}, continuous"


@part("field", "map")
class LabelMap(Leaf):
    """A class 0..classes-1 for each pixel, (H, W)."""

    classes: int = 2
    shape: tuple[int, ...] = (28, 28)

    def __post_init__(self) -> None:
        _check_shape(self, self.shape)
        if not 2 <= self.classes <= MOST_LEVELS or len(self.shape) != 2:
            raise DataError(f"a label map has 2 to {MOST_LEVELS} classes and a shape (H, W), not {self}")

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


@part("field", "tokens")
class Tokens(Leaf):
    """At most `most` tokens, one after the other, padded with -1.

    Attributes:
        vocabulary: the tokens in the order of their numbers; as words a user may give them in a sentence.
        most: tokens of an item.
    """

    vocabulary: tuple[str, ...] = ("a", "b")
    most: int = 8

    def __post_init__(self) -> None:
        if not self.vocabulary or len(set(self.vocabulary)) < len(self.vocabulary) or self.most < 1:
            raise DataError("tokens need a vocabulary of different words, and room for at least one")

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (self.most,)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int64)

    @property
    def wanted(self) -> str:
        return f"tokens 0 to {len(self.vocabulary) - 1}, padded with {PADDING}"

    def wrong(self, values: np.ndarray) -> np.ndarray:
        """A token beyond the vocabulary, or one behind the padding."""
        padding = values == PADDING
        behind = np.zeros_like(padding)
        behind[:, 1:] = padding[:, :-1] & ~padding[:, 1:]
        return (values < PADDING) | (values >= len(self.vocabulary)) | behind

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """A sentence or a list of words or numbers for each item; or an array that is padded already."""
        if hasattr(values, "ndim") and as_array(name, values).dtype.kind != "U":
            return super().convert(name, values, single)
        listed = [self._numbers(name, each) for each in ([values] if single else values)]
        padded = np.full((len(listed), self.most), PADDING, np.int64)
        for row, numbers in zip(padded, listed, strict=True):
            row[: len(numbers)] = numbers
        return super().convert(name, padded, single=False)

    def _numbers(self, name: str, values: Any) -> list[int]:
        words = values.split() if isinstance(values, str) else list(values)
        if len(words) > self.most:
            raise UsageError(f"{name!r} has at most {self.most} tokens, not {len(words)}")
        for word in words:
            if isinstance(word, str) and word not in self.vocabulary:
                raise UsageError(f"{name!r}: {word!r} is not in the vocabulary.{did_you_mean(word, self.vocabulary)}")
        return [self.vocabulary.index(word) if isinstance(word, str) else int(word) for word in words]

    def is_single(self, values: Any) -> bool:
        if isinstance(values, str):
            return True
        if hasattr(values, "ndim"):
            return values.ndim == 1 and as_array("", values).dtype.kind != "U"
        return not len(values) or isinstance(values[0], Integral) or values[0] in self.vocabulary

    def describe(self) -> str:
        return f"at most {self.most} tokens of {len(self.vocabulary)}"


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


@part("field", "record")
class Record(Field):
    """Several fields together: an object's class and box, say."""

    fields: Mapping[str, Field]

    def __post_init__(self) -> None:
        if not self.fields or any("." in name or name == "mask" for name in self.fields):
            raise DataError("a record has at least one field; their names hold no dot, and none is called mask")

    def columns(self, name: str) -> dict[str, Column]:
        return {
            key: column for own, field in self.fields.items() for key, column in field.columns(f"{name}.{own}").items()
        }

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """A table of values by field, or a list of one such table for each item."""
        if not isinstance(values, Mapping):
            tables = list(values)
            self._check_names(name, tables)
            values = {own: [table[own] for table in tables] for own in self.fields}
        self._check_names(name, [values])
        columns: dict[str, np.ndarray] = {}
        for own, field in self.fields.items():
            columns |= field.convert(f"{name}.{own}", values[own], single)
        return columns

    def _check_names(self, name: str, tables: Sequence[Any]) -> None:
        for table in tables:
            if not isinstance(table, Mapping) or table.keys() != self.fields.keys():
                raise UsageError(f"{name!r} is a table with {', '.join(self.fields)}, not {table!r:.60}")

    def is_single(self, values: Any) -> bool:
        if not isinstance(values, Mapping):
            return False
        return all(field.is_single(values[own]) for own, field in self.fields.items() if own in values)

    def check(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        for own, field in self.fields.items():
            field.check(f"{name}.{own}", arrays)

    def describe(self) -> str:
        return " and ".join(f"{own} ({field.describe()})" for own, field in self.fields.items())


@part("field", "many")
class Many(Field):
    """A list, or a set, of at most `most` values of a field; shorter ones are padded with zeros, and the mask says so.

    Attributes:
        field: of each element.
        most: elements of an item.
    """

    field: Field = ClassLabel()
    most: int = 8

    def __post_init__(self) -> None:
        if self.most < 1 or isinstance(self.field, Many):
            raise DataError("a list has room for at least one element, and its elements are no lists")

    def columns(self, name: str) -> dict[str, Column]:
        own = {
            key: Column((self.most, *column.shape), column.dtype) for key, column in self.field.columns(name).items()
        }
        return {f"{name}.mask": Column((self.most,), np.dtype(bool)), **own}

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """A list of elements for each item; or the columns themselves by their last names, `mask` among them."""
        if isinstance(values, Mapping):
            return self._columns_given(name, values, single)
        items = [list(values)] if single else [list(item) for item in values]
        columns = {
            key: np.zeros((len(items), *column.shape), column.dtype) for key, column in self.columns(name).items()
        }
        for i, elements in enumerate(items):
            if len(elements) > self.most:
                raise UsageError(f"{name!r} has at most {self.most} elements, not {len(elements)}")
            if elements:
                for key, array in self.field.convert(name, elements, single=False).items():
                    columns[key][i, : len(elements)] = array
            columns[f"{name}.mask"][i, : len(elements)] = True
        return columns

    def _columns_given(self, name: str, values: Mapping[str, Any], single: bool) -> dict[str, np.ndarray]:
        wanted = self.columns(name)
        given = {f"{name}.{own}" if own else name: as_array(own, value) for own, value in values.items()}
        if given.keys() != wanted.keys():
            raise UsageError(f"{name!r} has the columns {', '.join(wanted)}, not {', '.join(given)}")
        given = {key: array[None] if single else array for key, array in given.items()}
        for key, column in wanted.items():
            if given[key].shape[1:] != column.shape:
                raise UsageError(f"{key!r} has the shape {column.shape} for each item, not {given[key].shape[1:]}")
        cast = {key: array.astype(wanted[key].dtype) for key, array in given.items()}
        try:
            self.check(name, cast)
        except DataError as error:
            raise UsageError(str(error)) from None
        return cast

    def is_single(self, values: Any) -> bool:
        if isinstance(values, Mapping):
            return np.ndim(values.get("mask")) == 1
        return not len(values) or isinstance(values[0], Mapping | str) or np.ndim(values[0]) == 0

    def check(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        mask = arrays[f"{name}.mask"]
        present = {key: arrays[key][mask] for key in self.field.columns(name)}
        self.field.check(name, present)

    def describe(self) -> str:
        return f"at most {self.most} of {self.field.describe()}"


def numeric(shape: Sequence[int], levels: int | None) -> Levels | Real:
    """Integers on a grid of so many levels, or real numbers where there is none."""
    shape = tuple(int(side) for side in shape)
    return Real(shape) if levels is None else Levels(shape, levels)


def smallest(count: int) -> np.dtype:
    """The smallest type that holds integers 0..count-1."""
    return np.dtype(np.uint8 if count <= 256 else np.int16)


def times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def columns_of(fields: Mapping[str, Field]) -> dict[str, Column]:
    """The tensors of several fields, by name."""
    return {key: column for name, field in fields.items() for key, column in field.columns(name).items()}


def each_leaf(name: str, field: Field) -> Iterator[tuple[str, Leaf]]:
    """The fields of one tensor within a field, by the names of their columns."""
    if isinstance(field, Leaf):
        yield name, field
    elif isinstance(field, Record):
        for own, inner in field.fields.items():
            yield from each_leaf(f"{name}.{own}", inner)
    elif isinstance(field, Many):
        yield from each_leaf(name, field.field)


def as_array(name: str, values: Any) -> np.ndarray:
    """Any array, tensor or nested list as an array; raises UsageError for what is none."""
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else values
    try:
        array = np.asarray(values)
    except ValueError:
        raise UsageError(f"{name!r} is an array of numbers; these rows have different lengths") from None
    if array.dtype.kind == "O":
        raise UsageError(f"{name!r} is an array of numbers, not {type(values).__name__} {values!r:.40}")
    return array


def _check_shape(field: Field, shape: tuple[int, ...]) -> None:
    if not shape or min(shape) < 1 or math.prod(shape) > 1 << 40:
        raise DataError(f"shape {shape} of {type(field).__name__} has sides that are no positive integers")


def describe_all(fields: Mapping[str, Field]) -> str:
    """`, label: 10 classes`: the fields of a condition, behind what x is."""
    return "".join(f", {name}: {field.describe()}" for name, field in fields.items())
