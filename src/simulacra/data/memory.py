"""Arrays in memory as a data set: split like a file, but kept where they are."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from simulacra.data.checks import check_values, understood_spec
from simulacra.data.dataset import Card, Dataset, Split
from simulacra.data.source import Batch, Source
from simulacra.data.splits import Fractions, digests, draw
from simulacra.errors import DataError


def from_arrays(
    x: np.ndarray, label: np.ndarray | None = None, *, levels: int | None = None, name: str = "arrays"
) -> Dataset:
    """A data set of items x (N, C, H, W) or (N, D): integers on the grid 0..levels-1 (uint8), or real numbers.

    label: (N,) integers. levels: found from the values when left out. Splits are drawn as for files.
    Raises DataError for another type or shape, for values off the grid, and for too few distinct items to split.
    """
    x = x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else x
    if x.dtype not in (np.uint8, np.float32) or x.ndim not in (2, 4) or not len(x):
        raise DataError(f"x must be uint8 or real, (N, C, H, W) or (N, D), with N >= 1; not {x.dtype} {x.shape}")
    if label is not None and (
        label.shape != (len(x),) or not np.issubdtype(label.dtype, np.integer) or label.min() < 0
    ):
        raise DataError(f"label must hold {len(x)} integers >= 0, not {label.dtype} of shape {label.shape}")
    fields = {} if label is None else {"label": label.astype(np.int64)}
    card = Card("arrays in memory", "given in Python", "that of the arrays")
    source = Source(name, card, len(x), lambda: iter([Batch("train", x, fields)]), levels=levels)
    check_values(source, x, start=0)
    spec = understood_spec(source, x, float(x.max()), fields)
    digest = digests(x)
    order = draw({"train": np.arange(len(x))}, digest, list(fields.values()), Fractions())
    train, valid, test = (
        Split(x[indices], {name: values[indices] for name, values in fields.items()}, part)
        for part, indices in order.items()
    )
    fingerprint = hashlib.sha256(json.dumps([spec.to_json(), len(train), len(valid)], sort_keys=True).encode())
    for split in (train, valid, test):
        fingerprint.update(np.ascontiguousarray(split.x).data)
        fingerprint.update(b"".join(values.tobytes() for values in split.condition.values()))
    distinct = len(np.unique(digest))
    return Dataset(name, spec, train, valid, test, card, fingerprint.hexdigest(), duplicates=len(x) - distinct)
