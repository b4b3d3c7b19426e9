"""What every verb takes, read in one place: a model, data, items, and plain numbers.

    model    a model, a run folder or its `model/` folder
    data     a name, a path, an array, a sequence of items (a torch `Dataset`), a loaded data set; or nothing: the data
             that the run was fitted on
    items    an array, a tensor or a sequence, all of which is meant; or data, of which a split is

Whatever a path holds is read by the recipe of the model: resize, levels, target.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.data import Dataset, DataSpec, Origin, Recipe, Split, as_dataset
from simulacra.data.loading import names, read
from simulacra.data.sequence import split_of
from simulacra.errors import UsageError
from simulacra.feed import as_items, feed
from simulacra.fields import ClassLabel, Levels
from simulacra.model import Model, ModelLike, as_model
from simulacra.randomness import some_of

P = ParamSpec("P")
R = TypeVar("R")
DataLike = Any
"""A `Dataset`, a name or path, an array or tensor, or anything with `__len__` and `__getitem__`."""
ItemsLike = Any
"""An array or tensor (N, *shape) on the grid, or a `DataLike` whose items are meant."""


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: a call with something else than its numbers, words, seeds and conditions is a UsageError."""
    signature = inspect.signature(function)
    checks = {
        name: check
        for name, own in signature.parameters.items()
        if (check := _condition if name == "condition" else _PLAIN.get(str(own.annotation).removesuffix(" | None")))
    }
    optional = {name for name, own in signature.parameters.items() if "None" in str(own.annotation)}

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        for name, check in checks.items():
            if name in given.arguments and not (name in optional and given.arguments[name] is None):
                given.arguments[name] = check(name, given.arguments[name])
        return function(*given.args, **given.kwargs)

    return called


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise UsageError(f"{name} is a whole number, not {value!r:.40}")
    return int(value)


def _real(name: str, value: Any) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise UsageError(f"{name} is a number, not {value!r:.40}")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} is a word, not {value!r:.40}")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise UsageError(f"{name} is True or False, not {value!r:.40}")
    return bool(value)


def _condition(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"a condition gives values by field, such as {{'label': 3}}, and is no {type(value).__name__}")
    return value


_PLAIN: dict[str, Callable[[str, Any], Any]] = {"int": _integer, "float": _real, "str": _text, "bool": _truth}


def subject(model: ModelLike, data: DataLike | None = None) -> tuple[Model, Dataset]:
    """The model, and the data that it is looked at on; errors are those of `as_model` and `data_of`."""
    model = as_model(model)
    return model, data_of(model, data)


def data_of(model: Model, data: DataLike | None = None, recipe: Recipe | None = None) -> Dataset:
    """Data for a model, read by the recipe of those that it was fitted on; without any, those data again.

    recipe: steps that go before those of the model.

    Raises UsageError for data of another shape or grid, and where no data are named and those of the model cannot be
    read again, or have changed since.
    """
    origin, own = getattr(model, "origin", None), recipe or Recipe()
    steps = own if origin is None else own.over(origin.recipe)
    if data is None:
        found = _read_again(model, origin, steps, changed=own != Recipe())
    elif isinstance(data, str | os.PathLike):
        found = _read(data, steps, own)
    else:
        found = as_dataset(data)
    if steps.target is not None and found.recipe.target is None and steps.target in found.spec.condition:
        found = found.target(steps.target) if found.spec.x != model.spec.x else found
    found = _on_the_grid_of(model.spec, found)
    model.spec.expect(found.spec, found.name)
    return _with_classes_of(model.spec, found)


def _read_again(model: Model, origin: Origin | None, steps: Recipe, changed: bool) -> Dataset:
    """The data that a model was fitted on."""
    if origin is None or not origin.source:
        lie = "" if origin is None else f" where {origin.name}, on which it was fitted, lies"
        raise UsageError(f"this {model.name} does not say{lie or ' on what it was fitted'}: name the data")
    found = read(origin.source, steps)
    if not changed and found.fingerprint != origin.fingerprint:
        raise UsageError(
            f"{origin.source} has changed since this {model.name} was fitted on it, so what was held out may not be: "
            "name the data, to take them as they are now"
        )
    return found


def _read(source: str | os.PathLike[str], steps: Recipe, own: Recipe) -> Dataset:
    """A named set or a path; what the recipe of a model says of folders of images or of its grid, and has no meaning
    for the source, is left out."""
    named = isinstance(source, str) and source in names()
    folder = not named and Path(source).expanduser().is_dir()
    resize = steps.resize if folder else own.resize
    return read(source, Recipe(resize, own.levels if named else steps.levels, None))


def _on_the_grid_of(spec: DataSpec, data: Dataset) -> Dataset:
    """Values whose grid was found and not stated are on that of the model, where they fit on it."""
    own, found = spec.x, data.spec.x
    if not (isinstance(own, Levels) and isinstance(found, Levels) and data.levels_found) or own == found:
        return data
    with contextlib.suppress(UsageError):  # then the data are refused with what both are
        return data.on_levels(own.levels)
    return data


def _with_classes_of(spec: DataSpec, data: Dataset) -> Dataset:
    """Labels by the names of their classes: those of another folder are numbered as the model has them.

    Raises UsageError for a class that the model does not know.
    """
    for name, own in spec.condition.items():
        there = data.spec.condition.get(name)
        if not isinstance(own, ClassLabel) or not isinstance(there, ClassLabel):
            continue
        if own.names and there.names and own.names != there.names:
            data = _renumbered(data, name, own, there)
    return data


def _renumbered(data: Dataset, name: str, own: ClassLabel, there: ClassLabel) -> Dataset:
    if unknown := [each for each in there.names if each not in own.names]:
        known = ", ".join(own.names[:8])
        raise UsageError(f"{data.name} has the class {unknown[0]!r} of {name!r}, and the model knows {known}")
    table = np.array([*(own.names.index(each) for each in there.names), -1])  # the last: a label that is hidden

    def renumber(split: Split) -> Split:
        return replace(split, condition=split.condition | {name: table[split.condition[name]]})

    parts = {split.name: renumber(split) for split in data.splits}
    return replace(data, spec=replace(data.spec, condition={**data.spec.condition, name: own}), **parts)


def split_meant(data: DataLike | None, split: str | None) -> str:
    """The split that a verb looks at where none is named: all of an array or list, the test items of data."""
    return split or ("all" if isinstance(data, np.ndarray | Tensor | list | tuple) else "test")


def split_for(model: Model, data: DataLike | None, split: str) -> Split:
    """A split of data for a model; raises UsageError as `data_of` does, and for a split that does not exist."""
    return data_of(model, data).split(split)


def items_for(
    model: Model,
    x: ItemsLike | None,
    condition: ConditionLike | None = None,
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
) -> tuple[Tensor, Condition]:
    """Items (N, *shape) on the device with their condition.

    All of an array or tensor, under the condition that is given; all of a sequence, under their own, or that which is
    given where they have none; or those of a split of data, under their own. At most `limit` of them, drawn by the
    seed.

    Raises UsageError as `as_items` and `data_of` do, and for a condition beside items that have their own.
    """
    sequence = not isinstance(x, Tensor | np.ndarray | Dataset | str | os.PathLike | Mapping)
    if x is not None and sequence and hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        own = split_of(x)
        if own.condition and not condition:
            return feed(own, some_of(len(own), limit, seed, "items"), model.spec, model.device)
        x = own.x
    if isinstance(x, Tensor | np.ndarray):
        x = as_items(x, model.spec, model.device)
        some = torch.from_numpy(some_of(len(x), limit, seed, "items")).to(model.device)
        return x[some], model.conditioned(condition, len(x)).rows(some)
    if condition:
        raise UsageError(f"items of data have their own {' and '.join(condition)}: leave out this one, or give arrays")
    own = split_for(model, x, split)
    return feed(own, some_of(len(own), limit, seed, "items"), model.spec, model.device)
