r"""Trivial predictions of x from its condition c, which a model of p(x | c) has to beat.

    copy        the picture of the condition itself, brought to the size, the channels and the grid of x
    bicubic     the same of a picture that is smaller than x, interpolated
    colour      of a map of classes: each pixel has the mean colour of its class in the training split
    mean        the mean training item; of maps the most frequent class of each pixel
    nearest     x of the training item whose condition is nearest: argmin_i |φ(c) - φ(c_i)|
    random      x of a training item drawn at random: chance

φ(c) are pixels in [0, 1], classes and pixels of maps as indicators, tokens and the elements of lists as counts. The
nearest training item is a strong one: it is a real item, and often of the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch

from simulacra.data.images import resized
from simulacra.data.spec import DataSpec
from simulacra.derived import Derived
from simulacra.fields import (
    Classes,
    ClassLabel,
    Field,
    LabelMap,
    Leaf,
    Levels,
    Many,
    Paths,
    Real,
    Record,
    Tokens,
    each_leaf,
)

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
DIFFERENT = 0.5**0.5  # an indicator, so that two classes are at the distance 1
Columns = Mapping[str, np.ndarray]
"""Arrays (n, ...) by the names of the columns of a condition."""


def plain(field: Field) -> Field:
    """What a field is, whether or not it is made of x."""
    return field.own if isinstance(field, Derived) else field


def is_structured(spec: DataSpec) -> bool:
    """Whether the condition holds more than classes."""
    return any(not isinstance(field, ClassLabel) for field in spec.condition.values())


def is_picture(field: Field) -> bool:
    """Whether a field is images (C, H, W) of numbers."""
    return isinstance(of := plain(field), Levels | Real) and len(of.shape) == 3 and not isinstance(of, Classes | Paths)


def pictures(spec: DataSpec) -> dict[str, Field]:
    """The fields of the condition that are images (C, H, W), as they are in the condition: derived ones too."""
    return {name: own for name, own in spec.condition.items() if is_picture(own)}


def maps(spec: DataSpec) -> dict[str, LabelMap]:
    """The fields of the condition that are maps of classes."""
    return {name: of for name, own in spec.condition.items() if isinstance(of := plain(own), LabelMap)}


# Pictures of the condition as predictions


def known(field: Field, values: np.ndarray) -> np.ndarray | None:
    """Where the values (n, ...) of a derived field with holes are known, (n, 1, H, W); None of one without."""
    there = field.by.known(torch.from_numpy(values)) if isinstance(field, Derived) else None
    return None if there is None else there.numpy()


def copied(x: Field, field: Field, values: np.ndarray, smooth: bool = False) -> np.ndarray | None:
    """A picture of the condition (n, c, h, w) as x (n, C, H, W), by nearest or, `smooth`, bicubic interpolation.

    Unknown pixels of a mask are 0. None where x is no image, or has other channels than one or those of the picture.
    """
    own, holes = plain(field), known(field, values) is not None
    if not is_picture(x) or not isinstance(x, Levels | Real) or not isinstance(own, Levels | Real):
        return None
    scaled = np.maximum(values.astype(np.float32) - 1, 0) if holes else values.astype(np.float32)
    if isinstance(own, Levels) and not holes:
        scaled = scaled * ((x.levels - 1 if isinstance(x, Levels) else 1) / (own.levels - 1))
    channels, height, width = x.shape
    if scaled.shape[1] == 3 and channels == 1:
        scaled = np.tensordot(scaled, np.array(GREY, np.float32), (1, 0))[:, None]
    if scaled.shape[1] not in (1, channels):
        return None
    sized = _bicubic(scaled, height, width) if smooth else _nearest(scaled, height, width)
    return on_grid(x, np.broadcast_to(sized, (len(sized), *x.shape)))


def on_grid(x: Field, values: np.ndarray) -> np.ndarray:
    """Real numbers in units of the levels of x -> the nearest level; real data stay."""
    if isinstance(x, Levels):
        return np.floor(values + 0.5).clip(0, x.levels - 1).astype(x.dtype)
    return values.astype(np.float32)


def _nearest(values: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = (np.arange(height) + 0.5) * values.shape[2] / height
    columns = (np.arange(width) + 0.5) * values.shape[3] / width
    return values[:, :, rows.astype(int)][..., columns.astype(int)]


def _bicubic(values: np.ndarray, height: int, width: int) -> np.ndarray:
    found = [resized(np.ascontiguousarray(channel), height, width) for item in values for channel in item]
    return np.stack(found).reshape(*values.shape[:2], height, width)


def of_classes(x: Field, classes: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]], maps: np.ndarray) -> np.ndarray:
    """Maps (n, h, w) as images x, each class in its mean colour over training pairs of x (m, C, H, W) and map."""
    assert isinstance(x, Levels | Real)
    channels, height, width = x.shape
    total, count = np.zeros((classes, channels)), np.zeros(classes)
    for items, own in pairs:
        flat = _nearest(own[:, None], height, width).reshape(-1)
        count += np.bincount(flat, minlength=classes)[:classes]
        for channel in range(channels):
            total[:, channel] += np.bincount(flat, items[:, channel].reshape(-1), classes)[:classes]
    colours = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], total.sum(0) / max(count.sum(), 1))
    return on_grid(x, colours[_nearest(maps[:, None], height, width)[:, 0]].transpose(0, 3, 1, 2))


def mean_item(x: Field, items: np.ndarray) -> np.ndarray:
    """The mean of items (m, *shape) on the grid of x, (*shape); of maps the most frequent class of each pixel."""
    if not isinstance(x, Classes):
        return on_grid(x, items.mean(0, dtype=np.float64))
    counts = np.stack([(items == value).sum(0) for value in range(x.levels)])
    return counts.argmax(0).astype(items.dtype)


# The nearest condition


def features(fields: Mapping[str, Field], columns: Columns) -> np.ndarray:
    """φ of the conditions of n items, (n, D) float32."""
    found = [part for name, field in fields.items() for part in _features(name, plain(field), columns)]
    return np.concatenate([part.reshape(len(part), -1) for part in found], 1)


def _features(name: str, field: Field, columns: Columns) -> Iterator[np.ndarray]:
    if isinstance(field, Record):
        for own, inner in field.fields.items():
            yield from _features(f"{name}.{own}", inner, columns)
    elif isinstance(field, Many):
        mask = columns[f"{name}.mask"]
        yield mask.sum(1, keepdims=True).astype(np.float32)
        for key, leaf in each_leaf(name, field.field):
            of_each = encoded(leaf, columns[key]).reshape(*mask.shape, -1)
            yield (of_each * mask[..., None]).sum(1)
    elif isinstance(field, Leaf):
        yield encoded(field, columns[name])


def encoded(leaf: Leaf, values: np.ndarray) -> np.ndarray:
    """φ of values (..., *shape) of one field, each as d numbers or one; places in a list (Index) have none."""
    if isinstance(leaf, ClassLabel | LabelMap | Classes):
        count = {ClassLabel: "count", LabelMap: "classes", Classes: "levels"}[type(leaf)]
        return (values[..., None] == np.arange(getattr(leaf, count))) * np.float32(DIFFERENT)
    if isinstance(leaf, Tokens):
        one = np.stack([(values == token).sum(-1) for token in range(len(leaf.vocabulary))], -1)
        return one.astype(np.float32)
    if isinstance(leaf, Levels):
        return values.astype(np.float32) / (leaf.levels - 1)
    return values.astype(np.float32) if isinstance(leaf, Real) else np.zeros((*values.shape, 0), np.float32)


def nearest(own: np.ndarray, chunks: Iterable[np.ndarray], k: int) -> np.ndarray:
    """The numbers (n, k) of the nearest rows of the chunks (m, D), counted through, to rows (n, D); nearest first."""
    best, index, start = np.empty((len(own), 0), np.float32), np.empty((len(own), 0), np.int64), 0
    for chunk in chunks:
        squared = np.square(own).sum(1)[:, None] + np.square(chunk).sum(1) - 2 * own @ chunk.T
        best = np.concatenate([best, squared], 1)
        index = np.concatenate([index, np.broadcast_to(start + np.arange(len(chunk)), squared.shape)], 1)
        order = np.argsort(best, 1, kind="stable")[:, :k]
        best, index = np.take_along_axis(best, order, 1), np.take_along_axis(index, order, 1)
        start += len(chunk)
    return index
