"""Arrays from outside as items and fields: images with their channels first, labels, maps of classes, real numbers."""

from __future__ import annotations

import numpy as np

from simulacra.data.labels import as_labels
from simulacra.errors import DataError
from simulacra.fields import MOST_LEVELS

MOST_CHANNELS = 4


def item_shape(shape: tuple[int, ...], dtype: np.dtype, where: object) -> tuple[int, ...]:
    """Of an array (N, ...) the shape of an item: (C, H, W), a clip (T, C, H, W), (D,), or (T, D) of real numbers.

    Raises DataError for a shape or type that is none of these.
    """
    kind, own = dtype.kind, shape[1:]
    if kind not in "fbiu":
        raise DataError(f"{where} holds {dtype}; bool, uint8 or real numbers are read")
    if len(own) == 1:
        return own
    if len(own) == 2:
        return own if kind == "f" else (1, *own)
    if len(own) == 3 or (len(own) == 4 and kind != "f"):
        if own[-3] <= MOST_CHANNELS:
            return own
        if own[-1] <= MOST_CHANNELS:
            return (*own[:-3], own[-1], *own[-3:-1])
    if kind == "f" and own:
        return own
    raise DataError(
        f"{where} has shape {shape}: neither (N, H, W), (N, C, H, W), (N, H, W, C), clips (N, T, C, H, W) nor (N, D)"
    )


def as_items(values: np.ndarray, where: object, start: int = 0) -> np.ndarray:
    """An array (n, ...), from item number `start` on, as items: uint8 on a grid, or float32.

    Raises DataError as `item_shape` does, and for integers beyond 0..255.
    """
    shape = item_shape(values.shape, values.dtype, where)
    if not len(values):
        raise DataError(f"{where} holds no items: x is (N, ...) with N >= 1")
    if values.ndim >= 4 and values.shape[1:] != shape:
        values = np.moveaxis(values, -1, -3)
    values = values.reshape(len(values), *shape)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype not in (np.bool_, np.uint8):
        wrong = ((values < 0) | (values > 255)).reshape(len(values), -1).any(axis=1)
        if wrong.any():
            at = int(wrong.argmax())
            reached = f"{values[at].min()}..{values[at].max()}"
            raise DataError(f"{where}: item {start + at} has values {reached}; the grid is 0..255 at most")
    return values.astype(np.uint8, copy=False)


def is_field(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether `as_field` knows what an array of this shape and type is."""
    if dtype.kind == "f" or dtype in (np.bool_, np.uint8):
        return len(shape) <= 4
    return dtype.kind in "iu" and len(shape) in (1, 3)


def as_field(values: np.ndarray, where: object) -> np.ndarray:
    """An array (n, ...) as values of a field, in the type in which they are held.

    Integers (n,) are labels, real numbers are real (n, ...), bytes are a picture (n, C, H, W) or a vector on a grid
    (n, D), other integers (n, H, W) a map of classes. Raises DataError for what is none of these.
    """
    if not is_field(values.shape, values.dtype):
        raise DataError(
            f"{where}: {values.dtype} of shape {values.shape} are neither labels (N,), real numbers, a picture (uint8) "
            "nor a map of classes (N, H, W); say what they are with kinds={...}"
        )
    if values.dtype.kind == "f":
        return (values[:, None] if values.ndim == 1 else values).astype(np.float32)
    if values.ndim == 1:
        return as_labels(values.astype(np.int64), len(values), where)
    if values.dtype in (np.bool_, np.uint8):
        return as_items(values, where)
    if values.min(initial=0) < 0 or values.max(initial=0) >= MOST_LEVELS:
        reached = f"{values.min()}..{values.max()}"
        raise DataError(f"{where}: a map of classes holds 0 to {MOST_LEVELS - 1}, not {reached}")
    return values.astype(np.int16)
