r"""A stack of symbols: what was pushed last is popped first, and each changes its size by -log2 of its mass.

Popping works with any masses: where nothing was pushed with them, it turns the bits that lie there into a draw of these
masses, and pushing that draw brings the same bits back. Duda 2009, "Asymmetric numeral systems"; the coder is
constriction's.

A new stack stands on bits that look random and have no end. Of these the bytes hold only those that a pop has
reached, and exactly these are left when everything has been undone.
"""

from __future__ import annotations

import hashlib

import numpy as np

from simulacra.compression.coder import STATE, WORD, constriction
from simulacra.errors import DataError


def ground(n: int) -> np.ndarray:
    """The first n words of what every stack stands on, from above."""
    return np.frombuffer(hashlib.shake_256(b"bits back").digest(n * WORD // 8), "<u4").astype(np.uint32)


class Stack:
    """A new stack; or, from `payload`, the one that had these `bytes`."""

    def __init__(self, payload: bytes | None = None) -> None:
        stream = constriction().stream
        self._ans, self._family = stream.stack.AnsCoder, stream.model.Categorical(perfect=False)
        self._endless, self._laid = payload is None, STATE // WORD  # words of the ground that are in the coder
        words = ground(self._laid)[::-1] if payload is None else _words(payload)
        try:
            self._coder = self._ans(words)
        except ValueError as error:  # an uppermost word of zero, which no stack ends with
            raise DataError("the bytes are no stack") from error
        self._most = 2 * len(words) + (1 << 16)  # words: what is read again is larger on the way by little, if at all
        self._untouched = 0  # words at the bottom that no pop has reached

    def push(self, masses: np.ndarray, symbols: np.ndarray) -> None:
        """symbols (n,) of masses (n, L), as `integer_masses` makes them; `pop` returns them in the same order."""
        self._coder.encode_reverse(symbols.astype(np.int32), self._family, masses)
        if not self._endless and self._above() > self._most:
            raise DataError("the bytes are not what the model's probabilities would have made of anything")

    def pop(self, masses: np.ndarray) -> np.ndarray:
        """Symbols (n,) of masses (n, L)."""
        if self._endless and self._above() < len(masses):  # a symbol takes less than a word
            self._dig(len(masses))
        symbols = self._coder.decode(self._family, masses)
        if not self._endless and self._coder.num_valid_bits() < STATE - WORD:  # less than any state that a push leaves
            raise DataError("the bytes hold fewer items than they claim")
        self._untouched = min(self._untouched, self._above())
        return symbols

    @property
    def spare(self) -> int:
        """Bits that can be popped without reaching deeper into the ground than before."""
        return WORD * (self._above() - self._untouched)

    def bytes(self) -> bytes:
        """Everything down to the deepest place that a pop has reached, as one number, its highest byte first."""
        words = self._coder.get_compressed()[self._untouched :]
        return words[::-1].astype(">u4").tobytes().lstrip(b"\0")

    def expect_ground(self) -> None:
        """Raises DataError unless everything has been undone."""
        left = self._coder.get_compressed()[::-1]
        if not np.array_equal(left, ground(len(left))):
            raise DataError("the bytes are not what the model's probabilities would have made of anything")

    def _above(self) -> int:
        """Words in the coder, besides those of its state."""
        return self._coder.pos()[0]

    def _dig(self, n: int) -> None:
        """Lay the next n words of the ground under the coder."""
        deeper = ground(self._laid + n)[self._laid :][::-1]
        self._coder = self._ans(np.concatenate([deeper, self._coder.get_compressed()]))
        self._laid, self._untouched = self._laid + n, self._untouched + n


def _words(payload: bytes) -> np.ndarray:
    whole = bytes(-len(payload) % (WORD // 8)) + payload
    return np.frombuffer(whole, ">u4")[::-1].astype(np.uint32)
