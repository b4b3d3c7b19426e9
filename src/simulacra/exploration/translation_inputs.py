"""What `translate` translates, read from whatever states it: files, folders, arrays, data.

    a model that draws x given a picture or map c:    (c_1, ..., c_N), and x_1, ..., x_N where these are known
    a model that maps items themselves:               (x_1, ..., x_N)

A condition that is derived of x may be given itself, or as an x of which it is derived: that of another form than the
condition's own is taken for x, and so is every picture file for a mask or parts, since no file states what is unknown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Sampler, Translator, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data import DataSpec, Recipe
from simulacra.data.images import SUFFIXES, Header, read_header
from simulacra.data.loading import names
from simulacra.data.npy import npy_array, npz_array, npz_keys
from simulacra.derived import Derived
from simulacra.errors import NotSupported, UsageError, did_you_mean
from simulacra.exploration.own_pictures import picture_value
from simulacra.feed import as_items, feed
from simulacra.fields import ClassLabel, Field, as_array
from simulacra.model import Model
from simulacra.nn.embed import is_map, plain
from simulacra.nn.pictures import has_holes
from simulacra.randomness import some_of
from simulacra.verbs import DataLike, data_of, is_picture, picture_of

BESIDE = (".csv", ".json", ".jsonl", ".txt")  # a folder of pictures with such files is a data set
Domain = str | int | Mapping[str, Any]
"""A class by name or number; or classes by field, where there are several."""


@dataclass(frozen=True)
class Inputs:
    """N inputs, and all that the model takes beside them.

    shown: (N, ...) values of `field`: of the picture that items are drawn given, or of x where that is mapped itself.
    given: the whole condition of N items: the inputs among it, or the domain that they are mapped to.
    x:     (N, *shape), where items are mapped themselves.
    truth: (N, *shape), the items of which the inputs are, where these are known.
    names: those of the files that they are read from, or none.
    """

    shown: np.ndarray
    field: Field
    given: Condition
    x: Tensor | None = None
    truth: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.shown)


@dataclass(frozen=True)
class Reading:
    """How inputs are read: see `translate`."""

    field: str | None = None
    derive: bool = False
    resize: bool = False
    split: str = "test"
    limit: int | None = None


def inputs_of(
    model: Model,
    source: DataLike,
    to: Domain | None = None,
    condition: ConditionLike | None = None,
    reading: Reading | None = None,
) -> Inputs:
    """What there is to translate; arguments and errors are those of `simulacra.translate`."""
    how = reading or Reading()
    wanted = {**(condition or {}), **domain_of(model, to, condition or {})}
    own = set(wanted) - set(condition or {})
    if isinstance(model, Translator):
        if how.field is not None or how.derive:
            raise UsageError(f"this {model.name} maps items of x themselves: leave out the field and derive")
        return _items(model, source, wanted, own, how)
    need(model, Sampler)
    name = picture_of_condition(model, how.field)
    field = model.spec.condition[name]
    if how.derive and not isinstance(field, Derived):
        raise UsageError(f"{name!r} is {field.describe()}, which is derived of nothing: leave derive out")
    if name in wanted:
        raise UsageError(f"{name!r} is what is translated: leave it out of the condition")
    read = _values(model, source, name, field, how)
    if read is None:
        x, given = _of_data(model, source, wanted, own, how)
        return Inputs(given[name].cpu().numpy(), field, given, truth=x.cpu().numpy())
    values, truth, files = read
    given = _complete(model, {**wanted, name: values}, len(values))
    return Inputs(given[name].cpu().numpy(), field, given, truth=truth, names=files)


def picture_of_condition(model: Model, name: str | None = None) -> str:
    """The field of the condition that is a picture or a map: the only one, or that of the name.

    Raises NotSupported for a model without one, UsageError for another name, or without one for several.
    """
    pictured = [each for each, field in model.spec.condition.items() if is_map(field)]
    if not pictured:
        raise NotSupported(
            f"this {model.name} draws x given no picture; fit pix2pix, srgan or spade, or gated-pixelcnn with "
            "--condition grey or down:factor=2, for that, or cyclegan or stargan, which map items to another domain"
        )
    if name is not None and name not in pictured:
        raise UsageError(f"this {model.name} is given no picture {name!r}.{did_you_mean(name, pictured)}")
    if name is None and len(pictured) > 1:
        raise UsageError(
            f"this {model.name} is given the pictures {' and '.join(map(repr, pictured))}: say which is translated by "
            f"--field {pictured[0]}, and give the others by --given"
        )
    return name or pictured[0]


def domain_of(model: Model, to: Domain | None, condition: ConditionLike) -> dict[str, Any]:
    """`to` by field; raises UsageError where no field has such classes, or several may."""
    if to is None:
        return {}
    classes = {name: own for name, own in model.spec.condition.items() if isinstance(own, ClassLabel)}
    if not isinstance(to, Mapping):
        if not classes:
            raise UsageError(f"this {model.name} is conditioned on no domain: leave {to!r} out")
        having = [name for name, own in classes.items() if to in own.names] if len(classes) > 1 else list(classes)
        every = {each for own in classes.values() for each in own.names}
        if not having and every and isinstance(to, str) and not to.lstrip("-").isdigit():
            raise UsageError(f"there is no class {to!r}.{did_you_mean(to, every)}")
        if len(having) != 1:
            raise UsageError(
                f"{to!r} is no class of {' or '.join(map(repr, classes))} alone: say of which field, "
                f"{next(iter(classes))}={to}"
            )
        to = {having[0]: to}
    for name, value in to.items():
        if name in condition:
            raise UsageError(f"{name!r} is given twice: as the domain, and in the condition")
        if name not in model.spec.condition:
            raise UsageError(f"this {model.name} has no {name!r} to change.{did_you_mean(name, model.spec.condition)}")
        if name in classes:
            classes[name].index(value)  # raises, with the nearest name
    return dict(to)


def _complete(model: Model, values: Mapping[str, Any], n: int) -> Condition:
    """The condition of n items; raises UsageError for a field without a value, and for a value that is none of it."""
    for name, field in model.spec.condition.items():
        if name in values or field.columns(name).keys() <= values.keys():
            continue
        flag = f"--to {field.names[0]}" if isinstance(field, ClassLabel) and field.names else f"--given {name}=..."
        raise UsageError(
            f"this {model.name} is also conditioned on {name!r}, {field.describe()}: give condition={{{name!r}: ...}}, "
            f"{flag} on the command line, or name data whose items have it"
        )
    return model.conditioned(values, n)


def _of_data(
    model: Model, source: DataLike, wanted: Mapping[str, Any], own: set[str], how: Reading
) -> tuple[Tensor, Condition]:
    """Items of a split of data, at most `limit` drawn by seed 0, and their condition, with `own` fields of what is
    wanted in the place of theirs; raises UsageError for other wanted fields that they have themselves."""
    _, height, width = model.spec.shape if model.spec.is_image else (1, 1, 1)
    folder = isinstance(source, str | os.PathLike) and Path(source).expanduser().is_dir() and source not in names()
    data = data_of(model, source, Recipe((height, width)) if how.resize and folder else None)
    split = data.split(how.split)
    fields = {
        name: field
        for name, field in model.spec.condition.items()
        if isinstance(field, Derived) or field.columns(name).keys() <= split.condition.keys()
    }
    if clash := [name for name in wanted if name in fields and name not in own]:
        raise UsageError(f"items of data have their own {' and '.join(clash)}: leave out this one")
    kept = {name: field for name, field in fields.items() if name not in own}
    index = some_of(len(split), how.limit, 0, "items")
    x, given = feed(split, index, DataSpec(model.spec.x, kept), model.device)
    return x, _complete(model, {**given, **wanted}, len(x))


def _items(model: Model, source: DataLike, wanted: Mapping[str, Any], own: set[str], how: Reading) -> Inputs:
    """Items of x that are mapped to another domain."""
    files, arrays = files_of(source, model), _arrays_of(source)
    if files is not None:
        array = np.stack([picture_of(model, path, how.resize) for path in files])
    elif arrays is not None and (found := _of_shape(arrays, "x", model.spec.shape)) is not None:
        array = found
    else:
        x, given = _of_data(model, source, wanted, own, how)
        return Inputs(x.cpu().numpy(), model.spec.x, given if wanted else _other(model, given), x)
    array = array[None] if array.shape == model.spec.shape else array
    x = as_items(array, model.spec, model.device)
    given = _complete(model, wanted, len(x))
    return Inputs(x.cpu().numpy(), model.spec.x, given, x, names=tuple(path.name for path in files or ()))


def _other(model: Model, given: Condition) -> Condition:
    """Of two domains the one that items of data are not of; raises UsageError where there are more."""
    (name, own), *more = model.spec.classes(model.name).items()
    if more or own.count != 2:
        domain = own.names[-1] if own.names else own.count - 1
        wanted = f"{name}={domain}" if more else domain
        raise UsageError(
            f"this {model.name} maps items to classes of {' and '.join(map(repr, model.spec.condition))}: say to "
            f"which, --to {wanted}"
        )
    return Condition({name: 1 - given[name]})


Values = tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]
"""Values of a field, the items of which they are derived where they are, and names of files."""


def _values(model: Model, source: DataLike, name: str, field: Field, how: Reading) -> Values | None:
    """What files or an array hold for a field that is a picture; None of data."""
    if (files := files_of(source, model)) is not None:
        read = [_of_file(model, path, i, name, field, how) for i, path in enumerate(files)]
        items = [x for _, x in read if x is not None]
        truth = np.stack(items) if len(items) == len(read) else None
        return np.stack([values for values, _ in read]), truth, tuple(path.name for path in files)
    arrays = _arrays_of(source)
    shape, own = next(iter(field.columns("").values())).shape, plain(field)
    if arrays is None or ("x" in arrays and name in arrays and name != "x"):
        return None
    array = _of_shape(arrays, name, shape, *([model.spec.shape] if isinstance(field, Derived) else []))
    if array is None:
        return None
    of_x = array.shape[-len(model.spec.shape) :] == model.spec.shape != shape
    if isinstance(field, Derived) and (how.derive or of_x):
        x = as_items(array[None] if array.shape == model.spec.shape else array, model.spec, torch.device("cpu")).numpy()
        return field.by.derive(x, np.arange(len(x)), model.spec.x), x, ()
    return (array[None] if own.is_single(array) else array), None, ()


def _of_file(
    model: Model, path: Path, number: int, name: str, field: Field, how: Reading
) -> tuple[np.ndarray, np.ndarray | None]:
    """The value that the picture file of a number holds, and x where it is derived of that."""
    own, origin = plain(field), model.origin
    if isinstance(field, Derived) and (how.derive or has_holes(field) or not _has_form(path, own)):
        x = picture_of(model, path, how.resize)
        return field.by.derive(x[None], np.array([number]), model.spec.x)[0], x
    alike = next(iter(own.columns("").values())).shape[-2:] == model.spec.shape[-2:]
    sized = origin is not None and origin.recipe.resize is not None and alike
    return picture_value(name, own, path, how.resize, sized, "add --resize to fit it"), None


def _has_form(path: Path, field: Field) -> bool:
    """Whether a picture file has the size and the colours of a field."""
    header, shape = read_header(path), next(iter(field.columns("").values())).shape
    return isinstance(header, Header) and (1 if header.grey else 3, header.height, header.width) == shape


def files_of(source: DataLike, model: Model) -> list[Path] | None:
    """A picture file, or those of a flat folder of pictures in the order of their names; None of anything else.

    A folder that holds folders or tables beside its pictures is a data set, and so is one of pairs side by side where
    the data of the model were such.
    """
    if not isinstance(source, str | os.PathLike) or source in names():
        return None
    path = Path(source).expanduser()
    if is_picture(source):
        return [path]
    if not path.is_dir():
        return None
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    pictures = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]
    described = any(entry.is_dir() or entry.suffix.lower() in BESIDE for entry in entries)
    return pictures if pictures and not described and not _side_by_side(model, pictures) else None


def _side_by_side(model: Model, pictures: Sequence[Path]) -> bool:
    """Whether the data of a model were pairs side by side, and these are all twice as wide as high."""
    if model.origin is None or model.origin.recipe.pairs != "side-by-side":
        return False
    headers = [own for own in map(read_header, pictures) if isinstance(own, Header)]
    return bool(headers) and all(own.width == 2 * own.height for own in headers)


def _arrays_of(source: DataLike) -> dict[str, np.ndarray] | None:
    """The arrays of a file or in memory by name; None of anything else."""
    if isinstance(source, Tensor | np.ndarray):
        return {"": as_array("x", source)}
    if not isinstance(source, str | os.PathLike) or source in names():
        return None
    path = Path(source).expanduser()
    if path.suffix.lower() == ".npy" and path.is_file():
        return {"": npy_array(path, items=False).read()}
    if path.suffix.lower() == ".npz" and path.is_file():
        return {name: npz_array(path, name, items=False).read() for name in npz_keys(path)}
    return None


def _of_shape(arrays: Mapping[str, np.ndarray], name: str, *shapes: Sequence[int]) -> np.ndarray | None:
    """The array of a name, or the only one, if its items have one of the shapes or there is nothing else to say of it.

    None of a file of several others, and of one whose items have another shape: that is a data set.
    """
    array = arrays.get(name, next(iter(arrays.values())) if len(arrays) == 1 else None)
    if array is None or (name not in arrays and "" not in arrays and not _fits(array, shapes)):
        return None
    return array


def _fits(array: np.ndarray, shapes: Sequence[Sequence[int]]) -> bool:
    return any(array.shape in (tuple(shape), (*array.shape[:1], *shape)) for shape in shapes)
