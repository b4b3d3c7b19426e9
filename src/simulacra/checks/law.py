"""The contract of a model: what every verb relies on, as laws that a model keeps or breaks.

A law is a function of a `Case`, a registered model with small arguments on made-up items of one kind of data; it raises
AssertionError. The suite of this package checks all its models by the same laws.
"""

from __future__ import annotations

from collections.abc import Callable

from simulacra.checks.cases import Case

Law = Callable[[Case], None]
LAWS: dict[str, Law] = {}


def law(check: Law) -> Law:
    """Decorator: a law by its function's name."""
    LAWS[check.__name__] = check
    return check
