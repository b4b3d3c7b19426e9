"""Sequences of levels that are more than numbers: sound, which has a rate, and text, which has letters."""

from __future__ import annotations

from simulacra.errors import DataError
from simulacra.fields.leaves import Levels
from simulacra.parts import part
from simulacra.terminal import number_of

BYTE = 256
MOST_RATE = 1_000_000  # samples a second


@part("field", "sound")
class Sound(Levels):
    """Mono sound in 8-bit μ-law levels, (T,): see `simulacra.data.mulaw`.

    Attributes:
        shape: (T,), the samples of one item.
        levels: 256.
        rate: samples a second.
    """

    shape: tuple[int, ...] = (8000,)
    levels: int = BYTE
    rate: int = 8000

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.shape) != 1 or self.levels != BYTE or not 1 <= self.rate <= MOST_RATE:
            raise DataError(
                f"sound has a shape (T,), {BYTE} levels and a rate of 1 to {MOST_RATE:,} samples a second, not {self}"
            )

    @property
    def seconds(self) -> float:
        return self.shape[0] / self.rate

    def describe(self) -> str:
        return f"{self.seconds:g} s of sound: {number_of(self.shape[0], 'sample')} at {self.rate:,} Hz, 256 levels"


@part("field", "text")
class Text(Levels):
    """A piece of text as its bytes in UTF-8, (T,).

    Attributes:
        shape: (T,), the bytes of one item.
        levels: 256.
    """

    shape: tuple[int, ...] = (256,)
    levels: int = BYTE

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.shape) != 1 or self.levels != BYTE:
            raise DataError(f"text has a shape (T,) and {BYTE} levels, not {self}")

    def describe(self) -> str:
        return f"{number_of(self.shape[0], 'byte')} of text"
