"""Text as a field: tokens of a vocabulary, one after the other.

A vocabulary that was made of a training part has the token `UNKNOWN`, which stands for every word of other *data* that
is not in it. A sentence that a user gives is meant, and a word of it that a model has never seen is refused.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from simulacra.errors import DataError, UsageError
from simulacra.fields.base import PADDING, Leaf, as_array, as_list
from simulacra.parts import part

UNKNOWN = "<unknown>"  # no text has it by chance: it would be three tokens
WORD = re.compile(rf"{UNKNOWN}|\w+(?:['’]\w+)*|[^\w\s]")
LISTED = 20  # words of a vocabulary that a message lists


def words_of(text: str) -> list[str]:
    """`"A red 3, it's small."` -> a, red, 3, `,`, it's, small, `.`: in small letters, a mark is a word of its own."""
    return WORD.findall(unicodedata.normalize("NFC", text).lower())


@part("field", "tokens")
class Tokens(Leaf):
    """At most `most` tokens, one after the other, padded with -1.

    Attributes:
        vocabulary: the tokens in the order of their numbers; as words a user may give them in a sentence.
        most: tokens of an item.
    """

    vocabulary: tuple[str, ...] = ("a", "b")
    most: int = 8

    def __post_init__(self) -> None:
        if not self.vocabulary or len(set(self.vocabulary)) < len(self.vocabulary) or self.most < 1:
            raise DataError("tokens need a vocabulary of different words, and room for at least one")

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (self.most,)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int64)

    @property
    def wanted(self) -> str:
        return f"tokens 0 to {len(self.vocabulary) - 1}, padded with {PADDING}"

    @property
    def unknown(self) -> int | None:
        """The number of the token for words of data that are not in the vocabulary; None where it has none."""
        return self.vocabulary.index(UNKNOWN) if UNKNOWN in self.vocabulary else None

    def sentence(self, values: np.ndarray) -> str:
        """The words of one item (most,), with blanks between them."""
        return " ".join(self.vocabulary[token] for token in values if token != PADDING)

    def wrong(self, values: np.ndarray) -> np.ndarray:
        """A token beyond the vocabulary, or one behind the padding."""
        padding = values == PADDING
        behind = np.zeros_like(padding)
        behind[:, 1:] = padding[:, :-1] & ~padding[:, 1:]
        return (values < PADDING) | (values >= len(self.vocabulary)) | behind

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        """A sentence, or a list of words or numbers, for each item; or an array that is padded already.

        A list of texts is one sentence for each item, and a list of numbers the tokens of one item. A sentence whose
        parts between blanks are not all in the vocabulary is read as `words_of` splits it.
        """
        if hasattr(values, "ndim") and as_array(name, values).dtype.kind != "U":
            return super().convert(name, values, single)
        listed = [self._numbers(name, each) for each in ([values] if single else as_list(name, values))]
        padded = np.full((len(listed), self.most), PADDING, np.int64)
        for row, numbers in zip(padded, listed, strict=True):
            row[: len(numbers)] = numbers
        return super().convert(name, padded, single=False)

    def _numbers(self, name: str, values: Any) -> list[int]:
        words = self._split(values) if isinstance(values, str) else as_list(name, values)
        for word in words:
            if not isinstance(word, str | Integral):
                raise UsageError(f"{name!r}: a token is a word or its number, not {word!r}")
            if isinstance(word, Integral) and not PADDING <= int(word) < len(self.vocabulary):
                raise UsageError(f"{name!r} is {self.wanted}: {word} is none")
        strangers = [word for word in words if isinstance(word, str) and word not in self.vocabulary]
        if strangers:
            raise UsageError(f"{name!r}: {self._not_known(list(dict.fromkeys(strangers)))}")
        if len(words) > self.most:
            raise UsageError(f"{name!r} has at most {self.most} tokens, not {len(words)}: shorten it")
        return [self.vocabulary.index(word) if isinstance(word, str) else int(word) for word in words]

    def _split(self, text: str) -> list[str]:
        words = text.split()
        return words if all(word in self.vocabulary for word in words) else words_of(text)

    def _not_known(self, words: list[str]) -> str:
        """Which words are not in the vocabulary, and which ones of it are near to them."""
        listed = " and ".join(map(repr, words)) if len(words) < 3 else ", ".join(map(repr, words))
        message = f"{listed} {'is' if len(words) == 1 else 'are'} not in the vocabulary."
        known = [word for word in self.vocabulary if word != UNKNOWN]
        near = [close for word in words for close in difflib.get_close_matches(word, known, n=1, cutoff=0.5)]
        if near:
            return f"{message} Did you mean {' and '.join(map(repr, dict.fromkeys(near)))}?"
        more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
        return f"{message} Known: {', '.join(known[:LISTED])}{more}."

    def is_single(self, values: Any) -> bool:
        if isinstance(values, str):
            return True
        if hasattr(values, "ndim"):
            return values.ndim == 1 and as_array("", values).dtype.kind != "U"
        return isinstance(values, Sequence) and (not values or isinstance(values[0], Integral))

    def describe(self) -> str:
        return f"at most {self.most} tokens of {len(self.vocabulary)}"
