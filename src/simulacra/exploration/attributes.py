"""Attribute vectors: the way from items without an attribute to items with it, in the space of codes.

    v = mean z(with) - mean z(without)

Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", section 4. Where the groups are
classes each class has the same weight, so that frequent ones do not decide what the others look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simulacra.data import ClassLabel, DataSpec, Split
from simulacra.data.npy import npz_array, npz_keys
from simulacra.data.source import reading
from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.exploration.codes import mean_codes
from simulacra.exploration.inversion import Inversion, need_codes, refuse_whole, say
from simulacra.model import Model, ModelLike, as_model
from simulacra.randomness import some_of
from simulacra.verbs import DataLike, subject, verb
from simulacra.weights import digest

MOST = 10_000  # items of either group that are encoded


@verb
def attribute(
    model: ModelLike,
    items_with: Split | np.ndarray,
    items_without: Split | np.ndarray,
    *,
    limit: int | None = None,
    space: str = "z",
) -> np.ndarray:
    """The mean code of some items minus that of others, of the shape of a code.

    Args:
        model: a model with an encoder or one that inverts, or its run folder.
        items_with: (N, *shape) on the data grid; a `Split` where the model is conditional and needs their labels. Of
            more than 10,000 so many are drawn by a constant seed and encoded.
        items_without: the same of other items.
        limit: at most so many of either group, in the place of 10,000.
        space: in which codes are searched for: "z", or of a generator with styles "w" or "w+"; see `invert`.

    Raises:
        NotSupported: the model has no codes of items.
        UsageError: an empty group, items of another shape or grid, a search for the codes of a split without a limit.
    """
    model, found = as_model(model), []
    need_codes(model, space)
    for items in (items_with, items_without):
        refuse_whole(model, items, limit)
    most = MOST if limit is None else limit
    one, other = (_mean_code(model, items, most, found, space) for items in (items_with, items_without))
    say(model, found)
    return one - other


@verb
def attribute_of_classes(
    model: ModelLike,
    data: DataLike | None,
    present: Sequence[str],
    absent: Sequence[str] = (),
    split: str = "train",
    limit: int | None = None,
    space: str = "z",
) -> np.ndarray:
    """The attribute vector from some classes of a field to others, by default to all other classes of this field.

    Args:
        model: a model with an encoder or one that inverts, or its run folder.
        data: with labels.
        present: classes by number or name, `FIELD:CLASS` where several fields have one of this name.
        absent: classes of the same field.
        split: whose items are encoded, at most 10,000 of either group, the same number of each class.
        limit: at most so many of either group, in the place of 10,000; a search for codes needs it.
        space: as of `attribute`.

    Raises:
        NotSupported: the model has no codes of items.
        UsageError: a class that does not exist or has no items, classes of several fields, one that is in both groups,
            a search for codes without a limit.
    """
    model, found = as_model(model), []
    need_codes(model, space)
    refuse_whole(model, data, limit)
    model, data = subject(model, data)
    items = data.split(split)
    field, ones = _classes(data.spec, present)
    other_field, others = _classes(data.spec, absent) if absent else (field, _all_but(data.spec, field, ones))
    if other_field != field or set(ones) & set(others):
        raise UsageError("the two groups are different classes of one field, such as --with 3 --without 5")
    most = MOST if limit is None else limit
    one, other = (_mean_of_classes(model, items, field, group, most, found, space) for group in (ones, others))
    say(model, found)
    return one - other


def _mean_of_classes(
    model: Model, split: Split, field: str, classes: Sequence[int], limit: int, found: list[Inversion], space: str
) -> np.ndarray:
    """The mean over classes of the mean code of each."""
    means = []
    for each in classes:
        of_class = np.flatnonzero(split.condition[field] == each)
        most = max(1, limit // len(classes))
        chosen = of_class[some_of(len(of_class), most, "attribute", each)]
        if not len(chosen):
            raise UsageError(f"class {each} of field {field!r} has no items in the {split.name} split")
        means.append(_mean_code(model, split.rows(chosen), most, found, space))
    return np.mean(means, axis=0)


def _mean_code(model: Model, items: Split | np.ndarray, most: int, found: list[Inversion], space: str) -> np.ndarray:
    split = items if isinstance(items, Split) else Split(items, {}, "given")
    if not len(split):
        raise UsageError("an attribute needs items with it and items without it; one of these groups is empty")
    index = some_of(len(split), most, "attribute")
    total = sum(codes.sum(axis=0, dtype=np.float64) for codes in mean_codes(model, split, index, found, space))
    return np.asarray(total / len(index), np.float32)


def _classes(spec: DataSpec, names: Sequence[str]) -> tuple[str, list[int]]:
    """The field of some classes, and their numbers."""
    if not names:
        raise UsageError("an attribute needs the classes that have it, such as --with 3")
    found = [class_called(spec, name) for name in names]
    fields = {field for field, _ in found}
    if len(fields) > 1:
        raise UsageError(f"{', '.join(names)} are classes of several fields: {', '.join(sorted(fields))}")
    return fields.pop(), sorted({number for _, number in found})


def _all_but(spec: DataSpec, field: str, classes: Sequence[int]) -> list[int]:
    others = sorted(set(range(_labels(spec)[field].count)) - set(classes))
    if not others:
        raise UsageError(f"these are all classes of {field!r}: nothing is left without the attribute")
    return others


def class_called(spec: DataSpec, name: str) -> tuple[str, int]:
    """The field and number of a class given by name or number, `FIELD:CLASS` where that is not unique."""
    labels = _labels(spec)
    field, colon, own = name.partition(":")
    candidates = {field: own} if colon and field in labels else dict.fromkeys(labels, name)
    numbers = {field: _number(labels[field], own) for field, own in candidates.items()}
    found = [(field, number) for field, number in numbers.items() if number is not None]
    if not found:
        known = [each for label in labels.values() for each in label.names or map(str, range(label.count))]
        raise UsageError(
            f"there is no class {name!r}.{did_you_mean(name, known) if known else ' There are no labels.'}"
        )
    if len(found) > 1:
        spelt = " or ".join(f"{field}:{name}" for field, _ in found)
        raise UsageError(f"several fields have a class {name!r}: say {spelt}")
    return found[0]


def _labels(spec: DataSpec) -> dict[str, ClassLabel]:
    return {name: field for name, field in spec.condition.items() if isinstance(field, ClassLabel)}


def _number(label: ClassLabel, name: str) -> int | None:
    """The class of this name or number, if there is one."""
    try:
        return label.index(name)
    except UsageError:
        return None


def stored(vector: np.ndarray, model: Model) -> dict[str, np.ndarray]:
    """An attribute as arrays for a file, with the weights that it belongs to: other weights have other codes."""
    return {"vector": vector, "weights": np.array(digest(model.state_dict()))}


def read_attribute(path: Path, model: Model) -> np.ndarray:
    """The attribute vector in a file; raises DataError for another file, UsageError for that of another model."""
    if set(npz_keys(path)) != {"vector", "weights"}:
        raise DataError(f"{path} holds no attribute; `simulacra attribute` writes such files")
    vector, weights = npz_array(path, "vector"), npz_array(path, "weights", items=False)
    if vector.dtype.kind != "f" or weights.dtype.kind != "U" or weights.shape:
        raise DataError(f"{path} holds no attribute; `simulacra attribute` writes such files")
    with reading(path):
        if str(weights.read()) != digest(model.state_dict()):
            raise UsageError(f"{path} was made with another model, or before this one was trained on: make it again")
        return vector.read()
