r"""Range coding: levels of known masses <-> bytes, within a byte of Σ -log2 p.

The masses of a level are first made integers q ≥ 1 that sum to 2^24, so that every level can be coded, whatever a
network thinks of it, and that from there on no rounding is left to differ. The worst that this costs is
L · 2^-24 / ln 2 bits a symbol: 2·10^-5 for 256 levels. Martin 1979, "Range encoding"; the coder is constriction's
(Bamler 2022), whose Categorical adds one to every mass and so is handed q - 1.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from simulacra.distributions import Factorised, GridDistribution
from simulacra.errors import DataError, NotSupported, SimulacraError, UsageError

PRECISION = 24  # bits of constriction's masses; integers of this size are exact in float32
STATE, WORD = 64, 32  # bits that constriction's coder holds back, and that it lets go at once


class Code(Protocol):
    """Codes n symbols at once; a writer takes them, a reader finds them out. Both return them."""

    def __call__(self, masses: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """masses (n, L) as `integer_masses` makes them, symbols (n,) -> symbols (n,)."""
        ...


def integer_masses(masses: np.ndarray) -> np.ndarray:
    """Masses (n, L) that sum to one -> q - 1, integers in float32 that sum to 2^24 - L exactly, (n, L).

    They are rounded down, and the most likely level takes what is left: there it matters least.
    """
    total = (1 << PRECISION) - masses.shape[1]
    if not np.isfinite(masses.sum()):
        raise SimulacraError("the model's probabilities are not finite numbers: nothing can be coded with them")
    rounded = (masses * total).astype(np.int32)
    rounded[np.arange(len(rounded)), rounded.argmax(axis=1)] += total - rounded.sum(axis=1)
    return rounded.astype(np.float32)


def masses_of(p: Factorised, n: int) -> np.ndarray:
    """The integer masses of the first n items of p, a row for every coordinate; raises NotSupported for densities."""
    if not isinstance(p, GridDistribution):
        raise NotSupported("continuous data have densities and no masses, so they cannot be coded; use data on a grid")
    return integer_masses(p.log_masses()[:n].exp().flatten(0, -2).cpu().numpy())


def uniform(levels: int, n: int) -> np.ndarray:
    """The integer masses of n symbols of which nothing is known."""
    return integer_masses(np.full((n, levels), 1 / levels))


class Writer:
    """Symbols -> bytes."""

    def __init__(self) -> None:
        stream = constriction().stream
        self._coder, self._family = stream.queue.RangeEncoder(), stream.model.Categorical(perfect=False)

    def __call__(self, masses: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        self._coder.encode(symbols.astype(np.int32), self._family, masses)
        return symbols

    def bytes(self) -> bytes:
        """The shortest bytes that, with zeros after them, are a number of the coder's last interval.

        constriction itself ends with one or two whole words, three bytes more than needed.
        """
        words, (position, (lower, size)) = self._coder.get_compressed(), self._coder.pos()
        length = position + STATE // WORD
        some = int.from_bytes(words.astype(">u4").tobytes(), "big") << WORD * (length - len(words))
        first = some - (some - lower) % (1 << STATE)  # `some` lies in the interval; its low bits say where that begins
        for unused in range(STATE, 0, -8):
            shortest = -(-first >> unused)
            if shortest << unused < first + size:
                return shortest.to_bytes((WORD * length - unused) // 8, "big")
        return first.to_bytes(WORD * length // 8, "big")


class Reader:
    """Bytes -> symbols; raises DataError for bytes that these masses cannot have made."""

    def __init__(self, payload: bytes) -> None:
        stream = constriction().stream
        whole = payload + bytes(-len(payload) % (WORD // 8) + STATE // 8)
        words = np.frombuffer(whole, ">u4").astype(np.uint32)
        self._coder, self._family = stream.queue.RangeDecoder(words), stream.model.Categorical(perfect=False)
        self._left = 8.0 * len(payload) + 2 * STATE  # bits; the writer let go of all but what its state held

    def __call__(self, masses: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        try:
            found = self._coder.decode(self._family, masses)
        except AssertionError as error:  # this is how constriction says it
            raise DataError("the bytes are not what the model's probabilities would have made of anything") from error
        self._left -= float(np.sum(PRECISION - np.log2(masses[np.arange(len(found)), found].astype(np.float64) + 1)))
        if self._left < 0:  # behind the end a coder finds symbols for ever
            raise DataError("the bytes hold fewer items than they claim")
        return found.astype(symbols.dtype)


def constriction() -> Any:
    """The package; raises UsageError with the extra that brings it."""
    try:
        import constriction as package
    except ImportError:
        raise UsageError("coding needs the package constriction: pip install 'simulacra[coding]'") from None
    return package
