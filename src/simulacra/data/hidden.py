"""Few labels: most items become unlabelled, which is the label -1. No pixel is copied.

The labelled items are drawn by a seed, class after class in turn, so that all classes have equally many, or one more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulacra.data.dataset import Dataset, Split
from simulacra.errors import UsageError
from simulacra.randomness import mix

HIDDEN = -1


def hide_labels(data: Dataset, field: str, labels: int, seed: int) -> Dataset:
    """The data set with `labels` of the training items still labelled; the test split keeps its labels.

    The validation split loses all of its labels: model selection must not use labels that training does not have.
    Raises UsageError as `labelled_items` does.
    """
    count = data.spec.conditioned_on((field,)).classes("learning from few labels")[field].count
    kept = labelled_items(data.train.field(field), count, labels, seed)
    nothing = np.zeros(0, np.int64)
    return replace(data, train=_only(data.train, field, kept), valid=_only(data.valid, field, nothing))


def labelled_items(label: np.ndarray, classes: int, labels: int, seed: int) -> np.ndarray:
    """Indices, in order, of `labels` items drawn from those with the labels (N,); more labels only add items.

    The classes take turns, and one that has no item left is passed over.
    Raises UsageError for fewer labels than classes, and for more than there are.
    """
    label = np.asarray(label)
    if not classes <= labels <= len(label):
        raise UsageError(
            f"cannot keep {labels:,} labels: there are {len(label):,} training items, and each of the {classes} "
            "classes needs one"
        )
    rng = np.random.default_rng(mix(seed, "labels"))
    turn, place = np.zeros(len(label), np.int64), rng.permutation(classes)
    for y in range(classes):
        own = rng.permutation(np.flatnonzero(label == y))
        turn[own] = np.arange(len(own))
    return np.sort(np.lexsort((place[label], turn))[:labels])


def _only(split: Split, field: str, kept: np.ndarray) -> Split:
    label = np.full(len(split), HIDDEN, np.int64)
    label[kept] = split.field(field)[kept]
    return replace(split, condition=split.condition | {field: label})
