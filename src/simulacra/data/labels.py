"""Labels from outside: one integer 0, 1, 2, ... an item, or a message that says which one is not."""

from __future__ import annotations

import numpy as np

from simulacra.errors import DataError

MAX_CLASSES = 1 << 16


def check_shape(shape: tuple[int, ...], count: int, where: object) -> None:
    """Raise DataError unless this is the shape of `count` labels."""
    if shape not in ((count,), (count, 1)):
        raise DataError(f"{where}: {_labels(shape)} for {count:,} items; one integer each is needed")


def _labels(shape: tuple[int, ...]) -> str:
    return f"{shape[0]:,} labels" if len(shape) == 1 else f"labels of shape {shape}"


def as_labels(values: np.ndarray, count: int, where: object) -> np.ndarray:
    """`count` integers, (N,) or (N, 1) -> (N,) int64; raises DataError naming the first that is no class."""
    check_shape(values.shape, count, where)
    if values.dtype.kind not in "iu":
        raise DataError(f"{where}: labels are {values.dtype}; they must be integers 0, 1, 2, ...")
    values = values.reshape(count)
    wrong = (values < 0) | (values >= MAX_CLASSES)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(f"{where}: label {values[at]} at index {at} is no class: labels are 0 to {MAX_CLASSES - 1:,}")
    return values.astype(np.int64)
