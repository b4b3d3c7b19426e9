"""Other data as a model reads them: their words by its vocabulary, their classes by its names, lists of its length.

Words that the model does not know become its unknown token, whatever they are in the data's own vocabulary; a class
that it does not know is refused, as it cannot be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from simulacra.data.dataset import Dataset, Split
from simulacra.data.spec import DataSpec
from simulacra.data.vocabulary import Renumbering, renumbering
from simulacra.errors import UsageError, warn
from simulacra.fields import UNKNOWN as UNKNOWN_WORD
from simulacra.fields import ClassLabel, Field, LabelMap, Many, Tokens, each_leaf
from simulacra.fields.graphs import BOX, NO_BOX, SEGMENTATION
from simulacra.fields.masks import IGNORED, WITHIN_BOX
from simulacra.terminal import number_of

UNKNOWN = {BOX: np.array(NO_BOX, np.float32), SEGMENTATION: np.full(WITHIN_BOX.shape, IGNORED, np.uint8)}
SHOWN = 8  # names in a message


def in_the_words_of(spec: DataSpec, data: Dataset) -> Dataset:
    """Data whose fields are numbered as those of the model are.

    Raises UsageError for a class that the model does not know, for a word where it has no token for unknown ones, and
    for a list that is longer than its lists.
    """
    for name, own in spec.condition.items():
        there = data.spec.condition.get(name)
        if there is not None and own != there and (changes := _changes(data, name, own, there)):
            data = _changed(data, name, own, changes)
    return data


def _changes(data: Dataset, name: str, own: Field, there: Field) -> dict[str, Renumbering]:
    """How each column of words or classes is numbered; {} where the fields are not alike but for these."""
    leaves, theirs = dict(each_leaf(name, own)), dict(each_leaf(name, there))
    places = {f"{name}.{key}" for key in UNKNOWN}  # may be there or not
    if leaves.keys() - places != theirs.keys() - places or isinstance(own, Many) != isinstance(there, Many):
        return {}
    changes: dict[str, Renumbering] = {}
    for key, leaf in leaves.items():
        if key not in theirs:
            continue
        other = data.all_words.get(key, theirs[key])
        if isinstance(leaf, Tokens) and isinstance(other, Tokens):
            changes[key] = _of_words(data.name, key, leaf, other)
        elif isinstance(leaf, ClassLabel | LabelMap) and isinstance(other, type(leaf)) and leaf.names and other.names:
            changes[key] = _of_classes(data.name, key, leaf, other)
        elif type(leaf) is not type(other):
            return {}
    return changes


def _of_words(whose: str, key: str, own: Tokens, there: Tokens) -> Renumbering:
    known = set(own.vocabulary)
    strange = [word for word in there.vocabulary if word not in known]
    if own.unknown is None and strange:
        listed = ", ".join(map(repr, strange[:SHOWN]))
        raise UsageError(f"{whose} has words of {key!r} that are not in the vocabulary of the model: {listed}")
    if strange := [word for word in strange if word != UNKNOWN_WORD]:
        listed = ", ".join(map(repr, strange[:SHOWN])) + ", ..." * (len(strange) > SHOWN)
        warn(
            f"{whose} has {number_of(len(strange), 'word')} of {key!r} that the model does not know, and reads as "
            f"unknown ones: {listed}"
        )
    return renumbering(there.vocabulary, own.vocabulary, own.unknown or 0, own.most)


def _of_classes(whose: str, key: str, own: ClassLabel | LabelMap, there: ClassLabel | LabelMap) -> Renumbering:
    if unknown := [each for each in there.names if each not in own.names]:
        known = ", ".join(own.names[:SHOWN])
        raise UsageError(f"{whose} has the class {unknown[0]!r} of {key!r}, and the model knows {known}")
    return renumbering(there.names, own.names, 0)


def _changed(data: Dataset, name: str, own: Field, changes: Mapping[str, Renumbering]) -> Dataset:
    def changed(split: Split) -> Split:
        columns = dict(split.condition)
        for key, change in changes.items():
            before = np.asarray(split.all_words.get(key, columns[key]))
            columns[key] = change(before).astype(own.columns(name)[key].dtype)
            if change.most is not None and (long := int(((before >= 0).sum(-1) > change.most).sum())):
                warn(
                    f"{long:,} {split.name} items of {data.name} have more words of {key!r} than the {change.most} "
                    "that the model reads; the others are left out"
                )
        if isinstance(own, Many):
            length = columns[f"{name}.mask"].shape
            for key in own.columns(name).keys() - columns.keys():
                own_unknown = UNKNOWN[key.rpartition(".")[2]]
                columns[key] = np.tile(own_unknown, (*length, *[1] * own_unknown.ndim))
            columns |= _of_length(data.name, name, own, {key: columns[key] for key in own.columns(name)})
        return replace(split, condition=columns)

    parts = {split.name: changed(split) for split in data.splits}
    return replace(data, spec=replace(data.spec, condition={**data.spec.condition, name: own}), **parts)


def _of_length(whose: str, name: str, own: Many, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns of a list with room for as many elements as the model's."""
    longest = int(columns[f"{name}.mask"].sum(1).max(initial=0))
    if longest > own.most:
        raise UsageError(f"{whose} has {number_of(longest, 'element')} of {name!r}, and the model at most {own.most}")
    return {
        key: np.pad(
            values[:, : own.most], [(0, 0), (0, max(0, own.most - values.shape[1]))] + [(0, 0)] * (values.ndim - 2)
        )
        for key, values in columns.items()
    }
