"""What every field knows: its tensors, how it takes what a user gives, and how it checks arrays of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulacra.errors import DataError, UsageError
from simulacra.parts import kind

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
    def check(self, name: str, arrays: Mapping[str, np.ndarray], items: np.ndarray | None = None) -> None:
        """Raise DataError, naming the first wrong item, unless columns (n, ...) hold values of this field.

        items: (n,) numbers of the items that the rows belong to, where a list has several rows of one; else 0..n-1.
        """

    @abstractmethod
    def describe(self) -> str:
        """In a few words."""

    def is_single(self, values: Any) -> bool:
        """Whether a user's values are those of one item, and not one for each of several."""
        return sides(values) == len(next(iter(self.columns("").values())).shape)


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

    def check(self, name: str, arrays: Mapping[str, np.ndarray], items: np.ndarray | None = None) -> None:
        array = arrays[name]
        if array.shape[1:] != self.shape or array.dtype != self.dtype:
            raise DataError(
                f"{name}: items are {array.dtype} of shape {array.shape[1:]}, not {self.dtype} of shape {self.shape}"
            )
        if (wrong := self.wrong(array)).any():
            at = np.unravel_index(int(wrong.argmax()), wrong.shape)
            item = int(at[0]) if items is None else int(items[at[0]])
            raise DataError(f"{name}: the value {array[at]} of item {item} is not {self.wanted}")


def sides(values: Any) -> int | None:
    """The dimensions of an array or of nested lists; None of lists of different lengths."""
    try:
        return np.ndim(values)
    except ValueError:
        return None


def as_list(name: str, values: Any) -> list[Any]:
    """Several values as a list; raises UsageError for what is one."""
    if (isinstance(values, Sequence) and not isinstance(values, str | bytes)) or getattr(values, "ndim", 0):
        return list(values)
    raise UsageError(f"{name!r} has a list of values, not {values!r:.40}")


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


def columns_of(fields: Mapping[str, Field]) -> dict[str, Column]:
    """The tensors of several fields, by name."""
    return {key: column for name, field in fields.items() for key, column in field.columns(name).items()}


def describe_all(fields: Mapping[str, Field]) -> str:
    """`, label: 10 classes`: the fields of a condition, behind what x is."""
    return "".join(f", {name}: {field.describe()}" for name, field in fields.items())
