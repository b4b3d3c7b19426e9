"""Bounds of numbers among the arguments of parts and of models, each with one message."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from simulacra.errors import UsageError


class OutOfRange(UsageError):
    """A number lies outside its bounds; `where` names the part that it is an argument of."""

    def __init__(self, argument: str, bound: str, where: str = "") -> None:
        super().__init__(f"{argument}{where} must be {bound}")
        self.argument, self.bound = argument, bound


def within(least: float, most: float = math.inf, **values: float | None) -> None:
    """Raise OutOfRange unless all these arguments are finite numbers from `least` to `most`; None is left out."""
    bound = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
    _bounded(bound, lambda value: least <= value <= most, values)


def above(least: float, most: float = math.inf, **values: float | None) -> None:
    """Raise OutOfRange unless all these arguments are finite numbers above `least`, to `most`; None is left out."""
    bound = "positive" if least == 0 else f"above {least:g}"
    bound += "" if most == math.inf else f" and at most {most:g}"
    _bounded(bound, lambda value: least < value <= most, values)


def share(**values: float | None) -> None:
    """Raise OutOfRange unless all these arguments are at least 0 and below 1, so that some of the whole is left."""
    _bounded("at least 0 and below 1", lambda value: 0 <= value < 1, values)


def odd(**values: int) -> None:
    """Raise OutOfRange unless all these arguments are positive and odd, as the side of a window with a centre is."""
    _bounded("a positive odd number", lambda value: value >= 1 and value % 2 == 1, values)


def _bounded(bound: str, fits: Callable[[float], bool], values: Mapping[str, float | None]) -> None:
    for name, value in values.items():
        if value is not None and fits(value) and not math.isfinite(value):
            raise OutOfRange(name, f"finite, not {value}")
        if value is not None and not fits(value):
            raise OutOfRange(name, f"{bound}, not {value}")
