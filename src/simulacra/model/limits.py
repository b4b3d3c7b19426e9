"""What a config may hold: numbers and words beyond these bounds are an attack or a mistake."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from simulacra.parts import is_part

MAX_SIZE_ARGUMENT = 1 << 16  # a width or depth
MAX_DEPTH = 32  # parts within parts
MAX_WORD = 1 << 12  # characters of a word


def out_of_bounds(value: Any, most: float, where: str = "", depth: int = 0, reals: bool = True) -> Iterator[str]:
    """What is wrong with each number beyond `most`, with `reals` not integers alone, and each word too long to be one,
    however deep it lies."""
    if depth > MAX_DEPTH:
        yield f"parts are nested deeper than {MAX_DEPTH}"
        return
    value = {each.name: getattr(value, each.name) for each in fields(value)} if is_part(value) else value
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from out_of_bounds(each, most, str(name), depth + 1, reals)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from out_of_bounds(each, most, where, depth + 1, reals)
    elif isinstance(value, str) and len(value) > MAX_WORD:
        yield f"{where!r} is a word of {len(value)} characters, and {MAX_WORD} are the limit"
    elif isinstance(value, int | float if reals else int) and not abs(value) <= most:
        yield f"{where!r} is {value!r:.40}, out of bounds{f': {most} at most' * math.isfinite(most)}"
