"""Fields of several tensors: a record of fields, and a list of values of a field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simulacra.errors import DataError, UsageError
from simulacra.fields.base import Column, Field, Leaf, as_array, as_list, sides
from simulacra.fields.leaves import ClassLabel
from simulacra.parts import part


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
            tables = as_list(name, values)
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

    def check(self, name: str, arrays: Mapping[str, np.ndarray], items: np.ndarray | None = None) -> None:
        for own, field in self.fields.items():
            field.check(f"{name}.{own}", arrays, items)

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
        if self.most < 1 or _has_list(self.field):
            raise DataError(f"a list has room for at least one element, and its elements hold no lists, not {self}")

    def columns(self, name: str) -> dict[str, Column]:
        own = {
            key: Column((self.most, *column.shape), column.dtype) for key, column in self.field.columns(name).items()
        }
        return {f"{name}.mask": Column((self.most,), np.dtype(bool)), **own}

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """A list of elements for each item; or the columns themselves by their last names, `mask` among them."""
        if isinstance(values, Mapping):
            return self._columns_given(name, values, single)
        listed = as_list(name, values)
        items = [listed] if single else [as_list(name, item) for item in listed]
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
            if len(given[key]) != len(given[f"{name}.mask"]):
                raise UsageError(f"{key!r} has {len(given[key])} items, and the mask {len(given[f'{name}.mask'])}")
        mask = given[f"{name}.mask"].astype(bool)
        columns = {key: np.zeros((len(mask), *column.shape), column.dtype) for key, column in wanted.items()}
        columns[f"{name}.mask"] = mask
        for key, leaf in each_leaf(name, self.field):
            columns[key][mask] = leaf.convert(key, given[key][mask], single=False)[key]
        return columns

    def is_single(self, values: Any) -> bool:
        if isinstance(values, Mapping):
            return "mask" in values and sides(values["mask"]) == 1
        if not isinstance(values, Sequence) and not sides(values):
            return False
        if not len(values):
            return True
        no_element = isinstance(values[0], list | tuple) and not values[0]  # but an item of which there are none
        return not no_element and self.field.is_single(values[0])

    def check(self, name: str, arrays: Mapping[str, np.ndarray], items: np.ndarray | None = None) -> None:
        """What is padding may be anything."""
        mask = arrays[f"{name}.mask"]
        if mask.dtype != bool or mask.shape[1:] != (self.most,):
            raise DataError(
                f"{name}.mask: items are {mask.dtype} of shape {mask.shape[1:]}, not bool of {(self.most,)}"
            )
        for key in self.field.columns(name):
            if arrays[key].shape[:2] != mask.shape:
                raise DataError(f"{key}: {arrays[key].shape} are not the elements of a mask {mask.shape}")
        owner = mask.nonzero()[0]
        present = {key: arrays[key][mask] for key in self.field.columns(name)}
        self.field.check(name, present, owner if items is None else items[owner])

    def describe(self) -> str:
        return f"at most {self.most} of {self.field.describe()}"


def _has_list(field: Field) -> bool:
    inner = field.fields.values() if isinstance(field, Record) else ()
    return isinstance(field, Many) or any(map(_has_list, inner))


def each_leaf(name: str, field: Field) -> Iterator[tuple[str, Leaf]]:
    """The fields of one tensor within a field, by the names of their columns."""
    if isinstance(field, Leaf):
        yield name, field
    elif isinstance(field, Record):
        for own, inner in field.fields.items():
            yield from each_leaf(f"{name}.{own}", inner)
    elif isinstance(field, Many):
        yield from each_leaf(name, field.field)
