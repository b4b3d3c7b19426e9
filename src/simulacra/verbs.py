"""What every verb takes, read in one place: a model, data, items, and plain numbers.

    model    a model, a run folder or its `model/` folder
    data     a name, a path, an array, a sequence of items (a torch `Dataset`), a loaded data set; or nothing: the data
             that the run was fitted on
    items    an array, a tensor or a sequence, all of which is meant; or data, of which a split is

Whatever a path holds is read by the recipe of the model: pairs, resize, levels, target, domains.
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
from simulacra.data.folder import MixedImages
from simulacra.data.foreign import in_the_words_of
from simulacra.data.images import SUFFIXES, read_pixels
from simulacra.data.loading import is_series, names, read, resizable
from simulacra.data.maps import map_of
from simulacra.data.memory import from_arrays
from simulacra.data.sequence import split_of
from simulacra.data.splits import TooFew
from simulacra.errors import DataError, UsageError
from simulacra.feed import as_items, feed
from simulacra.fields import Classes, LabelMap, Levels
from simulacra.model import Model, ModelLike, as_model
from simulacra.randomness import some_of
from simulacra.terminal import printable

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


def data_of(
    model: Model,
    data: DataLike | None = None,
    recipe: Recipe | None = None,
    whole: bool = False,
    condition: ConditionLike | None = None,
) -> Dataset:
    """Data for a model, read by the recipe of those that it was fitted on; without any, those data again.

    A single picture, and what files hold that is too little for three splits, are test items all of them.

    recipe: steps that go before those of the model.
    whole: whether the items of an array or sequence are not split, but test items all of them.
    condition: of all items, of fields that the data do not have.

    Raises UsageError for data of another shape or grid, and where no data are named and those of the model cannot be
    read again, or have changed since.
    """
    origin, own = getattr(model, "origin", None), recipe or Recipe()
    steps = own if origin is None else own.over(origin.recipe)
    if data is None:
        found = _read_again(model, origin, steps, changed=own != Recipe())
    elif isinstance(data, str | os.PathLike) and is_picture(data):
        found = _single(model, Path(data).expanduser(), own)
    elif isinstance(data, str | os.PathLike):
        try:
            found = _read_few_or_many(data, steps, own)
        except MixedImages as error:
            raise DataError(f"{error.mixed}\nThe model is for {_size_of(model.spec)}.") from None
    else:
        found = as_dataset(data, whole)
    if steps.target is not None and found.recipe.target is None and steps.target in found.spec.condition:
        found = found.target(steps.target) if found.spec.x != model.spec.x else found
    if steps.domains is not None and found.recipe.domains is None:
        known = {"x", *found.spec.condition}
        found = found.domains(*steps.domains) if known.issuperset(steps.domains) else found
    if _is_folder(data) and steps.levels is None and not _of_pictures(model):
        found = _in_brightness(model.spec, found)
    found = _on_the_grid_of(model.spec, found)
    model.spec.expect(found.spec, found.name, resizable=_is_folder(data) or resizable(data))
    return _under(model, in_the_words_of(model.spec, found), condition)


def _read_few_or_many(source: str | os.PathLike[str], steps: Recipe, own: Recipe) -> Dataset:
    """Data with their splits, or where they are too few, whole."""
    try:
        return _read(source, steps, own)
    except TooFew:
        return _read(source, steps, own, whole=True)


def is_picture(source: DataLike | None) -> bool:
    """Whether it is the path of one picture, and no named set."""
    if not isinstance(source, str | os.PathLike) or (isinstance(source, str) and source in names()):
        return False
    return Path(source).suffix.lower() in SUFFIXES and not os.path.isdir(os.path.expanduser(source))


def _single(model: Model, path: Path, own: Recipe) -> Dataset:
    """One picture as data; raises UsageError where it is, or is to be brought to, another size than the model's."""
    size = model.spec.shape[1:] if model.spec.is_image else None
    if own.resize is not None and own.resize != size:
        wanted = "×".join(map(str, own.resize))
        raise UsageError(f"a picture of {wanted} is none for this {model.name}, which is for {_size_of(model.spec)}")
    side = f" {size[0]}" if size is not None and size[0] == size[1] else " in `simulacra edit`"
    x = picture_of(model, path, own.resize is not None, side)[None]
    return from_arrays(x, levels=model.spec.levels, name=printable(path.name), whole=True)


def _under(model: Model, data: Dataset, condition: ConditionLike | None) -> Dataset:
    """Data with a condition for all items.

    Raises UsageError for a field that they have themselves, and for a single picture without what the model needs.
    """
    if not condition:
        return data
    if own := [name for name in condition if name in data.spec.condition]:
        raise UsageError(f"items of data have their own {' and '.join(own)}: leave out this one, or give arrays")
    given = {name: values.cpu().numpy() for name, values in model.conditioned(condition, 1).items()}

    def extended(split: Split) -> Split:
        return replace(split, condition=split.condition | {k: v.repeat(len(split), axis=0) for k, v in given.items()})

    spec = replace(data.spec, condition={**data.spec.condition, **model.spec.condition})
    return replace(data, spec=spec, **{split.name: extended(split) for split in data.splits})


def _size_of(spec: DataSpec) -> str:
    """What a model is for, and where that are pictures, how a folder of them is brought to their size."""
    return f"{spec.x.describe()}: {spec.resizing()}" if spec.is_image else spec.x.describe()


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


def _read(source: str | os.PathLike[str], steps: Recipe, own: Recipe, whole: bool = False) -> Dataset:
    """A named set or a path; what the recipe of a model says of folders of images or of its grid, and has no meaning
    for the source, is left out."""
    named = isinstance(source, str) and source in names()
    resize = steps.resize if _is_folder(source) or resizable(source) else own.resize
    pairs = steps.pairs if _is_folder(source) else own.pairs
    series = own if named else steps if is_series(source) else Recipe()
    again = Recipe(resize, own.levels if named else steps.levels, None, pairs, None, series.window, series.entity)
    return read(source, again, whole)


def _is_folder(source: DataLike | None) -> bool:
    """Whether it is the path of a folder, and no named set."""
    named = isinstance(source, str) and source in names()
    return not named and isinstance(source, str | os.PathLike) and os.path.isdir(os.path.expanduser(source))


def picture_of(model: Model, path: Path, resize: bool = False, side: str = "") -> np.ndarray:
    """A picture of one's own as an item (C, H, W) for a model, read by the recipe of the data that it was fitted on.

    Where these were resized so is it: shorter side to fit, centre crop. Where they were a folder of pictures its values
    are levels as they are, as far as they are none beyond; otherwise, and of a picture that has larger ones, the
    brightness 0..255 is brought to the model's levels. A map of classes holds them, in grey or by a palette.

    resize: bring it to size and colours, whatever the recipe says.
    side: what follows after --resize in a message.

    Raises UsageError for a model of something else than pictures, for a file that is not there and, where it is not
    resized, for one of another size or colours; DataError for a file that cannot be read.
    """
    recipe, spec = Recipe() if model.origin is None else model.origin.recipe, model.spec
    sized = recipe.resize is not None
    mend = f"add --resize{side} to {'bring it to the colours of the model' if sized else 'fit it'}"
    if isinstance(spec.x, Classes):
        return map_of(path, LabelMap(spec.grid_levels, spec.shape[1:]), resize or sized, mend)[None]
    pixels = read_pixels(path, spec, resize, mend, fit=sized)
    if _of_pictures(model) and int(pixels.max()) < spec.grid_levels:
        return pixels
    return _brought_to(spec.grid_levels, pixels)


def _of_pictures(model: Model) -> bool:
    """Whether a model was fitted on a folder of pictures, whose values are its levels as they are."""
    origin = model.origin
    return origin is not None and (origin.recipe.resize is not None or _is_folder(origin.source or None))


def _brought_to(levels: int, pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels * np.float32((levels - 1) / 255)).astype(np.uint8)


def _in_brightness(spec: DataSpec, data: Dataset) -> Dataset:
    """Pictures of the shape of a model's items on its levels, as `picture_of` brings one to them."""
    own, found = spec.x, data.spec.x
    if not (isinstance(own, Levels) and isinstance(found, Levels) and own.shape == found.shape) or own.levels == 256:
        return data
    splits = {split.name: replace(split, x=_brought_to(own.levels, split.x)) for split in data.splits}
    return replace(data, spec=replace(data.spec, x=own), levels_found=False, **splits)


def _on_the_grid_of(spec: DataSpec, data: Dataset) -> Dataset:
    """Values whose grid was found and not stated are on that of the model, where they fit on it."""
    own, found = spec.x, data.spec.x
    if not (isinstance(own, Levels) and isinstance(found, Levels) and data.levels_found) or own == found:
        return data
    with contextlib.suppress(UsageError):  # then the data are refused with what both are
        return data.on_levels(own.levels)
    return data


def split_meant(data: DataLike | None, split: str | None) -> str:
    """The split that a verb looks at where none is named: all of an array or list, the test items of data."""
    return split or ("all" if isinstance(data, np.ndarray | Tensor | list | tuple) else "test")


def looked_at(
    model: Model, data: DataLike | None, split: str | None, condition: ConditionLike | None = None
) -> tuple[str, Split]:
    """The name of data for a model, and those of its items that a verb looks at: a split, or where none is named what
    `split_meant` says. "all" items of an array or sequence are not split, so that one of them will do. The condition is
    that of items that have none of the model's.

    Raises UsageError as `data_of` does, and for a split that does not exist.
    """
    meant = split_meant(data, split)
    found = data_of(model, data, whole=meant == "all", condition=condition)
    return found.name, found.split(meant)


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
    given where they have none; or those of a split of data, in the same way. At most `limit` of them, drawn by the
    seed.

    Raises UsageError as `as_items` and `data_of` do, and for a condition beside items that have their own.
    """
    sequence = not isinstance(x, Tensor | np.ndarray | Dataset | str | os.PathLike | Mapping)
    if x is not None and sequence and hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        own = split_of(x, model.spec.condition)
        if own.condition and not condition:
            return feed(own, some_of(len(own), limit, seed, "items"), model.spec, model.device)
        x = own.x
    if isinstance(x, Tensor | np.ndarray):
        x = as_items(x, model.spec, model.device)
        some = torch.from_numpy(some_of(len(x), limit, seed, "items")).to(model.device)
        return x[some], model.conditioned(condition, len(x)).rows(some)
    _, own = looked_at(model, x, split, condition)
    return feed(own, some_of(len(own), limit, seed, "items"), model.spec, model.device)
