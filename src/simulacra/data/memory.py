"""Arrays in memory as a data set: split like a file, but kept where they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from simulacra.data.checks import check_values, understood_spec
from simulacra.data.dataset import Card, Dataset, Split
from simulacra.data.recipe import Recipe
from simulacra.data.source import Batch, Source
from simulacra.data.splits import Fractions, digests, draw, sort_key, undivided
from simulacra.data.values import as_field
from simulacra.data.vocabulary import numbered, refitted
from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.fields import Field, as_array


def from_arrays(
    x: np.ndarray,
    label: np.ndarray | None = None,
    *,
    fields: Mapping[str, Any] | None = None,
    kinds: Mapping[str, Field] | None = None,
    levels: int | None = None,
    name: str = "arrays",
    whole: bool = False,
) -> Dataset:
    """A data set of items x: integers on the grid 0..levels-1 (uint8), or real numbers.

    Args:
        x: (N, C, H, W) images, (N, D) vectors, or real (N, T, D) series.
        label: (N,) integers.
        fields: values of other fields, by name, one for each item: arrays, texts, whose vocabulary is that of the
            training items, or what the `kinds` convert.
        kinds: what a field is, such as Tokens(("red", "blue"), most=4); found from its values where it is left out.
        levels: found from the values where it is left out.
        name: of the data set.
        whole: whether all items are test items, in their order, of which there may be as few as one: to be looked at
            and not learnt from.

    Splits are drawn as for files. Raises DataError for another type or shape, for values off the grid or none of a
    field's, and for too few distinct items to split.
    """
    recipe = Recipe(levels=levels)
    x = x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x
    if x.dtype not in (np.uint8, np.float32) or x.ndim < 2 or not len(x):
        raise DataError(f"x must be uint8 or real, (N, C, H, W) or (N, D), with N >= 1; not {x.dtype} {x.shape}")
    learned = {name: numbered(name, texts) for name, texts in texts_among(fields or {}, kinds or {}).items()}
    kinds = {**(kinds or {}), **{name: field for name, (field, _) in learned.items()}}
    fields = {**(fields or {}), **{name: tokens for name, (_, tokens) in learned.items()}}
    columns = columns_of_arrays(label, fields, kinds, len(x))
    card = Card("arrays in memory", "given in Python", "that of the arrays")
    source = Source(name, card, len(x), lambda: iter([Batch("train", x, columns)]), levels=levels, fields=kinds)
    check_values(source, x, start=0)
    spec = understood_spec(source, x, float(x.max()), columns)
    digest = digests(x)
    keys = [sort_key(np.ascontiguousarray(values)) for values in columns.values()]
    parts = {"train": np.arange(len(x))}
    order = undivided(parts) if whole else draw(parts, digest, keys, Fractions())
    refit = refitted(spec, list(learned), columns, order)
    spec, all_words = refit.spec, {key: columns[key] for key in refit.all_words}
    columns |= {key: change(columns[key]) for key, change in refit.changes.items()}
    columns = {name: columns[name].astype(column.dtype, copy=False) for name, column in spec.columns.items()}
    train, valid, test = (
        Split(
            x[indices],
            {name: values[indices] for name, values in columns.items()},
            part,
            {name: values[indices] for name, values in all_words.items()},
        )
        for part, indices in order.items()
    )
    fingerprint = hashlib.sha256(json.dumps([spec.to_json(), len(train), len(valid)], sort_keys=True).encode())
    for split in (train, valid, test):
        fingerprint.update(np.ascontiguousarray(split.x).data)
        fingerprint.update(b"".join(values.tobytes() for values in split.condition.values()))
    return Dataset(
        name=name,
        spec=spec,
        train=train,
        valid=valid,
        test=test,
        card=card,
        fingerprint=fingerprint.hexdigest(),
        duplicates=len(x) - len(np.unique(digest)),
        recipe=recipe,
        levels_found=levels is None,
        order=np.concatenate(list(order.values())),
        altered=refit.altered,
        all_words=refit.all_words,
    )


def texts_among(fields: Mapping[str, Any], kinds: Mapping[str, Field]) -> dict[str, list[str]]:
    """The fields of which no kind is stated, and whose values are all text."""
    found: dict[str, list[str]] = {}
    for name, values in fields.items():
        array = getattr(values, "dtype", None) is not None and values.dtype.kind == "U" and values.ndim == 1
        listed = isinstance(values, list | tuple) and values and all(isinstance(each, str) for each in values)
        if name not in kinds and (array or listed):
            found[name] = [str(each) for each in values]
    return found


def columns_of_arrays(
    label: np.ndarray | None, fields: Mapping[str, Any], kinds: Mapping[str, Field], n: int
) -> dict[str, np.ndarray]:
    """The columns of the labels and all other fields of n items, in the types in which they are held."""
    return _labels(label, n) | _columns(fields, kinds, n)


def _labels(label: np.ndarray | None, n: int) -> dict[str, np.ndarray]:
    if label is None:
        return {}
    if label.shape != (n,) or not np.issubdtype(label.dtype, np.integer) or label.min() < 0:
        raise DataError(f"label must hold {n} integers >= 0, not {label.dtype} of shape {label.shape}")
    return {"label": label.astype(np.int64)}


def _columns(fields: Mapping[str, Any], kinds: Mapping[str, Field], n: int) -> dict[str, np.ndarray]:
    """The columns of all fields, in the types in which they are held."""
    for name in kinds:
        if name not in fields and name != "label":
            raise UsageError(f"kinds says what {name!r} is, and there is no such field.{did_you_mean(name, fields)}")
    columns: dict[str, np.ndarray] = {}
    for name, values in fields.items():
        try:
            if name in kinds:
                columns |= kinds[name].convert(name, values, single=False)
            else:
                columns[name] = as_field(as_array(name, values), name)
        except UsageError as error:
            raise DataError(str(error)) from None
    for name, values in columns.items():
        if len(values) != n:
            raise DataError(f"{name!r} has {len(values)} values for {n} items")
    return columns
