"""Vocabularies: what a training part alone may say of words, and of the names of classes.

    V = the words of the training items, the most frequent first;    word -> its place in V, else that of UNKNOWN

A reader numbers the words, or the names, of all items, before anything is known of the splits. Once these are drawn
`refitted` counts over the training items and numbers anew: a word of a validation or test item that no training item
has becomes unknown, and nothing of those items shows in what a model sees. The same holds for the length: tokens
beyond the longest training item are cut off. A class is never unknown, because what an object is cannot be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from simulacra.data.dataset import Altered
from simulacra.data.source import Encode
from simulacra.data.spec import DataSpec
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError
from simulacra.fields import PADDING, UNKNOWN, ClassLabel, Field, Leaf, Many, Record, Tokens, each_leaf, words_of

MOST_WORDS = 1 << 14  # in a vocabulary; rarer ones are unknown
MOST_TOKENS = 512  # of an item
SHOWN = 5  # names in a message

Columns = Mapping[str, np.ndarray]
Order = Mapping[str, np.ndarray]  # of each split the numbers of its items


def numbered(name: str, texts: Sequence[str]) -> tuple[Tokens, np.ndarray]:
    """Texts as tokens (N, most) of the vocabulary of all of them, which is to be `refitted`.

    Raises DataError where none has a word, and for one of more than 512.
    """
    items = [words_of(text) for text in texts]
    longest = max(map(len, items), default=0)
    if not longest:
        raise DataError(f"{name}: none of the {len(texts):,} texts has a word")
    if longest > MOST_TOKENS:
        text = next(text for text, words in zip(texts, items, strict=True) if len(words) == longest)
        raise DataError(f"{name}: {text[:40]!r} ... has {longest:,} words; shorten it to {MOST_TOKENS} at most")
    place = {word: i for i, word in enumerate(sorted({word for words in items for word in words}))}
    tokens = np.full((len(items), longest), PADDING, np.int64)
    for row, words in zip(tokens, items, strict=True):
        row[: len(words)] = [place[word] for word in words]
    return Tokens(tuple(place), longest), tokens


@dataclass(frozen=True)
class Renumbering:
    """How a column of numbers is written anew: `table[number]`, and of tokens the first `most` of an item.

    The last entry of the table is that of -1, which stays.
    """

    table: np.ndarray
    most: int | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        new = self.table[values]
        if self.most is None:
            return new
        width = [(0, 0)] * (new.ndim - 1) + [(0, max(0, self.most - new.shape[-1]))]
        return np.pad(new[..., : self.most], width, constant_values=PADDING)


def renumbering(before: Sequence[str], now: Sequence[str], unknown: int, most: int | None = None) -> Renumbering:
    """From the places of words in one list to those in another; `unknown` is that of a word which is not there."""
    place = {word: i for i, word in enumerate(now)}
    return Renumbering(np.array([*(place.get(word, unknown) for word in before), PADDING], np.int64), most)


@dataclass(frozen=True)
class Refit:
    """A spec with the words and names of the training items alone.

    changes:   how columns are numbered by it.
    all_words: the fields of columns of text as they were.
    altered:   texts that were cut.
    """

    spec: DataSpec
    changes: Mapping[str, Encode]
    all_words: Mapping[str, Tokens]
    altered: tuple[Altered, ...]


def refitted(spec: DataSpec, learned: Sequence[str], columns: Columns, order: Order, most: int = MOST_WORDS) -> Refit:
    """What the training items alone make of the fields that are `learned`.

    most: words of a vocabulary. Where there are no training items, as all are test items, these are counted.

    Raises DataError for a class that validation or test items have and training items do not.
    """
    order = order if len(order["train"]) else {"train": np.concatenate(list(order.values()))}
    fields = dict(spec.condition)
    changes: dict[str, Renumbering] = {}
    all_words: dict[str, Tokens] = {}
    altered: list[Altered] = []
    for name in set(learned) & fields.keys():
        field, leaves = fields[name], dict[str, Leaf]()
        for key, leaf in _learned(name, field):
            parts = {part: partial(_values, key, name, field, columns, rows) for part, rows in order.items()}
            if isinstance(leaf, Tokens):
                leaves[key] = own = _vocabulary(leaf, parts["train"](), most)
                changes[key] = renumbering(leaf.vocabulary, own.vocabulary, own.vocabulary.index(UNKNOWN), own.most)
                all_words[key] = leaf
                altered += _cut(key, leaf, own.most, (values for each in parts.values() for values in each()))
            else:
                leaves[key] = own = _classes(key, leaf, {part: _counts(each(), leaf) for part, each in parts.items()})
                changes[key] = renumbering(leaf.names, own.names, 0)
        fields[name] = _with_leaves(name, field, leaves)
    return Refit(replace(spec, condition=fields), changes, all_words, tuple(altered))


def _cut(key: str, leaf: Tokens, most: int, parts: Iterator[np.ndarray]) -> list[Altered]:
    """The texts that are longer than those of training, if there are any."""
    long = [values[(values >= 0).sum(-1) > most] for values in parts]
    first = next((rows[0] for rows in long if len(rows)), None)
    if first is None:
        return []
    example = leaf.sentence(first[:most])
    return [Altered(f"{key} is cut to the {most} words of the longest training item", sum(map(len, long)), example)]


def only_elsewhere(name: str, field: Field, columns: Columns, order: Order) -> np.ndarray:
    """The numbers of the validation and test items that have a class which no training item has."""
    found = [np.zeros(0, np.int64)]
    for key, leaf in _learned(name, field):
        if isinstance(leaf, ClassLabel):
            strange = np.append(_counts(_values(key, name, field, columns, order["train"]), leaf) == 0, False)
            for rows in (order["valid"], order["test"]):
                parts = [values.reshape(len(values), -1) for values in _values(key, name, field, columns, rows)]
                found += [rows[strange[np.concatenate(parts)].any(1)]] if parts else []
    return np.unique(np.concatenate(found))


def _learned(name: str, field: Field) -> Iterator[tuple[str, Tokens | ClassLabel]]:
    """What of a field has words, by the names of the columns."""
    for key, leaf in each_leaf(name, field):
        if isinstance(leaf, Tokens) or (isinstance(leaf, ClassLabel) and leaf.names):
            yield key, leaf


def _values(key: str, name: str, field: Field, columns: Columns, rows: np.ndarray) -> Iterator[np.ndarray]:
    """A column of some items, -1 where a list is padded, a few megabytes at a time."""
    mask = columns[f"{name}.mask"] if isinstance(field, Many) else None
    step = max(1, CHUNK_BYTES // max(1, columns[key][:1].nbytes))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        values = np.asarray(columns[key][some])
        if mask is not None:
            there = mask[some]
            values = np.where(there.reshape(there.shape + (1,) * (values.ndim - 2)), values, PADDING)
        yield values


def _vocabulary(leaf: Tokens, parts: Iterator[np.ndarray], most: int) -> Tokens:
    """Of equally frequent words that comes first which does so in the alphabet."""
    counts, longest = np.zeros(len(leaf.vocabulary), np.int64), 1
    for values in parts:
        counts += np.bincount(values[values >= 0], minlength=len(counts))
        longest = max(longest, int((values >= 0).sum(-1).max(initial=0)))
    words = sorted(np.flatnonzero(counts), key=lambda i: (-counts[i], leaf.vocabulary[i]))[:most]
    kept = (leaf.vocabulary[i] for i in words)
    return Tokens((UNKNOWN, *(word for word in kept if word != UNKNOWN)), longest)


def _classes(key: str, leaf: ClassLabel, counts: Mapping[str, np.ndarray]) -> ClassLabel:
    """The classes of training, in their order; raises DataError for another one in another split."""
    known = counts["train"] > 0
    for part, own in counts.items():
        strange = [leaf.names[i] for i in np.flatnonzero((own > 0) & ~known)]
        if strange:
            more = f" and {len(strange) - SHOWN:,} more" if len(strange) > SHOWN else ""
            raise DataError(
                f"{key}: {part} items have {', '.join(map(repr, strange[:SHOWN]))}{more}, which no training item has; "
                "give training items with it, or rename it"
            )
    names = tuple(name for name, there in zip(leaf.names, known, strict=True) if there)
    return ClassLabel(len(names), names)


def _counts(parts: Iterator[np.ndarray], leaf: ClassLabel) -> np.ndarray:
    counts = np.zeros(leaf.count, np.int64)
    for values in parts:
        counts += np.bincount(values[values >= 0], minlength=leaf.count)
    return counts


def _with_leaves(name: str, field: Field, leaves: Mapping[str, Leaf]) -> Field:
    """The same field with other ones in the places of some of its columns."""
    if isinstance(field, Record):
        return Record({own: _with_leaves(f"{name}.{own}", inner, leaves) for own, inner in field.fields.items()})
    if isinstance(field, Many):
        return replace(field, field=_with_leaves(name, field.field, leaves))
    return leaves.get(name, field)
